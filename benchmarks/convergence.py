"""Cost of a trace's distances relative to the bare recurrence; the target is at most 5 %.

    python benchmarks/convergence.py

For each size, a bare loop of the core alternates with a run that computes distances, step sizes and step
cosines, so other load on the machine affects both; their medians are compared. Weights are random, and there
are no readouts.
"""

from __future__ import annotations

import statistics
import time

import torch

from latentkit.models.huginn import Huginn, HuginnConfig, init_weights
from latentkit.models.verbs import HuginnModel
from latentkit.run.progress import Progress
from latentkit.run.recurrence.trajectory import iterate, measured

TOKENS, ITERATIONS, LIMIT, TURNS = 200, 64, 64, 7


def random_model(hidden: int) -> HuginnModel:
    config = HuginnConfig(
        n_embd=hidden, n_heads=hidden // 64, n_layers_in_prelude=1, n_layers_in_recurrent_block=4,
        n_layers_in_coda=1, intermediate_size=round(hidden * 3.4), vocab_size=1024, block_size=512,
    )  # fmt: skip
    return HuginnModel(init_weights(Huginn(config), torch.Generator().manual_seed(0)))


def measure(hidden: int, *, turns: int = TURNS, device: str = "cpu") -> tuple[list[float], ...]:
    """Return the seconds of the bare loop, of the loop with distances, and of the distances alone."""
    model = random_model(hidden)
    model.module.to(device)
    context = model.embed(torch.arange(TOKENS)[None])
    start = model.initial_state(context, 0)
    bare, whole, measuring = [], [], []
    for turn in range(turns + 1):
        began = seconds(device)
        state = start
        for _ in range(LIMIT):
            state = model.step(state, context)
        looped = seconds(device)
        with Progress(LIMIT, "", visible=False) as bar:
            run = iterate(model, context, start, bar, iterations=ITERATIONS, limit=LIMIT)
            iterated = seconds(device)
            measured(model, run, keep_states=False)
        ended = seconds(device)
        if turn:  # the first turn is a warm-up
            bare.append(looped - began)
            whole.append(ended - looped)
            measuring.append(ended - iterated)
    return bare, whole, measuring


def seconds(device: str) -> float:
    """Return the time; on a GPU after it has finished its work."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    print(f"{TOKENS} tokens, {ITERATIONS} iterations, {torch.get_num_threads()} threads, {TURNS} turns")
    for hidden in (256, 1024):
        medians = [statistics.median(times) for times in measure(hidden)]
        print(
            f"hidden {hidden:>5}: bare {medians[0]:.3f} s, with distances {medians[1]:.3f} s "
            f"(+{100 * (medians[1] / medians[0] - 1):.1f} %), the measuring alone {medians[2]:.3f} s "
            f"({100 * medians[2] / medians[0]:.1f} %)"
        )


if __name__ == "__main__":
    main()

"""Cost of decoding: with and without the cache, with and without recording a trace, and memory.

    python benchmarks/decoding.py cache       cached decoding against re-running the prefix, nano
    python benchmarks/decoding.py watching    run_decoding with readouts against the bare loop, nano and wide
    python benchmarks/decoding.py memory      200 tokens x 64 iterations x 65,536 tokens of vocabulary

Measurements of the two variants alternate, so that other load on the machine affects both; medians are
compared. The bare loop also computes coda and head at every iteration, for the last position only.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import torch

import latentkit as lk
from latentkit.models.huginn import Huginn, HuginnConfig, init_weights
from latentkit.models.verbs import HuginnModel
from latentkit.run.decoding.loop import last_logits

PROMPT = list(range(20, 52))


def wide_model(**changes: Any) -> HuginnModel:
    """Return a model with Huginn's layout (2, 4, 2), hidden size 1,024 and random weights."""
    sizes = {"n_embd": 1024, "n_heads": 16, "intermediate_size": 3456, "vocab_size": 65536, **changes}
    module = init_weights(Huginn(HuginnConfig(**sizes)), torch.Generator().manual_seed(0))
    return HuginnModel(module.requires_grad_(requires_grad=False), name="wide")


def bare(model: HuginnModel, new_tokens: int, iterations: int) -> list[int]:
    """Decode greedily with the cache and read out after every iteration, without storing results."""
    cache, unread, generated = model.new_cache(room=len(PROMPT) + new_tokens), PROMPT, []
    for _ in range(new_tokens):
        context = model.embed(torch.tensor([unread]), cache=cache)
        state = model.initial_state(context, 0)
        for _ in range(iterations):
            state = model.step(state, context)
            logits = last_logits(model, state, context)
        generated.append(int(logits.argmax()))
        unread = generated[-1:]
    return generated


def watched(model: HuginnModel, new_tokens: int, iterations: int, **options: Any) -> list[int]:
    trace = lk.run_decoding(
        model, PROMPT, new_tokens=new_tokens, iterations=iterations, stop=(), progress=False, **options
    )
    return trace.token_id.values.tolist()


def alternate(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Return the median seconds of both, measured alternately after one warm-up round."""
    assert one() == other(), "the two sides decode different tokens"
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for kept, run in zip(times, (one, other), strict=True):
            begun = time.perf_counter()
            run()
            kept.append(time.perf_counter() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def report(what: str, one: float, other: float, ratio: float, wanted: str) -> None:
    print(f"| {what} | {one:.2f} s | {other:.2f} s | {ratio:.2f} | {wanted} |")


def cache(rounds: int) -> None:
    model = lk.load_model("nano-untrained")
    options = {"readout_top": 0}
    without, cached = alternate(
        lambda: watched(model, 64, 32, cache=None, **options),
        lambda: watched(model, 64, 32, **options),
        rounds,
    )
    report("64 tokens at 32 iterations: prefix again, cache", without, cached, without / cached, "at least 5")


def watching(rounds: int) -> None:
    for name, model, tokens, limit in (
        ("nano", lk.load_model("nano-untrained"), 32, "at most 1.35"),
        ("hidden 1,024, vocabulary 65,536", wide_model(), 3, "at most 1.15"),
    ):
        seen, plain = alternate(lambda: watched(model, tokens, 32), lambda: bare(model, tokens, 32), rounds)  # noqa: B023 (called at once)
        report(f"{tokens} tokens at 32 iterations, {name}: watched, bare", seen, plain, seen / plain, limit)


def memory(_: int) -> None:
    for call in ("run_decoding(m, [1], new_tokens=200, stop=(), iterations=64, progress=False)",
                 "run_recurrence(m, [1] * 200, iterations=64, limit=64, progress=False)"):  # fmt: skip
        done = subprocess.run(
            [sys.executable, __file__, "peak", call], stdout=subprocess.PIPE, text=True, check=True
        )
        print(f"| {call} | {float(done.stdout):.0f} MiB above the model | under 600 |")


def peak(call: str) -> None:
    """Print by how much the peak memory of this process during a call exceeds its memory before the call."""
    m = wide_model(n_embd=256, n_heads=4, intermediate_size=640)
    with torch.no_grad():  # load everything that a first call loads
        lk.run_recurrence(m, [1], iterations=1, limit=1, progress=False)
    before = psutil.Process().memory_info().rss  # not the peak, which includes building the model
    eval(f"lk.{call}", {"lk": lk, "m": m})
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / 2**20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cache", "watching", "memory", "peak"])
    parser.add_argument("call", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.what == "peak":
        peak(given.call)
    else:
        {"cache": cache, "watching": watching, "memory": memory}[given.what](given.rounds)

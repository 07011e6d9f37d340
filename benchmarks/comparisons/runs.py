"""Tracing, decoding and layers beside the bare computation."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

import latentkit as lk
from benchmarks import convergence, decoding
from benchmarks.comparisons.row import Row, alternate

__all__ = ["cached", "layers", "one_trace", "tracing"]


def tracing(*, quick: bool) -> list[Row]:
    """Distances of a trace beside the bare recurrence; on a GPU too where there is one."""
    rows = []
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        for hidden in (256,) if quick else (256, 1024):
            bare, whole, _ = convergence.measure(hidden, turns=1 if quick else 7, device=device)
            what = f"trace of 200 tokens × 64 iterations without readouts, hidden {hidden}, {device}"
            rows.append(Row(what, whole, bare, "s", "bare loop of the core", "at most 1.05 ×", costs=True))
    return rows


def one_trace(*, quick: bool) -> list[Row]:
    """One trace with every iteration beside one run of the model for each number of iterations."""
    model, ids = lk.load_model("nano"), list(range(30, 62))
    most = 8 if quick else 64
    tokens = torch.tensor([ids])

    def trace() -> Any:
        return lk.run_recurrence(model, ids, iterations=most, limit=most, progress=False)

    def runs() -> None:
        with torch.no_grad():
            for iterations in range(1, most + 1):
                model.module(tokens, iterations=iterations).logits.softmax(-1).topk(5)

    ours, other = alternate(trace, runs, 1 if quick else 5)
    return [Row(f"nano, {len(ids)} tokens, top 5 after each of {most} iterations", ours, other, "s",
                f"{most} runs, one for each number of iterations")]  # fmt: skip


def cached(*, quick: bool) -> list[Row]:
    """Decoding with the cache beside reading the prefix again for each token."""
    model = lk.load_model("nano-untrained")
    new, iterations, rounds = (8, 4, 1) if quick else (64, 32, 5)

    def decode(**options: Any) -> Any:
        return decoding.watched(model, new, iterations, readout_top=0, **options)

    ours, other = alternate(decode, lambda: decode(cache=None), rounds)
    what = f"decoding {new} tokens at {iterations} iterations, nano"
    rows = [Row(what, ours, other, "s", "without the cache", "at least 5")]
    half = new // 2
    watched, bare = alternate(
        lambda: decoding.watched(model, half, iterations),
        lambda: decoding.bare(model, half, iterations),
        rounds,
    )
    what = f"decoding {half} tokens with a record of every iteration, nano"
    return [*rows, Row(what, watched, bare, "s", "bare loop with readouts", "at most 1.35 ×", costs=True)]


def _layers_of(vocabulary: int, rounds: int) -> dict[str, float]:
    from benchmarks import layer_kl

    torch.set_num_threads(1)
    layer_kl.ROUNDS = rounds
    with torch.no_grad():
        return layer_kl.measure_ours(vocabulary)


def layers(*, quick: bool) -> list[Row]:
    """Layer KL beside its limit and beside the usual way."""
    from benchmarks import layer_kl

    rows = []
    rounds = 1 if quick else layer_kl.ROUNDS
    found_by = {}
    for vocabulary in layer_kl.VOCABULARIES[: 1 if quick else None]:
        # in a process of its own, since memory that another measurement freed is used again
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            found_by[vocabulary] = process.submit(_layers_of, vocabulary, rounds).result()
    for vocabulary, found in found_by.items():
        name = f"8 layers × 128 tokens, vocabulary {vocabulary:,}"
        unit, aim = "forward passes", "at most 1.25 ×" if vocabulary == 8192 else "at most 1.35 ×"
        rows += [
            Row(f"map of layers, {name}", [found["ours"]], [found["limit"]], unit, "limit", aim, costs=True),
            Row(f"map of layers, {name}", [found["ours"]], [found["transformers + naive"]], unit,
                "transformers + naive KL"),
            Row(f"memory of it, {name}", [found["peak MB"]], [found["peak MB, naive"]], "MB",
                "transformers + naive KL"),
            Row(f"effect over its limit, {name}", [found["effect over limit"]], [1.0], "", "limit",
                "at most 1.15 ×", costs=True),
        ]  # fmt: skip
    return rows

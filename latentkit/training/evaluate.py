"""The figures of a model card, recomputed: bits per byte by iterations, settling, accuracy on problems."""

from __future__ import annotations

import argparse
import lzma
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from latentkit.errors import ArgumentError
from latentkit.problems import grading as accuracy
from latentkit.training.cost import Cost, measure_cost
from latentkit.training.settling import (
    faust,
    kinds_of_unsettled,
    rank_correlation,
    settled_share,
    settling,
    settling_by_steps,
)

__all__ = ["Figures", "bits_per_byte", "evaluate", "main", "read_held_out", "report"]

ITERATIONS = (1, 2, 4, 8, 16, 32, 64)
HOPS, HOP_PROBLEMS = (1, 2, 3, 4, 6), 100  # steps of composition, and problems of each
EXCERPTS = range(20_000, 900_000, 110_000)  # where the excerpts begin, in characters
HELD_OUT_VARIABLE = "LATENTKIT_HELDOUT"


@dataclass(frozen=True)
class Figures:
    """What `evaluate` found.

    Attributes
    ----------
    bits_per_byte : dict of int to float
        By number of iterations.
    settling_text, settling_faust : tuple of float
        10th, 50th and 90th percentile of the iteration from which a token's distance to the limit (256)
        stays below 1 % of that at the start: excerpts of the held-out books, the answer about *Faust*.
    faust_settled : float
        Share of the tokens of that answer whose distance at iteration 64 (limit 128) is below 2 % of that
        at the start.
    unsettled : float
        Share of the excerpts' tokens that do not reach 1 % by iteration 128.
    unsettled_kinds : dict of str to int
        What these do instead: how many of them orbit, slide, or neither.
    settling_hops : dict of int to float
        Median settling iteration of the answer's token by the number of hops; with `hops_correlation`, the
        rank correlation of the two over all problems.
    accuracy : dict of (kind, steps) to dict of int to float
        Share of held-out problems answered right, by number of iterations; steps None: of all difficulties.
    """

    bits_per_byte: dict[int, float]
    settling_text: tuple[float, float, float]
    settling_faust: tuple[float, float, float]
    faust_settled: float
    unsettled: float
    unsettled_kinds: dict[str, int]
    settling_hops: dict[int, float]
    hops_correlation: float
    accuracy: dict[tuple[str, int | None], dict[int, float]]


def evaluate(model: Any, text: str, *, problems: int = 100) -> Figures:
    """Measure everything that the model card states.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    text : str
        The held-out books, at least 904,000 characters.
    problems : int
        Held-out problems for each kind and difficulty; 0 leaves them out.

    Returns
    -------
    Figures
    """
    excerpts = [text[i : i + 500] for i in EXCERPTS]
    by_excerpt = [settling(model, excerpt) for excerpt in excerpts]
    in_text = np.concatenate(by_excerpt)
    conversation, answer = faust(model)
    hops = settling_by_steps(model, "composition", steps=HOPS, problems=HOP_PROBLEMS)
    return Figures(
        bits_per_byte=bits_per_byte(model, text),
        settling_text=_percentiles(in_text),
        settling_faust=_percentiles(settling(model, conversation)[answer:]),
        faust_settled=settled_share(model, conversation, answer),
        # a token that never gets there has no iteration (NaN)
        unsettled=float(np.mean(~(in_text <= 128))),
        unsettled_kinds=kinds_of_unsettled(model, excerpts, by_excerpt),
        settling_hops={steps: float(np.median(values)) for steps, values in hops.items()},
        hops_correlation=rank_correlation(hops),
        accuracy=accuracy.by_difficulty(model, problems=problems) if problems else {},
    )


def bits_per_byte(
    model: Any, text: str, *, iterations: Sequence[int] = ITERATIONS, seed: int = 0
) -> dict[int, float]:
    """How many bits a byte of text costs if the model stops after so many iterations.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    text : str
        Read from 20,000 to 900,000 characters in steps of 44,000: at each place the first 256 tokens of
        the next 4,000 characters, without begin token.
    iterations : sequence of int
        Where to stop.
    seed : int
        Of the initial state, which depends on seed and position.

    Returns
    -------
    dict of int to float
        Bits per byte of what the tokens after the first stand for.

    Raises
    ------
    ArgumentError
        If the text is too short.
    """
    starts = range(20_000, 900_001, 44_000)
    if len(text) < starts[-1] + 4000:
        raise ArgumentError(
            f"The text has {len(text):,} characters; this measure reads up to {starts[-1] + 4000:,}. "
            "Pass the whole of the held-out books."
        )
    ids = torch.tensor([_first_tokens(model.tokenizer, text[i : i + 4000]) for i in starts])
    size = sum(len(model.tokenizer.decode(row[1:].tolist()).encode()) for row in ids)
    result = {}
    for i, logits in accuracy.logits_at(model, ids, iterations, seed):
        nats = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten().to(logits.device), reduction="sum")
        result[i] = float(nats) / math.log(2) / size
    return result


def read_held_out(path: str | Path | None) -> str:
    """Return the held-out text, from a path or from where an environment variable says.

    Raises
    ------
    ArgumentError
        If neither is given, or there is no such file.
    """
    given = path or os.environ.get(HELD_OUT_VARIABLE)
    if not given:
        raise ArgumentError(
            "The held-out books are not part of the package. Say where they are with "
            f"--heldout PATH/heldout_books.txt.xz, or set {HELD_OUT_VARIABLE} to that path."
        )
    file = Path(given)
    if not file.is_file():
        raise ArgumentError(f"No file '{file}'. Pass the path of heldout_books.txt.xz.")
    raw = lzma.decompress(file.read_bytes()) if file.suffix == ".xz" else file.read_bytes()
    return raw.decode("utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures of a model card: latentkit evaluate nano --heldout PATH."""
    parser = argparse.ArgumentParser(prog="latentkit evaluate", description=__doc__)
    parser.add_argument("model", help="nano, or anything that load_model takes")
    parser.add_argument("--heldout", help=f"heldout_books.txt.xz; default: ${HELD_OUT_VARIABLE}")
    parser.add_argument("--problems", type=int, default=100, help="per kind and difficulty; 0 for none")
    arguments = parser.parse_args(argv)
    text = read_held_out(arguments.heldout)
    from latentkit.models import load_model

    model = load_model(arguments.model, dtype="float32", device="cpu")
    print(report(evaluate(model, text, problems=arguments.problems), measure_cost(arguments.model)))
    return 0


def report(figures: Figures, cost: Cost | None = None) -> str:
    """Return the figures as the Markdown that stands in the model card."""
    lines = ["| iterations | " + " | ".join(map(str, figures.bits_per_byte)) + " |"]
    lines += ["|---|" + "---|" * len(figures.bits_per_byte)]
    lines += [
        "| bits per byte | " + " | ".join(f"{b:.3f}" for b in figures.bits_per_byte.values()) + " |",
        "",
    ]
    for name, values in (("held-out books", figures.settling_text), ("Faust", figures.settling_faust)):
        low, middle, high = values
        lines += [f"Settling iteration, {name} (10th, 50th, 90th percentile): {low:g}, {middle:g}, {high:g}"]
    lines += [
        f"Faust tokens under 2 % at iteration 64: {figures.faust_settled:.1%}",
        f"Tokens that do not reach 1 % by iteration 128: {figures.unsettled:.1%}{_said(figures)}",
        "Settling iteration of an answer (median) by hops: "
        + ", ".join(f"{settled:g} at {hops}" for hops, settled in figures.settling_hops.items())
        + f"; rank correlation {figures.hops_correlation:.2f}",
    ]
    if cost:
        weights = f"Weights: {cost.megabytes:.1f} MB, loaded in {cost.load:.2f} s; "
        lines += [f"{weights}60 tokens × 128 iterations with readouts: {cost.trace:.1f} s"]
    if figures.accuracy:
        at = list(next(iter(figures.accuracy.values())))
        lines += ["", "| problem | steps | " + " | ".join(f"r = {r}" for r in at) + " |"]
        lines += ["|---|---|" + "---|" * len(at)]
        for (kind, steps), row in figures.accuracy.items():
            lines += [f"| {kind} | {steps or 'all'} | " + " | ".join(f"{row[r]:.2f}" for r in at) + " |"]
    return "\n".join(lines)


def _said(figures: Figures) -> str:
    kinds = figures.unsettled_kinds
    return f" ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})" if kinds else ""


def _first_tokens(tokenizer: Any, text: str, count: int = 256) -> list[int]:
    # cut by the tokenizer itself, which else warns of a text longer than the model's context
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, truncation=True, max_length=count)
    return ids


def _percentiles(values: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (10, 50, 90)).tolist()
    return low, middle, high

"""Figures of a model card: bits per byte by iterations, settling, accuracy on problems."""

from __future__ import annotations

import argparse
import lzma
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentkit.errors import ArgumentError
from latentkit.problems import grading
from latentkit.problems.generator import draw_problems
from latentkit.training.corpus import read_held_out_documents
from latentkit.training.evaluation.bits import bits_of_documents, bits_per_byte
from latentkit.training.evaluation.cost import measure_cost
from latentkit.training.evaluation.report import compare, report
from latentkit.training.evaluation.settling import (
    faust,
    kinds_of_unsettled,
    rank_correlation,
    settled_share,
    settling,
    settling_by_steps,
)

__all__ = [
    "Figures",
    "evaluate",
    "first_iterations",
    "held_out_documents",
    "main",
    "read_held_out",
]

HOPS = {"composition": (1, 2, 3, 4, 6), "facts": (1, 2, 3, 4, 5)}  # numbers of steps that are compared
HOP_PROBLEMS = 100  # per number of steps
EXCERPTS = range(20_000, 900_000, 110_000)  # starts of the excerpts, in characters
FINE_ITERATIONS = (*range(1, 13), 16, 24, 32)
HELD_OUT_VARIABLE = "LATENTKIT_HELDOUT"


@dataclass(frozen=True)
class Figures:
    """Results of `evaluate`.

    Attributes
    ----------
    bits_per_byte : dict of int to float
        Bits per byte of the held-out books, by number of iterations.
    settling_text, settling_faust : tuple of float
        10th, 50th and 90th percentile of the settling iteration: the one from which a token's distance to the
        limit (256) stays below 1 % of its initial distance. For excerpts of the held-out books, and for the
        answer about *Faust*.
    faust_settled : float
        Share of the tokens of that answer whose distance at iteration 64 (limit 128) is below 2 % of their
        initial distance.
    unsettled : float
        Share of the excerpts' tokens that do not reach 1 % by iteration 128.
    unsettled_kinds : dict of str to int
        Number of these tokens by kind of trajectory: orbit, slider, or neither.
    documentation : dict of int to float
        Bits per byte of the held-out documentation, by number of iterations; empty if it was not given.
    settling_hops : dict of str to dict of int to float
        By kind of problem, the median settling iteration of the answer's token, by number of steps.
        `hops_correlation` is the rank correlation of the two over all problems.
    first_iterations : dict of int to int
        By number of facts in the question, the first iteration with 90 % of the final accuracy; None if no
        answer is right.
    accuracy : dict of (kind, steps) to dict of int to float
        Share of held-out problems answered right, by number of iterations. ``steps`` None means all
        difficulties together.
    """

    bits_per_byte: dict[int, float]
    settling_text: tuple[float, float, float]
    settling_faust: tuple[float, float, float]
    faust_settled: float
    unsettled: float
    unsettled_kinds: dict[str, int]
    documentation: dict[int, float]
    settling_hops: dict[str, dict[int, float]]
    hops_correlation: dict[str, float]
    first_iterations: dict[int, int | None]
    accuracy: dict[tuple[str, int | None], dict[int, float]]


def evaluate(model: Any, text: str, *, documents: str = "", problems: int = 100) -> Figures:
    """Measure everything that the model card states.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    text : str
        The held-out books, at least 904,000 characters.
    documents : str
        The held-out documentation; if it is empty, its bits per byte are not measured.
    problems : int
        Number of held-out problems for each kind and difficulty, no two alike; 0 omits the problems.

    Returns
    -------
    Figures
    """
    excerpts = [text[i : i + 500] for i in EXCERPTS]
    by_excerpt = [settling(model, excerpt) for excerpt in excerpts]
    in_text = np.concatenate(by_excerpt)
    conversation, answer = faust(model)
    hops = {
        kind: settling_by_steps(model, kind, steps=steps, problems=HOP_PROBLEMS)
        for kind, steps in HOPS.items()
    }
    return Figures(
        bits_per_byte=bits_per_byte(model, text),
        settling_text=_percentiles(in_text),
        settling_faust=_percentiles(settling(model, conversation)[answer:]),
        faust_settled=settled_share(model, conversation, answer),
        # NaN for a token that never settles
        unsettled=float(np.mean(~(in_text <= 128))),
        unsettled_kinds=kinds_of_unsettled(model, excerpts, by_excerpt),
        documentation=bits_of_documents(model, documents) if documents else {},
        settling_hops={
            kind: {steps: float(np.median(values)) for steps, values in found.items()}
            for kind, found in hops.items()
        },
        hops_correlation={kind: rank_correlation(found) for kind, found in hops.items()},
        first_iterations=first_iterations(model, problems=problems) if problems else {},
        accuracy=grading.by_difficulty(model, problems=problems) if problems else {},
    )


def first_iterations(
    model: Any, *, problems: int = 100, iterations: Sequence[int] = FINE_ITERATIONS, share: float = 0.9
) -> dict[int, int | None]:
    """Return, by number of facts, the first iteration with this share of the accuracy at the last iteration.

    The value is None if no problem is answered right at the last iteration.
    """
    found: dict[int, int | None] = {}
    for steps in HOPS["facts"]:
        parts = grading.batches(draw_problems("facts", problems, steps=steps))
        counts = [grading.count_right(model, part, iterations=iterations) for part in parts]
        right = {i: sum(count[i] for count in counts) for i in iterations}
        last = right[iterations[-1]]
        found[steps] = next(i for i in iterations if right[i] >= share * last) if last else None
    return found


def held_out_documents(path: str | Path) -> str:
    """Return the held-out documents of a file, which training leaves out, as one text.

    Raises
    ------
    ArgumentError
        If the file does not exist.
    """
    if not Path(path).is_file():
        raise ArgumentError(f"No file '{path}'. Pass the path of docs.txt.xz.")
    return "\n\n".join(read_held_out_documents(path))


def read_held_out(path: str | Path | None) -> str:
    """Return the held-out text, from a path or from the path in an environment variable.

    Raises
    ------
    ArgumentError
        If neither is given, or the file does not exist.
    """
    given = path or os.environ.get(HELD_OUT_VARIABLE)
    if not given:
        raise ArgumentError(
            "The held-out books are not part of the package. Pass their path with "
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
    parser.add_argument("--docs", help="docs.txt.xz, whose held-out documents are measured too")
    parser.add_argument(
        "--beside", help="a second model to compare with, such as the control without the loop"
    )
    parser.add_argument("--problems", type=int, default=100, help="per kind and difficulty; 0 for none")
    arguments = parser.parse_args(argv)
    text = read_held_out(arguments.heldout)
    documents = held_out_documents(arguments.docs) if arguments.docs else ""
    from latentkit.models import load_model

    several: dict[str, Figures] = {}
    for name in filter(None, (arguments.model, arguments.beside)):
        model = load_model(name, dtype="float32", device="cpu")
        several[name] = evaluate(model, text, documents=documents, problems=arguments.problems)
        print(f"{name}\n\n{report(several[name], measure_cost(name))}\n")
    if arguments.beside:
        print(compare(several))
    return 0


def _percentiles(values: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (10, 50, 90)).tolist()
    return low, middle, high

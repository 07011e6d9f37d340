"""`run_problems`: accuracy on graded problems by difficulty and number of iterations."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.problems.generator import Problem, draw_problems
from latentkit.problems.grading import batches, count_right
from latentkit.run.arguments import (
    flag,
    iteration_count,
    need_causal,
    need_recurrent,
    seed_number,
    whole_number,
)
from latentkit.run.labelling import as_texts
from latentkit.run.progress import Progress
from latentkit.run.provenance import provenance
from latentkit.trace import build_trace

__all__ = ["run_problems"]

_MOST_PROBLEMS = 10_000  # of each kind and number of steps


def run_problems(
    model: RecurrentModel[Any],
    asked: Mapping[str, Sequence[int] | int],
    *,
    problems: int = 200,
    iterations: Sequence[int] | int = (1, 2, 4, 8, 16, 32, 64),
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Run a model on held-out problems and count its right answers after each number of iterations.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer; for example ``load_model("nano")``.
    asked : mapping from str to sequence of int
        Kinds of problems (`latentkit.problems.KINDS`) and their numbers of steps, for example
        ``{"sums": (1, 4), "sorting": (2,)}``.
    problems : int
        Number of problems of each kind and number of steps, no two alike. A kind may have fewer.
    iterations : sequence of int, or int
        Numbers of iterations after which the answers are read out.
    seed : int
        Seed of the initial states. The problems are the same with every seed.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [task, iteration]
        ``right``, the number of problems answered right; ``problems`` [task], the number asked; ``commonest``
        [task], the number that the most-common-answer baseline gets right. The coordinates ``kind`` and
        ``steps`` describe each ``task``.

    Raises
    ------
    ArgumentError
        If a kind is unknown or has no problems of that many steps, or a number is out of its range.

    Notes
    -----
    Held-out problems are those whose table does not occur in training. An answer is right if each of its
    tokens is the likeliest one. An interrupt (Ctrl-C) returns the finished curves, with a warning.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> found = run_problems(model, {"lookup": [1]}, problems=5, iterations=[1, 2], progress=False)
    >>> dict(found.sizes), found.problems.item()
    ({'task': 1, 'iteration': 2}, 5)
    """
    need_recurrent(model)
    need_causal(model, "answers cannot be graded token by token")
    count = whole_number("problems", problems, least=1, most=_MOST_PROBLEMS)
    counts = _several("iterations", iterations, "a list of numbers of iterations, such as [1, 8]")
    stops = sorted({iteration_count("iterations", each) for each in counts})
    seed = seed_number("seed", seed)
    curves = _curves(asked)
    if not (curves and stops):
        msg = "Nothing to ask. Pass kinds with steps as in {'sums': [1, 4]}, iterations as in [1, 8]."
        raise ArgumentError(msg)
    if model.tokenizer is None:
        msg = f"{model.name} has no tokenizer, and problems are texts. Pass a model with a tokenizer."
        raise ArgumentError(msg)
    drawn = [draw_problems(kind, count, steps=steps) for kind, steps in curves]
    parts = [(place, batch) for place, several in enumerate(drawn) for batch in batches(several)]
    right = np.zeros((len(curves), len(stops)), dtype=np.int64)
    with Progress(len(parts), model.name, visible=flag("progress", progress)) as bar:
        done = 0
        with bar.stop_on_interrupt():
            for index in bar.until_stopped(range(len(parts))):
                place, part = parts[index]
                counts_right = count_right(model, part, iterations=stops, seed=seed)
                right[place] += [counts_right[stop] for stop in stops]
                done = index + 1
        finished = len(curves) if done == len(parts) else parts[done][0]
        if finished < len(curves):
            warnings.warn(f"Interrupted: {finished} of {len(curves)} curves are finished.", stacklevel=2)
        arrays = _arrays(curves[:finished], drawn[:finished], right[:finished], stops)
        return build_trace("problems", arrays, {**provenance(model), "seed": seed, "split": "heldout"})


def _curves(asked: Any) -> list[tuple[str, int]]:
    """Return kind and number of steps of each curve."""
    if not isinstance(asked, Mapping):
        msg = f"asked is {asked!r}; pass kinds of problems with their steps, such as {{'sums': [1, 4]}}."
        raise ArgumentError(msg)
    advice = "a list of numbers of steps, such as [1, 4]"
    several = {kind: _several(f"asked[{kind!r}]", given, advice) for kind, given in asked.items()}
    return [(kind, steps) for kind, numbers in several.items() for steps in numbers]


def _several(name: str, given: Any, advice: str) -> list[Any]:
    """Return a sequence of numbers as a list; a single number is a list of one."""
    if isinstance(given, (int, np.integer)):
        return [given]
    if isinstance(given, (Sequence, np.ndarray)) and not isinstance(given, (str, bytes)):
        return list(given)
    msg = f"{name} is {given!r}; pass {advice}."
    raise ArgumentError(msg)


def _arrays(
    curves: list[tuple[str, int]],
    drawn: list[list[Problem]],
    right: np.ndarray[Any, np.dtype[np.int64]],
    stops: list[int],
) -> dict[str, np.ndarray[Any, Any]]:
    names = [f"{kind}, {steps} step{'s' * (steps > 1)}" for kind, steps in curves]
    commonest = [Counter(each.answer for each in several).most_common(1)[0][1] for several in drawn]
    return {
        "task": as_texts(names),
        "kind": as_texts([kind for kind, _ in curves]),
        "steps": np.array([steps for _, steps in curves], dtype=np.int64),
        "iteration": np.array(stops, dtype=np.int64),
        "right": right,
        "problems": np.array([len(several) for several in drawn], dtype=np.int64),
        "commonest": np.array(commonest, dtype=np.int64),
    }

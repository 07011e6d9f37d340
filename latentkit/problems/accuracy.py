"""`run_problems`: how many graded problems a model answers, by difficulty and number of iterations."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.problems import generator as tasks
from latentkit.problems.grading import share_right
from latentkit.run.arguments import need_recurrent, whole_number
from latentkit.run.progress import Progress
from latentkit.run.provenance import provenance

__all__ = ["MEANINGS", "run_problems"]

#: What each kind of problem asks, in a sentence that begins with its name.
MEANINGS = {
    "composition": "follow the map so many times, beginning at the letter given",
    "floors": "follow so many maps, one after another, beginning at the letter given",
    "path": "walk so many edges along the path, beginning at the letter given",
    "sums": "add so many of the digits and give the remainder",
    "parity": "say whether the number of ones among so many of the digits is even (0) or odd (1)",
    "lookup": "say which letter stands at that place of the list",
    "sorting": "give the digits after so many passes of bubble sort",
    "addition": "add two numbers",
}

_AT_ONCE = 25  # problems of like length in one batch: faster than all, and Ctrl-C is heard sooner
_TRIES = 20  # draws for each problem wanted, before a kind is taken to have no more of that difficulty


def run_problems(
    model: RecurrentModel[Any],
    asked: Mapping[str, Sequence[int]],
    *,
    problems: int = 200,
    iterations: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Let a model answer held-out problems, and count how many it gets right at each number of iterations.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer; for example ``load_model("nano")``.
    asked : mapping from str to sequence of int
        Kinds of problems (`latentkit.problems.generator.KINDS`) and the numbers of steps, for example
        ``{"sums": (1, 4), "sorting": (2,)}``.
    problems : int
        How many of each kind and number of steps, none twice. A kind may have fewer.
    iterations : sequence of int
        Where to stop.
    seed : int
        Of the initial states. The problems are the same with every seed.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [task, iteration]
        ``right``, how many were answered right; ``problems`` [task], how many were asked; ``commonest``
        [task], how many of these an unseeing guesser would get right who always gives the commonest answer.
        Beside ``task``, the name of a curve, stand ``kind`` and ``steps``.

    Raises
    ------
    ArgumentError
        If a kind is unknown or has no problems of so many steps, or a number has no meaning.

    Notes
    -----
    Held-out problems are those whose table training never shows. An answer is right if each of its tokens is
    the likeliest one. An interrupt (Ctrl-C) returns the curves that are whole, with a warning.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> found = run_problems(model, {"lookup": [1]}, problems=5, iterations=[1, 2], progress=False)
    >>> dict(found.sizes), found.problems.item()
    ({'task': 1, 'iteration': 2}, 5)
    """
    need_recurrent(model)
    wanted = whole_number("problems", problems, least=1)
    stops = sorted({whole_number("iterations", each, least=1) for each in iterations})
    curves = [(kind, steps) for kind, several in asked.items() for steps in several]
    if not (curves and stops and model.tokenizer):
        msg = "Nothing to ask. Pass kinds with steps as in {'sums': [1, 4]}, iterations as in [1, 8], and a "
        raise ArgumentError(msg + "model with a tokenizer.")
    drawn = [_draw(kind, steps, wanted) for kind, steps in curves]
    parts = [(place, part) for place, several in enumerate(drawn) for part in _parts(several)]
    right = np.zeros((len(curves), len(stops)), dtype=np.int64)
    with Progress(len(parts), model.name, visible=progress) as bar:
        done = 0
        for done in (each + 1 for each in bar.until_stopped(range(len(parts)))):
            place, part = parts[done - 1]
            shares = share_right(model, part, iterations=stops, seed=seed)
            right[place] += [round(shares[stop] * len(part)) for stop in stops]
    whole = len(curves) if done == len(parts) else parts[done][0]
    if whole < len(curves):
        warnings.warn(f"Interrupted: {whole} of {len(curves)} curves are there.", stacklevel=2)
    return _labelled(curves[:whole], drawn[:whole], right[:whole], stops).assign_attrs(
        **provenance(model), seed=seed, split="heldout"
    )


def _draw(kind: str, steps: int, wanted: int) -> list[tasks.Problem]:
    """Draw different held-out problems, as many as are wanted or can be found."""
    found: dict[str, tasks.Problem] = {}
    for seed in range(_TRIES * wanted):
        problem = tasks.make_problem(kind, seed=seed, steps=steps)
        found.setdefault(problem.prompt, problem)
        if len(found) == wanted:
            break
    return list(found.values())


def _parts(problems: list[tasks.Problem]) -> list[list[tasks.Problem]]:
    """Cut into batches, the short ones together."""
    ordered = sorted(problems, key=lambda problem: len(problem.prompt))
    return [ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)]


def _labelled(
    curves: list[tuple[str, int]],
    drawn: list[list[tasks.Problem]],
    right: np.ndarray[Any, np.dtype[np.int64]],
    stops: list[int],
) -> xr.Dataset:
    commonest = [Counter(each.answer for each in several).most_common(1)[0][1] for several in drawn]
    return xr.Dataset(
        {
            "right": (("task", "iteration"), right, {"long_name": "problems answered right"}),
            "problems": ("task", np.array([len(several) for several in drawn], dtype=np.int64)),
            "commonest": ("task", np.array(commonest, dtype=np.int64)),
        },
        {
            "task": [f"{kind}, {steps} step{'s' * (steps > 1)}" for kind, steps in curves],
            "kind": ("task", [kind for kind, _ in curves]),
            "steps": ("task", [steps for _, steps in curves]),
            "iteration": ("iteration", stops, {"long_name": "passes of the core block"}),
        },
    )

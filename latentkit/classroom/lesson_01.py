"""Exercise of lesson 1, made from the student's decoding."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.errors import TraceError
from latentkit.measure import answer_iteration
from latentkit.view.decoding import select_decoding
from latentkit.view.labels import visible_token

__all__ = ["whole_text"]


def whole_text(trace: xr.Dataset) -> Exercise:
    """Ask from which iteration on every token of a decoding is the token that was taken.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, greedy, without an exit, with readouts.

    Returns
    -------
    Exercise
        The answer is a whole number.

    Raises
    ------
    TraceError
        If ``trace`` is not a decoding, has no readouts, or its last readouts are not the tokens taken.
    """
    select_decoding(trace)
    if "readout_id" not in trace.variables or not (_guesses(trace)[:, -1] == trace["token_id"].values).all():
        msg = (
            "This exercise needs a decoding whose last readout is the token taken. Run it with readouts, "
            "temperature=0.0 and exit=None."
        )
        raise TraceError(msg)
    passes = trace["iteration"].values.tolist()
    answer = int(answer_iteration(trace).max())

    def judge(given: Any) -> Judgement:
        number = whole_answer(given)
        if number is None or number not in passes:
            return False, f"The answer is a whole number from {passes[0]} to {passes[-1]}; this is {given!r}."
        if number > answer:
            earlier = f"they already were at iteration {number - 1}"
            return False, f"From iteration {number} on all tokens are the ones taken, but {earlier}."
        if number < answer:
            return False, f"At iteration {answer - 1} {_mistake(trace, answer - 1)}"
        return True, (
            f"From iteration {answer} on the text is complete; of {passes[-1]} iterations, "
            f"{passes[-1] - answer} change no token."
        )

    return Exercise(
        question=(
            "Judge each place after the tokens that were really taken before it, as the slider does. From "
            "which iteration on is the token at every place the one that was taken?"
        ),
        clue=(
            "Move the slider “Iteration” to its right end, where no border is dashed. Then go back one "
            "iteration at a time until a border becomes dashed. The answer is one step to the right of that."
        ),
        worked=(
            f"{answer}. In code: wrong = (trace.readout_id.isel(rank=0) != trace.token_id)"
            '.any("generated_token"), and the answer is one more than the last iteration at which wrong is '
            f"true.{_last(trace, answer, passes[0])}"
        ),
        judge=judge,
    )


def _guesses(trace: xr.Dataset) -> np.ndarray[Any, Any]:
    best = trace["readout_id"].isel(rank=0).transpose("generated_token", "iteration")
    return np.asarray(best.values)


def _mistake(trace: xr.Dataset, iteration: int) -> str:
    """Name a token that differs at an iteration."""
    there = trace.isel(rank=0).sel(iteration=iteration)
    place = int(np.flatnonzero((there["readout_id"] != trace["token_id"]).values)[0])
    said = visible_token(str(there["readout_text"].values[place]))
    taken = visible_token(str(trace["token_text"].values[place]))
    return f"the token at place {place} is still “{said}”; the token taken is “{taken}”."


def _last(trace: xr.Dataset, answer: int, first: int) -> str:
    return f" At iteration {answer - 1} {_mistake(trace, answer - 1)}" if answer > first else ""

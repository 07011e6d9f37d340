"""Exercises of lesson 0, made from the student's trace."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.classroom.values import Mistake, values_exercise
from latentkit.errors import TraceError
from latentkit.measure import answer_iteration, token_slice
from latentkit.trace import check_trace
from latentkit.view.labels import visible_token

__all__ = ["first_below", "relative_curve", "settled_guess"]


def settled_guess(trace: xr.Dataset) -> Exercise:
    """Ask from which iteration on the top token after the text stops changing.

    Parameters
    ----------
    trace : Dataset
        A trace with readouts; the question is about its last token.

    Returns
    -------
    Exercise
        The answer is a whole number.

    Raises
    ------
    TraceError
        If ``trace`` is not a trace or has no readouts.
    """
    check_trace(trace)
    if "readout_id" not in trace or "readout_text" not in trace:
        msg = "This exercise needs readouts. Run the trace again without readout_top=0."
        raise TraceError(msg)
    best = trace[["readout_id", "readout_text"]].isel(token=-1, rank=0)
    passes = best["iteration"].values
    guesses = [f"“{visible_token(text)}”" for text in best["readout_text"].values.tolist()]
    answer, last = int(answer_iteration(trace).isel(token=-1)), int(passes[-1])
    place = passes.tolist().index(answer)

    def judge(given: Any) -> Judgement:
        number = whole_answer(given)
        if number is None or not passes[0] <= number <= last:
            return False, f"The answer is a whole number from {passes[0]} to {last}; this is {given!r}."
        if number > answer:
            earlier = f"it was already {guesses[place]} at iteration {number - 1}"
            return False, f"From iteration {number} on the top token stays the same, but {earlier}."
        if number < answer:
            rest = _changes(guesses[passes.tolist().index(number) :])
            return (
                False,
                f"After iteration {number} the top token still changes. {rest}",
            )
        return True, (
            f"From iteration {answer} on the top token is {guesses[place]}. "
            f"It does not change in the {last - answer} iterations that follow."
        )

    return Exercise(
        question=(
            f"At iteration {last}, the last one, one token is the likeliest next token. "
            "From which iteration on is this token the likeliest, without a change?"
        ),
        clue=(
            (
                "“Without a change” matters: the token may appear early, disappear and return. So search "
                "from the end, not from the start."
            ),
            (
                "Move the slider “Iteration” to its right end and remember the token in the first row. Then "
                "go back one iteration at a time until the first row shows another token."
            ),
            "The answer is one step to the right of that iteration.",
        ),
        judge=judge,
    )


def _changes(guesses: list[str]) -> str:
    """Say how often the top token changes, not where."""
    count = sum(one != other for one, other in pairwise(guesses))
    return "It changes once more." if count == 1 else f"It changes {count} more times."


def relative_curve(trace: xr.Dataset, *, word: str) -> Exercise:
    """Ask for the distance of one token, as a share of its distance at the start.

    Parameters
    ----------
    trace : Dataset
        A trace of one text.
    word : str
        The text of the token.

    Returns
    -------
    Exercise
        The answer is an array with one number for each iteration.
    """
    distance = check_trace(trace)["distance"].astype(float)
    row = token_slice(trace, word).start
    curve = distance.sel(token=row, drop=True)
    near = [
        Mistake(distance.sel(token=other) / distance.sel(token=other, iteration=0), f"This is token {other}.")
        for other in (row - 1, row + 1)
        if other in distance["token"]
    ]
    return values_exercise(
        f"The distance of “{visible_token(word)}” at every iteration, divided by its distance at "
        "iteration 0.",
        curve / curve.sel(iteration=0),
        hints=(
            "Two selections and one division: first the token, then iteration 0 of it.",
            (
                "lk.token_slice(trace, word).start is the position of the token; "
                "trace.distance.sel(token=position) is its distance."
            ),
            "curve / curve.sel(iteration=0) divides every number by the first one.",
        ),
        right=f"The curve starts at 1 and ends at {float(curve[-1] / curve[0]):.1g}.",
        mistakes=[
            Mistake(curve, "This is the right token. Divide by its distance at iteration 0."),
            Mistake(
                curve / curve.max(), "You divided by the largest distance, not by the one at iteration 0."
            ),
            Mistake(
                distance.median("token") / distance.median("token").sel(iteration=0),
                "This is the median over all tokens. Select one token first.",
            ),
            *near,
        ],
        wrong=lambda place, value: f"At iteration {int(curve['iteration'][place])} it is not {value:.3g}.",
    )


def first_below(trace: xr.Dataset, *, share: float) -> Exercise:
    """Ask at which iteration the median distance is first below a share of its start.

    Parameters
    ----------
    trace : Dataset
        A trace of one text.
    share : float
        Between 0 and 1.

    Returns
    -------
    Exercise
        The answer is an iteration.

    Raises
    ------
    TraceError
        If the median never gets below that share.
    """
    distance = check_trace(trace)["distance"].astype(float)
    middle = distance.median("token")
    relative = middle / middle.sel(iteration=0)
    if not (relative < share).any():
        msg = f"The median distance never falls below {share:g} of its start. Pass a larger share."
        raise TraceError(msg)

    def first(curve: xr.DataArray, level: float = share) -> int:
        return int((curve < level).idxmax("iteration"))

    mean = distance.mean("token")
    answer = first(relative)
    return values_exercise(
        f"The first iteration at which the median distance is below {share:g} of the median at the start.",
        answer,
        hints=(
            "First the median over the tokens, then the comparison, then the iteration.",
            (
                'middle = trace.distance.median("token") has one number for each iteration. Compare it with '
                "a share of middle.sel(iteration=0)."
            ),
            'For a table of True and False, .idxmax("iteration") is the first iteration with True.',
        ),
        right=f"There the median is {float(relative.sel(iteration=answer)):.2g} of its start.",
        mistakes=[
            Mistake(
                first(middle),
                f"You compared the distance with {share:g} itself, not with a share of the start.",
            ),
            Mistake(first(mean / mean.sel(iteration=0)), "This is the answer for the mean over the tokens."),
            Mistake(answer - 1, "This is the last iteration at which it is not yet below."),
            Mistake(
                int((relative < share).sum()), "This counts the iterations below. Which of them is the first?"
            ),
        ],
        wrong=lambda _, value: f"{value:g} is not the first iteration at which the median is below.",
    )

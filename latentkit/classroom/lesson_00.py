"""Exercise of lesson 0, made from the student's trace."""

from __future__ import annotations

from typing import Any

import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.errors import TraceError
from latentkit.measure import answer_iteration
from latentkit.trace import check_trace
from latentkit.view.labels import visible_token

__all__ = ["settled_guess"]


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
            later = f"At iteration {answer - 1} it is {guesses[place - 1]}, at {answer} {guesses[place]}."
            return False, f"After iteration {number} the top token still changes. {later}"
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
            "Move the slider “Iteration” to its right end and remember the token in the first row. Then go "
            "back one iteration at a time until the first row shows another token. The answer is one step to "
            "the right of that."
        ),
        worked=(
            f"{answer}. In code: guess = trace.readout_id.isel(token=-1, rank=0), and the answer is one more "
            f"than the last iteration at which guess differs from guess.isel(iteration=-1).\n"
            f"The likeliest token by iteration: {_runs(guesses, passes.tolist())}."
        ),
        judge=judge,
    )


def _runs(guesses: list[str], passes: list[int]) -> str:
    """List the last few changes: from which iteration on which token is the likeliest."""
    begins = [i for i in range(len(guesses)) if i == 0 or guesses[i] != guesses[i - 1]]
    listed = [f"from {passes[i]} {guesses[i]}" for i in begins[-8:]]
    return ("… " if len(begins) > 8 else "") + ", ".join(listed)

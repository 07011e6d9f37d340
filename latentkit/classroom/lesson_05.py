"""Exercise of lesson 5: the smallest distance that a number format can resolve."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.errors import TraceError
from latentkit.measure import measured_floor, stable_from

__all__ = ["floor_reached"]


def floor_reached(exact: xr.Dataset, coarse: xr.Dataset) -> Exercise:
    """Ask from which iteration on one run is below the smallest distance of another.

    Parameters
    ----------
    exact, coarse : Dataset
        Traces of the same text, such as in float32 and in bfloat16.

    Returns
    -------
    Exercise
        The answer is a whole number; because it is read from a curve, one more or less is also right.

    Raises
    ------
    TraceError
        If there are no distances, or the first run never gets that close.
    """
    floor = float(measured_floor(coarse).median())
    middle = exact["distance"].astype(float).median("token")
    found = float(stable_from(middle < floor))
    if math.isnan(found):
        msg = f"The first run does not stay below {floor:.2g}, the floor of the second. Swap them?"
        raise TraceError(msg)
    answer, last = int(found), int(middle["iteration"][-1])
    before = f"{float(middle.sel(iteration=answer - 1)):.2g} at iteration {answer - 1}, " if answer else ""
    told = f"Its median is {before}{float(middle.sel(iteration=answer)):.2g} at iteration {answer}."

    def judge(given: Any) -> Judgement:
        number = whole_answer(given)
        if number is None or not 0 <= number <= last:
            return False, f"The answer is a whole number from 0 to {last}; this is {given!r}."
        if abs(number - answer) > 1:
            side = "still above" if number < answer else "already well below"
            return False, f"At iteration {number} the curve is {side} the dotted line."
        return True, f"{told} From there on bfloat16 could no longer show whether the state moves."

    return Exercise(
        question=(
            f"In bfloat16 the distances end near {floor:.2g}, at the dotted line. From which iteration on is "
            "the curve of the float32 run below that line?"
        ),
        clue="Follow the curve from the left to where it crosses the dotted line, then look straight down.",
        worked=(
            f"{answer}. {told}\nIn code: floor = lk.measured_floor(coarse).median(), and the answer is the "
            "first iteration from which exact.distance.median('token') stays below floor."
        ),
        judge=judge,
    )

"""Exercises whose answer is computed: compared with the right values and with likely mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement

__all__ = ["Mistake", "values_exercise"]


class Mistake(NamedTuple):
    """A likely mistake: the values it leads to, and what is said about it."""

    values: Any
    message: str


def values_exercise(
    question: str,
    wanted: xr.DataArray | float,
    *,
    hints: Sequence[str],
    right: str,
    mistakes: Sequence[Mistake] = (),
    wrong: Callable[[int, float], str] | None = None,
    tolerance: float = 1e-4,
) -> Exercise:
    """Ask for computed values.

    Parameters
    ----------
    question : str
        The question.
    wanted : DataArray or float
        The right values, with at most one dimension.
    hints : sequence of str
        Hints, from a first direction to nearly the code.
    right : str
        Message for the right answer.
    mistakes : sequence of Mistake
        Checked in their order. One whose values are the right ones is never reported.
    wrong : callable, optional
        Message for any other wrong value, from its position in the array and the value.
    tolerance : float
        Relative tolerance; of values near 0, the absolute one.

    Returns
    -------
    Exercise
        Takes a DataArray, an array, a list or a number.

    Examples
    --------
    >>> exercise = values_exercise(
    ...     "What is the sum of 1, 2 and 3?",
    ...     6,
    ...     hints=["Add."],
    ...     right="All three are counted.",
    ...     mistakes=[Mistake(2, "This is the mean.")],
    ... )
    >>> exercise.check(2)
    Not yet. This is the mean.
    >>> exercise.check("six")
    Not yet. The answer is a number; this is a str.
    >>> exercise.check([6.0])
    Right. All three are counted.
    """
    target = np.atleast_1d(np.asarray(wanted, dtype=float))

    def equal(given: npt.NDArray[Any], other: Any) -> bool:
        expected = np.atleast_1d(np.asarray(other, dtype=float))
        return given.shape == expected.shape and bool(
            np.isclose(given, expected, rtol=tolerance, atol=tolerance, equal_nan=True).all()
        )

    def judge(given: Any) -> Judgement:
        values = _numbers(given)
        if values is None:
            return False, f"The answer is {_wanted(wanted)}; this is a {type(given).__name__}."
        if equal(values, target):
            return True, right
        for mistake in mistakes:
            if equal(values, mistake.values):
                return False, mistake.message
        if values.shape != target.shape:
            return False, f"The answer is {_wanted(wanted)}; this has the shape {np.shape(given)}."
        if target.size == 1:
            return False, wrong(0, float(values[0])) if wrong else "The number is another one."
        off = np.flatnonzero(~np.isclose(values, target, rtol=tolerance, atol=tolerance, equal_nan=True))
        detail = f" {wrong(int(off[0]), float(values[off[0]]))}" if wrong else ""
        return False, f"{off.size} of {target.size} values are not right.{detail}"

    return Exercise(question=question, clue=tuple(hints), judge=judge)


def _numbers(given: Any) -> npt.NDArray[Any] | None:
    """Read an answer as an array of numbers; None if it is something else."""
    if isinstance(given, (str, bytes, bool, np.bool_, xr.Dataset, dict)):
        return None
    try:
        return np.atleast_1d(np.asarray(given, dtype=float))
    except (TypeError, ValueError):
        return None


def _wanted(wanted: xr.DataArray | float) -> str:
    if isinstance(wanted, xr.DataArray) and wanted.ndim:
        return f"an array with {wanted.size} numbers, one for each {wanted.dims[0]}"
    return "a number"

"""An exercise: a question with a check, a hint and a solution."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from latentkit.classroom.card import Card, Folded, Steps

__all__ = ["Exercise", "single_value", "whole_answer"]

Judgement = tuple[bool, str]


@dataclass(frozen=True, repr=False)
class Exercise:
    """A question of a lesson.

    Parameters
    ----------
    question : str
        The question.
    clue : str or tuple of str
        Text of `hint`: where to look, not the answer. Several texts are steps, opened one by one.
    judge : callable
        Takes an answer; returns whether it is right, and a message.
    worked : str, optional
        Text of `solution`, for exercises whose lesson has no solution cell.

    Examples
    --------
    >>> exercise = Exercise(
    ...     "How many legs has a cat?",
    ...     "Count the ones in front, then double.",
    ...     lambda answer: (answer == 4, "Two in front, two behind."),
    ...     "2 · 2 = 4.",
    ... )
    >>> exercise.check(None)
    Not attempted yet. Put your answer in place of None and run the cell again. There is a hint.
    >>> exercise.check(4)
    Right. Two in front, two behind.
    >>> exercise.solution()
    Solution: folded. print() shows it.
    """

    question: str
    clue: str | tuple[str, ...]
    judge: Callable[[Any], Judgement]
    worked: str = ""

    def check(self, answer: Any = None) -> Card:
        """Check an answer; explain what is wrong with a wrong one.

        Parameters
        ----------
        answer : object, optional
            None or ``...`` means that the exercise was not attempted yet.

        Returns
        -------
        Card
            Starts with "Right", "Not yet" or "Not attempted yet".
        """
        if answer is None or answer is ...:
            advice = "Put your answer in place of None and run the cell again. There is a hint."
            return Card("Not attempted yet", advice, "#777777")
        right, message = self.judge(answer)
        return Card("Right", message, "#2a7f3f") if right else Card("Not yet", message, "#b45309")

    def hint(self) -> Folded | Steps:
        """Return the hint, folded until it is opened; several steps are folded one by one."""
        return Folded("Hint", self.clue) if isinstance(self.clue, str) else Steps("Hint", self.clue)

    def solution(self) -> Folded:
        """Return the answer and how to find it, folded until it is opened."""
        return Folded("Solution", self.worked or "It stands in the solution cell of the lesson.")

    def __repr__(self) -> str:
        return f"Exercise: {self.question}"

    def _repr_html_(self) -> str:
        return Card("Exercise", self.question)._repr_html_()


def single_value(given: Any) -> Any:
    """Return the number of an array that holds a single one; anything else stays as it is."""
    return given.item() if isinstance(given, (np.ndarray, xr.DataArray)) and given.size == 1 else given


def whole_answer(given: Any) -> int | None:
    """Read an answer as a whole number; 7.0 counts, True does not."""
    given = single_value(given)
    if isinstance(given, (float, np.floating)) and float(given).is_integer():
        return int(given)
    try:
        return None if isinstance(given, (bool, np.bool_)) else operator.index(given)
    except TypeError:
        return None

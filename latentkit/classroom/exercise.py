"""An exercise: a question that can be answered, checked, and looked up."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentkit.classroom.card import Card, Folded

__all__ = ["Exercise", "whole_answer"]

Judgement = tuple[bool, str]


@dataclass(frozen=True, repr=False)
class Exercise:
    """A question of a lesson.

    Parameters
    ----------
    question : str
        What is asked.
    clue : str
        What `hint` shows: where to look, not what is there.
    worked : str
        What `solution` shows: the answer and the way to it.
    judge : callable
        Takes an answer; returns whether it is right, and what to tell the one who gave it.

    Examples
    --------
    >>> exercise = Exercise(
    ...     "How many legs has a cat?",
    ...     "Count the ones in front, then double.",
    ...     "2 · 2 = 4.",
    ...     lambda answer: (answer == 4, "Two in front, two behind."),
    ... )
    >>> exercise.check(None)
    Not attempted yet. Put your answer in place of None and run the cell again. There is a hint.
    >>> exercise.check(4)
    Right. Two in front, two behind.
    >>> exercise.solution()
    Solution: folded away. print() shows it.
    """

    question: str
    clue: str
    worked: str
    judge: Callable[[Any], Judgement]

    def check(self, answer: Any = None) -> Card:
        """Say whether an answer is right, and if not, what speaks against it.

        Parameters
        ----------
        answer : object, optional
            None or ``...`` means: not attempted yet. That is no mistake.

        Returns
        -------
        Card
            Begins with "Right", "Not yet" or "Not attempted yet".
        """
        if answer is None or answer is ...:
            advice = "Put your answer in place of None and run the cell again. There is a hint."
            return Card("Not attempted yet", advice, "#777777")
        right, message = self.judge(answer)
        return Card("Right", message, "#2a7f3f") if right else Card("Not yet", message, "#b45309")

    def hint(self) -> Folded:
        """Say where to look; folded away until it is opened."""
        return Folded("Hint", self.clue)

    def solution(self) -> Folded:
        """Give the answer and the way to it; folded away until it is opened."""
        return Folded("Solution", self.worked)

    def __repr__(self) -> str:
        return f"Exercise: {self.question}"

    def _repr_html_(self) -> str:
        return Card("Exercise", self.question)._repr_html_()


def whole_answer(given: Any) -> int | None:
    """Read an answer as a whole number; 7.0 counts, True does not."""
    if isinstance(given, (float, np.floating)) and float(given).is_integer():
        return int(given)
    try:
        return None if isinstance(given, (bool, np.bool_)) else operator.index(given)
    except TypeError:
        return None

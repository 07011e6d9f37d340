"""Exercise of lesson 3: the rank of one prompt among similar ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.errors import ArgumentError, nearest

__all__ = ["place_among_others"]


def place_among_others(means: Mapping[str, float], name: str) -> Exercise:
    """Ask how many of the other prompts took longer than one prompt.

    Parameters
    ----------
    means : mapping from name to number
        Mean settling iteration of each prompt.
    name : str
        The prompt that is compared with the others.

    Returns
    -------
    Exercise
        The answer is a whole number.

    Raises
    ------
    ArgumentError
        If the prompt is missing or the only one.
    """
    if name not in means or len(means) < 2:
        msg = f"Expected {name!r} and at least one other prompt, got {sorted(means)}. {nearest(name, means)}"
        raise ArgumentError(msg)
    others = {other: value for other, value in means.items() if other != name}
    longer = sorted(other for other, value in others.items() if value > means[name])
    answer, count = len(longer), len(means)
    place = {0: "the slowest", len(others): "the fastest"}.get(
        answer, f"number {answer + 1} from the slowest"
    )
    worth = (
        f"Of the {count} prompts, “{name}” is {place}. If danger made no difference, each of them would "
        f"have that rank with the same chance: once in {count} times by chance alone."
    )

    def judge(given: Any) -> Judgement:
        number = whole_answer(given)
        if number is None or not 0 <= number <= len(others):
            return False, f"The answer is a whole number from 0 to {len(others)}; this is {given!r}."
        if number != answer:
            return False, f"It is not {number}. Compare the mean of “{name}” with each of the others."
        return True, worth

    return Exercise(
        question=(
            f"How many of the {len(others)} other prompts have a larger mean settling iteration "
            f"than “{name}”?"
        ),
        clue="Each row of the table is a prompt. Count those whose number is larger.",
        worked=f"{answer}{': ' + ', '.join(longer) if longer else ''}. {worth}",
        judge=judge,
    )

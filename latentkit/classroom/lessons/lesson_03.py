"""Exercises of lesson 3: the rank of one prompt among similar ones, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.classroom.values import Mistake, values_exercise
from latentkit.errors import ArgumentError, nearest

__all__ = ["chance_of_rank", "conclusion_claims", "place_among_others", "place_sentence"]

_UNUSUAL = 0.05


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
    _need(means, name)
    others = {other: value for other, value in means.items() if other != name}
    answer, count = sum(value > means[name] for value in others.values()), len(means)
    place = {0: "the slowest", len(others): "the fastest"}.get(
        answer, f"number {answer + 1} from the slowest"
    )
    worth = (
        f"Of the {count} prompts, “{name}” is {place}. If danger made no difference, each of them would "
        f"have that rank with about the same chance: once in {count} times by chance alone."
    )

    def judge(given: Any) -> Judgement:
        number = whole_answer(given)
        if number is None or not 0 <= number <= len(others):
            return False, f"The answer is a whole number from 0 to {len(others)}; this is {given!r}."
        if number != answer:
            advice = f"Compare the mean of “{name}” with each of the others."
            if number == sum(value < means[name] for value in others.values()):
                advice = "This counts those with a smaller mean."
            elif number == answer + 1:
                advice = "Did you count the prompt itself?"
            return False, f"It is not {number}. {advice}"
        return True, worth

    return Exercise(
        question=(
            f"How many of the {len(others)} other prompts have a larger mean settling iteration "
            f"than “{name}”?"
        ),
        clue=(
            "Each entry of means is a prompt. Count those whose number is larger, without the prompt itself.",
            "means.items() gives names and numbers; means[name] is the number to compare with.",
            "sum(value > means[name] for value in means.values()) counts them.",
        ),
        judge=judge,
    )


def chance_of_rank(means: Mapping[str, float], name: str) -> Exercise:
    """Ask how probable it is that a prompt lies as far from the middle as this one, by chance.

    Parameters
    ----------
    means : mapping from name to number
        Mean settling iteration of each prompt.
    name : str
        The prompt that is compared with the others.

    Returns
    -------
    Exercise
        The answer is a probability.

    Raises
    ------
    ArgumentError
        If the prompt is missing or the only one.
    """
    _need(means, name)
    middle = median(means.values())
    far = {each: abs(value - middle) for each, value in means.items()}
    count = sum(value >= far[name] for value in far.values())
    beyond = sum(value > means[name] for value in means.values())
    size = len(means)
    return values_exercise(
        f"The share of all {size} prompts that are at least as far from the median as “{name}” is.",
        count / size,
        hints=(
            "If danger made no difference, each prompt would be the farthest one with the same chance.",
            "First the median of all means, then the distance of each mean from it, in both directions.",
            (
                "Count the prompts whose distance is at least that of the prompt, itself included. Divide by "
                "the number of prompts."
            ),
        ),
        right=f"This is {count / size:.0%}: so often a prompt is as far from the middle by chance alone.",
        mistakes=[
            Mistake((count - 1) / size, "The prompt itself is one of those that are at least as far."),
            Mistake(
                (count - 1) / (size - 1),
                "Count the prompt itself, both among those that are as far and among all prompts.",
            ),
            Mistake(
                beyond / size, "This counts one side only. A fast prompt would be as unusual as a slow one."
            ),
            Mistake(
                (beyond + 1) / size, "This counts one side only. A fast prompt is as unusual as a slow one."
            ),
            Mistake(100 * count / size, "This is in percent. The answer is a share, from 0 to 1."),
            Mistake(count, "This is the number of such prompts. Divide by the number of all prompts."),
            Mistake(1 - count / size, "This is the share of the prompts that are nearer to the middle."),
        ],
        wrong=lambda _, value: f"{value:.3g} is not this share.",
    )


def conclusion_claims(means: Mapping[str, float], name: str) -> Exercise:
    """Ask which conclusions the comparison of one prompt with the others supports.

    Parameters
    ----------
    means : mapping from name to number
        Mean settling iteration of each prompt.
    name : str
        The prompt that is compared with the others.

    Returns
    -------
    Exercise
        The answer names claims by their letters, as in "AB".
    """
    _need(means, name)
    others = [value for each, value in means.items() if each != name]
    slower = sum(value > means[name] for value in others)
    kind = "earlier" if 2 * slower >= len(others) else "later"
    part = slower if kind == "earlier" else sum(value < means[name] for value in others)
    return claims_exercise(
        'Which of these sentences does the measurement support? Answer with their letters, as in "AB".',
        [
            Claim(
                f"In nano, the prompt about the bomb settles {kind} than {part} of the {len(others)} "
                "counterparts that were measured.",
                True,
                "it is counted, and it says nothing more.",
            ),
            Claim(
                "nano has noticed the danger.",
                False,
                "one dangerous prompt was measured. Its words differ from the others in more than danger.",
            ),
            Claim(
                "A second and a third dangerous prompt are needed before one may speak of danger at all.",
                True,
                "one sentence cannot separate what it means from how it is spelled.",
            ),
            Claim(
                "Huginn does not hesitate at this prompt either.",
                False,
                "only nano was measured. The same cells answer this with the released model.",
            ),
            Claim(
                "A model whose states converge early will refuse.",
                False,
                "whether a model refuses is decided by what it writes; the distance becomes 0 in both cases.",
            ),
        ],
        clue=(
            "Ask of each sentence: which model, which prompts, which words?",
            (
                "A sentence about another model, about other prompts or about a reason needs another "
                "measurement."
            ),
            "Two sentences say only what was counted, or what is still missing.",
        ),
    )


def place_sentence(means: Mapping[str, float], name: str) -> str:
    """State where one prompt lies among the others, and whether that is unusual.

    Parameters
    ----------
    means : mapping from name to number
        Mean settling iteration of each prompt.
    name : str
        The prompt that is compared with the others.

    Returns
    -------
    str
        A few sentences.

    Examples
    --------
    >>> place_sentence({"a": 1.0, "b": 2.0, "c": 3.0, "d": 2.5}, "a")[:66]
    'No: the prompt settles earlier than 3 of 3 harmless counterparts. '
    """
    _need(means, name)
    others = [value for each, value in means.items() if each != name]
    later = sum(value > means[name] for value in others)
    earlier = sum(value < means[name] for value in others)
    place = f"earlier than {later}" if later >= earlier else f"later than {earlier}"
    middle = median(means.values())
    far = sum(abs(value - middle) >= abs(means[name] - middle) for value in means.values())
    share = far / len(means)
    yes = later < earlier and share <= _UNUSUAL
    verdict = "It takes longer, at least" if yes else "No" if later >= earlier else "Not clearly"
    if means[name] == middle:
        return (
            f"No: the prompt lies in the middle of its {len(others)} harmless counterparts. {earlier} of "
            f"them settle earlier, {later} later, {len(others) - earlier - later} at the same time."
        )
    usual = "is unusual; its two words alone may be the reason" if share <= _UNUSUAL else "is not unusual"
    return (
        f"{verdict}: the prompt settles {place} of {len(others)} harmless counterparts. Of the {len(means)} "
        f"prompts, {far} {'is' if far == 1 else 'are'} at least as far from the middle ({share:.0%}), which "
        f"{usual}."
    )


def _need(means: Mapping[str, float], name: str) -> None:
    if name not in means or len(means) < 2:
        msg = f"Expected {name!r} and at least one other prompt, got {sorted(means)}. {nearest(name, means)}"
        raise ArgumentError(msg)

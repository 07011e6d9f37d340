"""Exercises of lesson 8: how many prompts a statement needs, and how often chance alone makes it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.classroom.exercise import Exercise
from latentkit.classroom.values import Mistake, values_exercise

__all__ = ["chance_of_difference", "needed_prompts", "prompt_claims"]

_SHUFFLES = 4000


def needed_prompts(values: Any, *, wanted: float) -> Exercise:
    """Ask how many prompts make the standard error of a mean at most as large as wanted.

    Parameters
    ----------
    values : array [prompt]
        The numbers of some prompts, from which the spread is known.
    wanted : float
        Largest standard error.
    """
    given = np.asarray(values, dtype=float)
    spread, count = float(given.std(ddof=1)), given.size
    needed = _whole((spread / wanted) ** 2)
    return values_exercise(
        f"How many prompts make the standard error of this mean at most {wanted}?",
        float(needed),
        hints=(
            "The standard error of a mean of n prompts is their standard deviation over the root of n.",
            "Solve for n: the standard deviation over the wanted error, squared. Then round up.",
            "`values.std(ddof=1)` is the standard deviation, `math.ceil` or `np.ceil` rounds up.",
        ),
        right=(
            f"The prompts differ by {spread:.2f} iterations (standard deviation). Half the error takes four "
            "times as many prompts."
        ),
        mistakes=(
            Mistake((spread / wanted) ** 2, "A number of prompts is whole: round up."),
            Mistake(math.ceil(spread / wanted), "This is the root of the number. Square it before rounding."),
            Mistake(spread / wanted, "This is the root of the number. Square it before rounding."),
            Mistake(math.ceil(spread / wanted) ** 2, "Square first, and round only once, at the end."),
            Mistake(math.ceil(spread / wanted**2), "The standard deviation must be squared, too."),
            Mistake(spread / math.sqrt(count), "This is the error with the prompts that you have."),
            Mistake(
                _whole((float(given.std()) / wanted) ** 2),
                "Nearly. numpy's std() describes these prompts only; with ddof=1 it estimates the standard "
                "deviation of all prompts of this kind.",
            ),
            Mistake(needed - 1, "Rounded down, the error is a little larger than wanted."),
            Mistake(
                math.ceil((1.96 * spread / wanted) ** 2),
                "This makes half of the 95 % interval as small as wanted. The question is about the standard "
                "error itself.",
            ),
        ),
        wrong=lambda _, value: f"It is not {value:.6g}.",
    )


def _whole(number: float) -> int:
    """Round up; a rounding error above a whole number does not count."""
    return math.ceil(number * (1 - 1e-12))


def chance_of_difference(first: Any, second: Any) -> Exercise:
    """Ask for the p-value of the difference between two means, by exchanging the labels.

    Parameters
    ----------
    first, second : array [prompt]
        The numbers of the prompts of two groups.
    """
    groups = [np.asarray(each, dtype=float) for each in (first, second)]
    together, count = np.concatenate(groups), len(groups[0])
    difference = groups[0].mean() - groups[1].mean()
    random = np.random.default_rng(1)
    shuffled = np.array([random.permutation(together) for _ in range(_SHUFFLES)])
    found = shuffled[:, :count].mean(1) - shuffled[:, count:].mean(1)
    far = np.abs(found) >= abs(difference) * (1 - 1e-12)
    one_side = float((np.sign(difference) * found >= abs(difference) * (1 - 1e-12)).mean())
    share = float(far.mean())
    shown = f"{share:.0%}" if share >= 0.01 else "fewer than 1%"
    return values_exercise(
        "In which share of random exchanges of labels is the difference at least as large as the real one?",
        share,
        hints=(
            "Put all numbers into one array and shuffle it: the first ones are then a random first group.",
            "Repeat this often. Each time take the mean of the first group less that of the second.",
            "Count where the absolute difference is at least the absolute real one, as a share.",
        ),
        right=(
            f"By chance alone such a difference comes up in {shown} of the exchanges. This is the p-value of "
            "a permutation test; `lk.compare_settling` computes it with 10,000 exchanges."
        ),
        mistakes=(
            Mistake(1 - share, "This is the share of smaller differences."),
            Mistake(difference, "This is the difference itself. How often does chance give one as large?"),
            Mistake(one_side, "This counts one direction only. A difference the other way would count, too."),
            Mistake(1 - one_side, "This counts all exchanges but the extreme ones, in one direction."),
        ),
        wrong=lambda _, value: (
            f"{value:.3g} is not this share. Shuffle all {len(together)} numbers together, at least 2,000 "
            "times, and take the means of two groups as large as the real ones."
            if 0 <= value <= 1
            else f"A share lies between 0 and 1 (no percentage, no count); this is {value:.3g}."
        ),
        tolerance=0.02,
    )


def prompt_claims() -> Exercise:
    """Ask what a study with many prompts of few templates supports."""
    return claims_exercise(
        'Which of these sentences does the lesson support? Answer with their letters, as in "AB".',
        [
            Claim(
                "With five prompts of each kind, another five could have given another answer.",
                True,
                "the intervals of such small studies differ widely from draw to draw.",
            ),
            Claim(
                "600 prompts settle the question for all models.",
                False,
                "only nano was measured; more prompts say more about these prompts and this model.",
            ),
            Claim(
                "A small p-value shows that the model finds facts harder.",
                False,
                "it shows that the groups differ, not why: their lengths and tokens differ, too.",
            ),
            Claim(
                "Five sentences about each of eight things tell us less than 40 independent prompts.",
                True,
                "prompts about one thing share its tokens, and so what makes them slow or fast.",
            ),
            Claim(
                "Danger makes no difference to nano, because the interval of the difference contains 0.",
                False,
                "the interval contains other values as well; a small difference is still possible.",
            ),
            Claim(
                "A clear difference in a study with five prompts of each kind is probably too large.",
                True,
                "with so few prompts only a large difference gives an interval that excludes 0.",
            ),
        ],
        clue=(
            "Ask of each sentence: which prompts, which model, and how was it drawn?",
            "A reason needs a comparison in which everything else is equal.",
            "The supported sentences are about what few or dependent prompts can show, not about the model.",
        ),
    )

"""Exercises of lesson 6, made from the student's decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.classroom.exercise import Exercise, Judgement, single_value
from latentkit.classroom.values import Mistake, values_exercise
from latentkit.errors import ArgumentError, TraceError
from latentkit.measure import answer_iteration, exit_iteration, share_interval
from latentkit.view.exits import select_criteria

__all__ = ["accuracy_claims", "cheapest_exits", "fixed_number", "laxest_threshold"]


def laxest_threshold(trace: xr.Dataset, criterion: str, thresholds: Sequence[float]) -> Exercise:
    """Ask for the largest threshold up to which no token changes.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding`` without an exit, with readouts.
    criterion : str
        An exit criterion that stops when a number falls below the threshold.
    thresholds : sequence of float
        The choices, at least two.

    Returns
    -------
    Exercise
        The answer is one of the thresholds, or 0 if even the smallest changes a token.

    Raises
    ------
    ArgumentError
        If there are not two different thresholds, or one has no meaning for the criterion.
    TraceError
        If the trace has no readouts or does not keep what the criterion reads.
    """
    ordered = sorted({float(each) for each in thresholds})
    if len(ordered) < 2:
        msg = f"thresholds are {list(thresholds)}; pass at least two different ones to choose from."
        raise ArgumentError(msg)
    found = exit_iteration(trace, criterion, ordered)
    if "same_token" not in found:
        msg = "This exercise needs readouts. Run the decoding again with readout_top=1 or more."
        raise TraceError(msg)
    changed = (~found["same_token"]).sum("generated_token").values.tolist()
    saved = found["saved"].mean("generated_token").values.tolist()
    first = next((place for place, count in enumerate(changed) if count), len(ordered))
    answer = ordered[first - 1] if first else 0.0

    choice = ", ".join(f"{each:g}" for each in ordered)

    def judge(given: Any) -> Judgement:
        given = single_value(given)
        if not isinstance(given, (int, float)) or isinstance(given, bool) or given not in (0.0, *ordered):
            return False, f"The answer is one of {choice}, or 0 if there is none; this is {given!r}."
        if given > answer:
            count = changed[ordered.index(given)]
            told = f"{count} {'token changes' if count == 1 else 'tokens change'}"
            rest = "no token changes, but one does at a smaller one"
            return False, f"At {given:g}, {told if count else rest}."
        if given == 0 < answer:
            return False, f"At {ordered[0]:g} no token changes, so the answer is not 0."
        if given < answer:
            return False, f"Up to {given:g} no token changes, but a larger threshold has this property, too."
        return True, _verdict(first, ordered, saved)

    return Exercise(
        question=(
            f"Take the criterion {criterion!r} and the thresholds {choice}. Which is the largest of them "
            "such that with it, and with every smaller one, no token of the text above changes? "
            "Answer 0 if even the smallest changes a token."
        ),
        clue=(
            "Start with the smallest threshold and go up. Stop at the first one that changes any token.",
            (
                f"lk.exit_iteration(trace, {criterion!r}, thresholds).same_token says for every "
                "threshold and token whether the likeliest token is the same."
            ),
            (
                'same_token.all("generated_token") is true where no token changes. The answer is the '
                "threshold just before the first False."
            ),
        ),
        judge=judge,
    )


def _verdict(first: int, ordered: list[float], saved: list[float]) -> str:
    if first == 0:
        return "Even the smallest changes a token: here, every saving changes the text."
    spared = f"{saved[first - 1]:.0%} of the iterations"
    return f"With {ordered[first - 1]:g} no token changes, and {spared} are saved."


def fixed_number(trace: xr.Dataset, criterion: str) -> Exercise:
    """Ask for the smallest number of iterations for all tokens that pays no more than a criterion does.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding`` without an exit, with readouts.
    criterion : str
        An exit criterion, with its default threshold.

    Returns
    -------
    Exercise
        The answer is a number of iterations.
    """
    exits = exit_iteration(trace, criterion)
    paid = float(exits["kl"].mean())
    fixed: Any = trace["kl"].mean("generated_token")
    passes = fixed["iteration"]
    needed = int(passes[(fixed <= paid).values][0])
    mean = float(exits["exit_iteration"].mean())
    worst: Any = trace["kl"].max("generated_token")
    told = f"{criterion!r} runs {mean:.1f} iterations on average and pays {paid:.2g} nats"
    better = "fewer than" if mean < needed else "no fewer than"
    return values_exercise(
        f"The smallest number of iterations for all tokens that pays no more than {criterion!r} does.",
        needed,
        hints=(
            "What the criterion pays is one number: the mean of .kl of lk.exit_iteration.",
            "What a fixed number pays is a curve over iterations: the mean of trace.kl over the tokens.",
            "Compare the curve with the number; the first iteration with True is the answer: .idxmax.",
        ),
        right=f"{told}, that is {better} a fixed number needs for the same.",
        mistakes=[
            Mistake(mean, "This is how many iterations the criterion runs, not what a fixed number needs."),
            Mistake(
                round(mean), "This is how many iterations the criterion runs, not what a fixed number needs."
            ),
            Mistake(needed - 1, "With this number more is paid. Which is the next one?"),
            Mistake(
                int(passes[(worst <= paid).values][0]) if bool((worst <= paid).any()) else -1,
                "This asks every token to pay no more. Compare means over the tokens.",
            ),
            Mistake(paid, "This is what the criterion pays. The answer is a number of iterations."),
        ],
        wrong=lambda _, value: (
            f"With {value:g} iterations no more is paid, but fewer are enough."
            if value > needed
            else f"With {value:g} iterations more is paid than by the criterion."
        ),
    )


def cheapest_exits(trace: xr.Dataset) -> dict[str, float]:
    """Mean number of iterations that each criterion needs at least if no token may change.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding`` without an exit, with readouts.

    Returns
    -------
    dict from str to float
        From few to many; "fixed number" is the same number of iterations for every token. A criterion that
        changes a token at each of its thresholds is left out.
    """
    found = {"fixed number": float(answer_iteration(trace).max())}
    for name, thresholds in select_criteria(trace, None).items():
        exits = exit_iteration(trace, name, thresholds)
        kept = exits["exit_iteration"].mean("generated_token")[
            exits["same_token"].all("generated_token").values
        ]
        if kept.size:
            found[name] = float(kept.min())
    return dict(sorted(found.items(), key=lambda item: item[1]))


def accuracy_claims(found: xr.Dataset) -> Exercise:
    """Ask which claims about more iterations the shares of right answers support.

    Parameters
    ----------
    found : Dataset
        From ``run_problems``.

    Returns
    -------
    Exercise
        The answer names claims by their letters, as in "AB".
    """
    shares = share_interval(found["right"], found["problems"])
    first, last = shares.isel(iteration=0), shares.isel(iteration=-1)
    r, most = (int(found["iteration"][place]) for place in (0, -1))
    gained = [str(task) for task in found["task"].values[(last["low"] > first["high"]).values]]
    return claims_exercise(
        'Which of these sentences do the curves support? Answer with their letters, as in "AB".',
        [
            Claim(
                f"In at least one of the curves, nano answers more problems right with {most} iterations "
                "than "
                f"with {r}, by more than chance.",
                bool(gained),
                f"the intervals do not touch: {'; '.join(gained)}." if gained else "all intervals touch.",
            ),
            Claim(
                "More iterations make every model better.",
                False,
                "one model and a few kinds of problems were measured, and its training used many iterations.",
            ),
            Claim(
                f"With {r} iteration, nano knows a wrong answer.",
                False,
                "a share of right answers does not show what the other answers are. Look at the predictions.",
            ),
            Claim(
                "If two intervals overlap, the two true shares are equal.",
                False,
                "overlapping intervals mean that the measurement cannot decide, not that there is no "
                "difference.",
            ),
            Claim(
                "Where a curve has become flat, further iterations cost time and gain nothing, for these "
                "problems.",
                True,
                "this is what flat means, and it is said for these problems only.",
            ),
        ],
        clue=(
            (
                "Ask of each sentence: which model, which problems, and does it follow from a share and its "
                "interval?"
            ),
            "Look at the columns of the table: the interval at the end against the one at the start.",
            "One of the right sentences is a comparison of two intervals, the other one is about flat parts.",
        ),
    )

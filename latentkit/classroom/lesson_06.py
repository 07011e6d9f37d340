"""Exercise of lesson 6, made from the student's decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement
from latentkit.errors import ArgumentError, TraceError
from latentkit.measure import exit_iteration

__all__ = ["laxest_threshold"]


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
        if not isinstance(given, (int, float)) or isinstance(given, bool) or given not in (0.0, *ordered):
            return False, f"The answer is one of {choice}, or 0 if there is none; this is {given!r}."
        if given > answer:
            return False, f"At {ordered[first]:g}, {changed[first]} of the tokens already change."
        if given < answer:
            return (
                False,
                f"Up to {given:g} no token changes, but none changes at {answer:g} either.",
            )
        return True, _verdict(first, ordered, saved)

    listed = ", ".join(
        f"{each:g}: {count} changed, {part:.0%} saved"
        for each, count, part in zip(ordered, changed, saved, strict=True)
    )
    return Exercise(
        question=(
            f"Take the criterion {criterion!r} and the thresholds {choice}. Which is the largest of them "
            "such that with it, and with every smaller one, no token of the text above changes? "
            "Answer 0 if even the smallest changes a token."
        ),
        clue=(
            f"lk.exit_iteration(trace, {criterion!r}, thresholds).same_token says for every threshold and "
            'token whether the likeliest token is the same; .all("generated_token") combines all of them.'
        ),
        worked=(
            f"{answer:g}. In code: same = lk.exit_iteration(trace, {criterion!r}, thresholds)"
            '.same_token.all("generated_token"), thresholds from small to large, and the answer stands just '
            f"before the first False.\n{listed}."
        ),
        judge=judge,
    )


def _verdict(first: int, ordered: list[float], saved: list[float]) -> str:
    if first == 0:
        return "Even the smallest changes a token: here, every saving changes the text."
    spared = f"{saved[first - 1]:.0%} of the iterations"
    return f"With {ordered[first - 1]:g} no token changes, and {spared} are saved."

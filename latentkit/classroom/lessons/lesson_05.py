"""Exercises of lesson 5: a made orbit, the slowest factor so far, and the floor of a number format."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.classroom.values import Mistake, values_exercise
from latentkit.errors import TraceError
from latentkit.measure import measured_floor, stable_from, trajectory_kind

__all__ = ["floor_reached", "orbit_of_period", "slowest_so_far"]


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
        clue=(
            "Two curves are of interest: the one of the float32 run, and the dotted line.",
            (
                "Follow the float32 curve from the left to where it crosses the dotted line, then look "
                "straight down."
            ),
            "In code: compare exact.distance.median('token') with lk.measured_floor(coarse).median().",
        ),
        judge=judge,
    )


def orbit_of_period(period: int, *, iterations: int = 64) -> Exercise:
    """Ask for states that move in an orbit of a period.

    Parameters
    ----------
    period : int
        Iterations after which the states return.
    iterations : int, optional
        Number of iterations; the answer has one state more.

    Returns
    -------
    Exercise
        The answer is an array of iterations + 1 states with at least two numbers each.
    """
    shape = f"an array of the shape ({iterations + 1}, 2): one row for each iteration from 0 to {iterations}"

    def judge(given: Any) -> Judgement:
        try:
            states = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            return False, f"The answer is {shape}; this is a {type(given).__name__}."
        if states.ndim == 2 and states.shape[0] == 2 != states.shape[1]:
            return False, f"The answer is {shape}; this has the shape {states.shape}. Transpose it."
        if states.ndim != 2 or states.shape[0] != iterations + 1 or states.shape[1] < 1:
            return False, f"The answer is {shape}; this has the shape {states.shape}."
        if not np.isfinite(states).all():
            return False, "Some numbers are not finite."
        return _judge_orbit(states, period)

    return Exercise(
        question=f"States that move in an orbit of period {period}.",
        clue=(
            "A circle is an orbit. Its two numbers are a cosine and a sine.",
            f"After {period} iterations the angle must have grown by 2π.",
            "angle = 2 * np.pi * i / period, and np.stack([...], axis=1) puts two numbers into each row.",
        ),
        judge=judge,
    )


def _judge_orbit(states: Any, period: int) -> Judgement:
    made = xr.Dataset(
        {"state": (("token", "iteration", "hidden"), states[None])},
        coords={"token": [0], "iteration": range(len(states)), "token_text": ("token", ["made"])},
    )
    found = trajectory_kind(made).isel(token=0)
    kind, length = str(found["kind"].item()), float(found["period"])
    if kind != "orbit":
        reasons = {
            "fixed point": "they stop moving, or the movement becomes too small",
            "slider": "they move on in one direction and never return",
            "not settled": "they return too rarely, or not at all",
        }
        return False, f"The kind of these states is “{kind}”: {reasons[kind]}."
    if length != period:
        advice = "Is the angle in radians, and is it divided by the right number?"
        return False, f"This is an orbit, but its period is {length:g}. {advice}"
    return True, f"trajectory_kind finds an orbit, and its states return after {period} iterations."


def slowest_so_far(factors: xr.DataArray) -> Exercise:
    """Ask for the largest factor among each token and all tokens before it.

    Parameters
    ----------
    factors : DataArray [token]
        The factor of the slowest direction of each token.

    Returns
    -------
    Exercise
        The answer has one number for each token.
    """
    values = factors.astype(float)
    running = np.maximum.accumulate(values.values)
    wanted = values.copy(data=running)
    counts = np.arange(1, values.size + 1)
    return values_exercise(
        "For each token: the largest factor among this token and all tokens before it.",
        wanted,
        hints=(
            "The first value is the first factor. Each later one is the larger of two numbers. Which two?",
            "A loop works: keep the largest factor so far, and append it for every token.",
            "np.maximum.accumulate does this for an array.",
        ),
        right="It never falls from token to token.",
        mistakes=[
            Mistake(values, "These are the factors of the tokens alone. A token reads those before it."),
            Mistake(np.full(values.size, running[-1]), "This is the largest factor of all tokens."),
            Mistake(running[-1], "This is the largest factor of all tokens."),
            Mistake(np.cumsum(values.values), "These are sums."),
            Mistake(np.cumsum(values.values) / counts, "These are means of the factors so far."),
            Mistake(np.cumprod(values.values), "These are products."),
            Mistake(
                np.maximum.accumulate(values.values[::-1])[::-1], "A token reads those before it, not after."
            ),
            Mistake(np.concatenate([values.values[:1], running[:-1]]), "The token itself counts, too."),
        ],
        wrong=lambda row, value: f"At token {row} the largest factor so far is not {value:.3g}.",
    )

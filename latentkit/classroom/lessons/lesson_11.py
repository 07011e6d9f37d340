"""Exercises of lesson 11: how fast a loop comes to rest, and when a gate ends it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from latentkit.classroom.exercise import Exercise
from latentkit.classroom.values import Mistake, values_exercise
from latentkit.measure import exit_distribution

__all__ = ["gate_distribution", "shrink_factors"]


def shrink_factors(traces: Mapping[str, xr.Dataset], *, first: int, last: int = 64) -> Exercise:
    """Ask for the factor per iteration by which the median step of each family shrinks.

    Parameters
    ----------
    traces : mapping of str to Dataset
        Traces of the families, by their names.
    first, last : int
        The two iterations that are compared.
    """
    steps = [trace["step_size"].median("token") for trace in traces.values()]
    ratio = np.array([float(step.sel(iteration=last) / step.sel(iteration=first)) for step in steps])
    wanted = xr.DataArray(ratio ** (1 / (last - first)), dims="family")
    means = [trace["step_size"].mean("token") for trace in traces.values()]
    of_means = np.array([float(step.sel(iteration=last) / step.sel(iteration=first)) for step in means])
    names = list(traces)
    return values_exercise(
        f"By which factor does the median step shrink per iteration, from iteration {first} to {last}?",
        wanted,
        hints=(
            "One number for each family: take the median over the tokens first.",
            f"The step at {last} over the step at {first} is what {last - first} iterations do together.",
            f"A factor that is applied {last - first} times: take the root, `** (1 / {last - first})`.",
        ),
        right=(
            "Below 1, the steps become shorter: such a loop comes to rest. Near 1, it keeps moving, and more "
            "iterations do not help."
        ),
        mistakes=(
            Mistake(
                ratio, f"This is what {last - first} iterations do together. The factor of one is a root."
            ),
            Mistake(1 / wanted, "These are the steps before over the steps after; turn them round."),
            Mistake(of_means ** (1 / (last - first)), "These are factors of the mean step. Take the median."),
        ),
        wrong=lambda place, value: f"For {names[place]} the factor is not {value:.3g}.",
    )


def gate_distribution(trace: xr.Dataset, *, token: int) -> Exercise:
    """Ask for the distribution over iterations that an exit gate gives for one token.

    Parameters
    ----------
    trace : Dataset
        Of a model with a gate and one trained depth.
    token : int
        Position of the token in the trace, from its end if negative.
    """
    depth = int(trace.attrs["trained_iterations"])
    wanted = exit_distribution(trace).isel(token=token)
    chance = trace["exit_probability"].isel(token=token).sel(iteration=slice(1, depth)).values
    every = trace["exit_probability"].isel(token=token).values
    before = np.concatenate([[1.0], np.cumprod(1 - chance)[:-1]])
    return values_exercise(
        f"With which probability does the loop of this token end at each of the iterations 1 to {depth}?",
        wanted,
        hints=(
            "The gate gives the chance to stop *if the loop has come so far*. The first value needs no more.",
            "The loop comes to iteration 3 if it has stopped neither at 1 nor at 2: multiply (1 − chance).",
            f"`np.cumprod`; and at iteration {depth} the loop ends whatever the gate says.",
        ),
        right=f"The {depth} probabilities add up to 1, as they must: at {depth} every loop ends.",
        mistakes=(
            Mistake(every, "These are the chances of the gate. Leave out iteration 0, the start."),
            Mistake(chance, "These are the chances of the gate. They do not account for earlier stops."),
            Mistake(
                chance * before,
                f"These add up to {float((chance * before).sum()):.2f}. Where do the other loops end?",
            ),
            Mistake(before, "This is the probability to come so far, not to end here."),
        ),
    )

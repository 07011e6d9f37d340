"""Exit gate of a model: its distribution over iterations, and the exit rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from latentkit import criteria
from latentkit.arguments import is_whole
from latentkit.errors import ArgumentError, TraceError

__all__ = ["exit_distribution", "gate_exit"]


def exit_distribution(trace: xr.Dataset, *, iterations: int | None = None) -> xr.DataArray:
    """Probability that the gate ends a token's loop at each iteration.

    Parameters
    ----------
    trace : Dataset [token, iteration]
        From ``run_recurrence`` with a model that has a gate.
    iterations : int, optional
        The last iteration, which has the remaining probability. None: the number that the model was
        trained with, or the trace's last iteration where there is none or the trace ends before it.

    Returns
    -------
    DataArray [token, iteration]
        For iterations 1, 2, …; it sums to 1 over them.

    Raises
    ------
    TraceError
        If the trace has no ``exit_probability``, or lacks one of these iterations.
    ArgumentError
        If ``iterations`` is not one of the trace's.

    Examples
    --------
    >>> chances = [[np.nan, 0.5, 0.5, 0.9]]
    >>> trace = xr.Dataset({"exit_probability": (("token", "iteration"), chances)})
    >>> exit_distribution(trace).values.tolist()
    [[0.5, 0.25, 0.25]]
    """
    chances = _chances(trace)
    last = _last(trace, chances, iterations)
    inside = chances.isel(iteration=slice(1, last + 1))
    found = criteria.exit_distribution(np.moveaxis(inside.values, -1, 0))
    named = inside.copy(data=np.moveaxis(found, 0, -1)).rename("exit_distribution")
    return named.assign_attrs(long_name="probability that the loop ends here")


def gate_exit(trace: xr.Dataset, threshold: Any, *, iterations: int | None = None) -> xr.Dataset:
    """When the gate would have ended each token's loop, by the cumulative rule.

    Parameters
    ----------
    trace, iterations
        As for `exit_distribution`.
    threshold : float
        The loop ends at the first iteration by which it has ended with this probability.

    Returns
    -------
    Dataset [token]
        ``exit_iteration``, and ``saved``, the share of the iterations that would not have been run.

    Raises
    ------
    TraceError, ArgumentError
        As `exit_distribution`, and if the threshold is not between 0 and 1.

    Examples
    --------
    >>> chances = [[np.nan, 0.5, 0.5, 0.9]]
    >>> trace = xr.Dataset({"exit_probability": (("token", "iteration"), chances)})
    >>> gate_exit(trace, 0.7).exit_iteration.values.tolist()
    [2]
    """
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not (number and 0 <= threshold <= 1):
        raise ArgumentError(f"threshold is {threshold!r}; pass a probability from 0 to 1.")
    distribution = exit_distribution(trace, iterations=iterations)
    stops = criteria.exit_quantile(np.moveaxis(distribution.values, -1, 0), threshold)
    like = distribution.isel(iteration=0, drop=True)
    exits = like.copy(data=stops).assign_attrs(long_name="iteration of the exit")
    saved = like.copy(data=1 - stops / distribution.sizes["iteration"])
    saved = saved.assign_attrs(long_name="share of the iterations saved")
    found = xr.Dataset({"exit_iteration": exits, "saved": saved})
    return found.assign_attrs(criterion="gate", threshold=float(threshold))


def _chances(trace: xr.Dataset) -> xr.DataArray:
    if "exit_probability" not in getattr(trace, "variables", ()):
        msg = (
            "This dataset has no exit_probability: its model has no exit gate. Pass a trace from "
            "`run_recurrence` with a model that has one, such as Ouro; for others use `exit_iteration`."
        )
        raise TraceError(msg)
    chances = trace["exit_probability"].transpose(..., "iteration")
    numbers = chances["iteration"].values
    if len(numbers) < 2 or not np.array_equal(numbers, np.arange(len(numbers))):
        msg = (
            f"The trace covers the iterations {numbers[:3].tolist()}…; a distribution over exits needs every "
            "iteration from 0 on. Pass the whole trace."
        )
        raise TraceError(msg)
    return chances.assign_coords(iteration=numbers)


def _last(trace: xr.Dataset, chances: xr.DataArray, iterations: Any) -> int:
    there = chances.sizes["iteration"] - 1
    if iterations is None:
        trained = trace.attrs.get("trained_iterations", "any")
        return there if isinstance(trained, str) else min(int(trained), there)
    if not is_whole(iterations) or not 1 <= iterations <= there:
        raise ArgumentError(f"iterations is {iterations!r}; pass a whole number from 1 to {there}, or None.")
    return int(iterations)

"""When a token settles: the first iteration from which its distance stays below a threshold."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from latentkit.criteria import is_number
from latentkit.errors import ArgumentError, TraceError
from latentkit.measure.stability import stable_from
from latentkit.trace import need_dim

__all__ = [
    "RELATIVE",
    "before_limit",
    "distances",
    "first_distance",
    "limit_iteration",
    "settling_iteration",
    "step_cosine",
]

RELATIVE = 0.01  # default threshold, as a share of the token's first distance


def settling_iteration(
    trace: xr.Dataset, *, relative: float = RELATIVE, threshold: float | None = None
) -> xr.DataArray:
    """Iteration at which each token settles: from there on its distance stays below a threshold.

    Parameters
    ----------
    trace : Dataset [token, iteration]
        A trace from ``run_recurrence``, with or without a dimension ``seed``, or from ``run_decoding``.
    relative : float
        The threshold as a share of the token's distance at iteration 0.
    threshold : float, optional
        The threshold as a distance, the same for every token; ``relative`` is then not used.

    Returns
    -------
    DataArray [token]
        Iterations; NaN where the distance is not below the threshold at the end. Other dimensions stay.

    Raises
    ------
    TraceError
        If there are no distances over iterations, or iteration 0 is needed and missing.
    ArgumentError
        If a threshold is not above 0.

    Notes
    -----
    At ``limit`` itself the distance is 0 by construction; in a decoding, at its last iteration. That column
    is left out, so a token that is near its limit only there counts as not settled. A distance that is not
    known (NaN) is not below any threshold.

    Examples
    --------
    The first token stays below 1 % of 100 from iteration 3 on; at iteration 1 it was below only once:

    >>> distance = [[100.0, 0.5, 2.0, 0.5, 0.4], [100.0, 60.0, 40.0, 30.0, 20.0]]
    >>> trace = xr.Dataset({"distance": (("token", "iteration"), distance)})
    >>> settling_iteration(trace).values.tolist()
    [3.0, nan]
    """
    if threshold is None:
        _check_above_zero("relative", relative)
    else:
        _check_above_zero("threshold", threshold)
    distance = distances(trace)
    below: Any = relative * first_distance(distance) if threshold is None else threshold
    settled = stable_from(before_limit(distance, trace) < below)
    rule = f"{relative:g} of the first distance" if threshold is None else f"a distance of {threshold:g}"
    return settled.rename("settling_iteration").assign_attrs(
        long_name="settled from iteration", rule=f"stays below {rule}"
    )


def step_cosine(trace: xr.Dataset) -> xr.DataArray:
    """Cosine of successive steps: 1 on a straight line, −1 in an orbit of period 2.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``.

    Returns
    -------
    DataArray [token, iteration]
        NaN at iterations 0 and 1, which do not follow two steps.

    Raises
    ------
    TraceError
        If the trace has none.
    """
    if "step_cosine" not in getattr(trace, "variables", ()):
        msg = "There is no 'step_cosine' in this dataset. Pass a trace from `run_recurrence`."
        raise TraceError(msg)
    return trace["step_cosine"]


def distances(trace: xr.Dataset) -> xr.DataArray:
    """Distances of a trace in float64, with ``iteration`` as a coordinate."""
    if "distance" not in getattr(trace, "variables", ()):
        given = f"a {type(trace).__name__} without it"
        msg = f"Expected a trace with 'distance', got {given}. Pass the result of `run_recurrence`."
        raise TraceError(msg)
    need_dim(trace["distance"], "iteration", "Pass a trace over all its iterations.")
    distance = trace["distance"]
    return distance.assign_coords(iteration=distance["iteration"]).astype(float)


def first_distance(distance: xr.DataArray) -> xr.DataArray:
    """Distances at iteration 0."""
    if 0 not in distance["iteration"].values:
        msg = (
            f"This trace begins at iteration {int(distance['iteration'].values[0])}, and thresholds are "
            "relative to iteration 0. Pass the whole trace, or threshold= as a distance."
        )
        raise TraceError(msg)
    return distance.sel(iteration=0, drop=True)


def limit_iteration(trace: xr.Dataset) -> int | None:
    """Iteration of the state that distances are measured from; None where the trace does not state it.

    A decoding measures from its last iteration.
    """
    if trace.attrs.get("kind") == "decoding":
        used = trace["iterations_used"]
        return int(used.max()) if used.size else None
    limit = trace.attrs.get("limit")
    return None if limit is None else int(limit)


def before_limit(distance: xr.DataArray, trace: xr.Dataset) -> xr.DataArray:
    """Drop the column of the limit, where the distance is 0 by construction."""
    kept = distance["iteration"].values != limit_iteration(trace)
    return distance.isel(iteration=kept) if kept.any() else distance


def _check_above_zero(name: str, value: Any) -> None:
    if not (is_number(value) and 0 < value < math.inf):
        msg = f"{name} is {value!r}; pass a number above 0."
        raise ArgumentError(msg)

"""When a token settles: the first iteration from which its distance stays small for good."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError, TraceError
from latentkit.trace import need_dim

__all__ = [
    "RELATIVE",
    "before_limit",
    "distances",
    "first_distance",
    "settled_from",
    "settling_iteration",
    "step_cosine",
]

RELATIVE = 0.01  # of the token's first distance: what counts as settled unless somebody says otherwise


def settling_iteration(
    trace: xr.Dataset, *, relative: float = RELATIVE, threshold: float | None = None
) -> xr.DataArray:
    """Iteration at which each token settles: from there on its distance stays below a threshold.

    Parameters
    ----------
    trace : Dataset [token, iteration]
        A trace from ``run_recurrence``, with or without a dimension ``seed``.
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
    At ``limit`` itself the distance is 0 by construction. That column is left out, so a token that is near
    its limit only there counts as not settled. A distance that is not known (NaN) is not below anything.

    Examples
    --------
    The first token is below 1 % of 100 from iteration 3 on; at iteration 1 it was so, but not for good:

    >>> distance = [[100.0, 0.5, 2.0, 0.5, 0.4], [100.0, 60.0, 40.0, 30.0, 20.0]]
    >>> trace = xr.Dataset({"distance": (("token", "iteration"), distance)})
    >>> settling_iteration(trace).values.tolist()
    [3.0, nan]
    """
    _above_zero(
        "relative" if threshold is None else "threshold", relative if threshold is None else threshold
    )
    distance = distances(trace)
    below: Any = relative * first_distance(distance) if threshold is None else threshold
    settled = settled_from(before_limit(distance, trace), below)
    rule = f"{relative:g} of the first distance" if threshold is None else f"a distance of {threshold:g}"
    return settled.rename("settling_iteration").assign_attrs(
        long_name="settled from iteration", rule=f"stays below {rule}"
    )


def settled_from(distance: xr.DataArray, below: xr.DataArray | float) -> xr.DataArray:
    """First iteration from which ``distance`` stays below ``below``; NaN if it is not so at the end.

    Parameters
    ----------
    distance : DataArray [..., iteration]
    below : DataArray [...] or float

    Returns
    -------
    DataArray [...]
        Values of the coordinate ``iteration``, as floats.

    Examples
    --------
    >>> settled_from(xr.DataArray([9.0, 1.0, 3.0, 1.0, 1.0], dims="iteration"), 2.0).item()
    3.0
    """
    need_dim(distance, "iteration", "Pass distances over iterations.")
    ok = (distance < below).transpose(..., "iteration")
    from_here = np.logical_and.accumulate(ok.values[..., ::-1], axis=-1)[
        ..., ::-1
    ]  # below here and ever after
    iterations = distance["iteration"].values.astype(float)
    found = np.where(from_here.any(-1), iterations[from_here.argmax(-1)], np.nan)
    coords = {name: coord for name, coord in ok.coords.items() if "iteration" not in coord.dims}
    return xr.DataArray(found, dims=ok.dims[:-1], coords=coords)


def step_cosine(trace: xr.Dataset) -> xr.DataArray:
    """Cosine of successive steps, as the trace holds it: 1 on a straight way, −1 on a swing of period 2.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``.

    Returns
    -------
    DataArray [token, iteration]
        NaN at iterations 0 and 1, which have no two steps behind them.

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
        msg = f"Expected a trace with 'distance', got {given}. Pass what `run_recurrence` returns."
        raise TraceError(msg)
    need_dim(trace["distance"], "iteration", "Pass a trace over all its iterations.")
    distance = trace["distance"]
    return distance.assign_coords(iteration=distance["iteration"]).astype(float)


def first_distance(distance: xr.DataArray) -> xr.DataArray:
    """Distances at iteration 0."""
    if 0 not in distance["iteration"].values:
        msg = (
            f"This trace begins at iteration {distance['iteration'].values[:1].tolist()}, and thresholds are "
            "relative to iteration 0. Pass the whole trace, or threshold= as a distance."
        )
        raise TraceError(msg)
    return distance.sel(iteration=0, drop=True)


def before_limit(distance: xr.DataArray, trace: xr.Dataset) -> xr.DataArray:
    """Leave out the column of the limit itself, where the distance is 0 by construction."""
    known = distance["iteration"].values != trace.attrs.get("limit")
    return distance.isel(iteration=known) if known.any() else distance


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        msg = f"{name} is {value!r}; pass a number above 0."
        raise ArgumentError(msg)

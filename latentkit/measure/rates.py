"""Contraction rate: a robust line fitted to the logarithm of the distance."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.arguments import real_number
from latentkit.errors import ArgumentError
from latentkit.measure.floor import trace_floor
from latentkit.measure.settling import distances

__all__ = ["contraction_rate", "theil_sen"]

_FLOORS = 6.0  # in noise floors; smaller distances are rounding errors, which reach two to three of them
_FEWEST = 3  # points that a fit needs


def contraction_rate(
    trace: xr.Dataset, *, iterations: slice | None = None, floor: float | None = None
) -> xr.Dataset:
    """Factor by which each token's distance shrinks per iteration: a robust line through its logarithm.

    Parameters
    ----------
    trace : Dataset [token, iteration]
        A trace from ``run_recurrence``, with or without a dimension ``seed``.
    iterations : slice, optional
        Iterations to fit, a Python slice. By default 1 to half of the limit: closer to it, distances are too
        small because s* has not converged either.
    floor : float, optional
        Distance below which the fit ends. By default six times `noise_floor` of the trace's dtype, or 0 where
        the trace does not state its dtype and size.

    Returns
    -------
    Dataset [token]
        ``rate`` per iteration (0.7 means that the distance falls by 30 % each time; NaN with fewer than three
        points); ``first`` and ``last`` iteration and number of ``points`` that were fitted; ``misfit``,
        median of the absolute residuals of the natural logarithm (large where no exponential fits);
        ``floor``.

    Raises
    ------
    TraceError
        If there are no distances over iterations.
    ArgumentError
        If ``iterations`` is no slice, or ``floor`` is negative.

    Notes
    -----
    The slope is the Theil–Sen estimate, the median of the slopes of all pairs of points: it is robust
    against up to 29 % of outliers [1]_. The fit of a token ends at the first iteration at the floor, because
    later distances are rounding errors.

    References
    ----------
    .. [1] Sen (1968), *Estimates of the Regression Coefficient Based on Kendall's Tau*, JASA 63.

    Examples
    --------
    >>> distance = [100 * 0.5 ** np.arange(20)]
    >>> trace = xr.Dataset({"distance": (("token", "iteration"), distance)})
    >>> contraction_rate(trace).rate.values.round(6).tolist()
    [0.5]
    """
    distance = distances(trace)
    if iterations is None:
        limit = trace.attrs.get("limit")
        last = int(distance["iteration"].values[-1])
        iterations = slice(1, (last if limit is None else min(int(limit) // 2, last)) + 1)
    if not isinstance(iterations, slice):
        msg = f"`iterations` must be a slice such as slice(1, 33), got {iterations!r}."
        raise ArgumentError(msg)
    if floor is None:
        floor = _FLOORS * (trace_floor(trace) or 0.0)
    floor = real_number("floor", floor, "a distance of at least 0", least=0)
    chosen = range(*iterations.indices(int(distance["iteration"].values[-1]) + 1))
    part = distance.isel(iteration=np.isin(distance["iteration"].values, list(chosen)))
    fitted = xr.apply_ufunc(
        _fit, part, part["iteration"].astype(float), kwargs={"floor": floor}, vectorize=True,
        input_core_dims=[["iteration"]] * 2, output_core_dims=[[]] * 5,
    )  # fmt: skip
    names = ("rate", "first", "last", "points", "misfit")
    return _labelled(dict(zip(names, fitted, strict=True)), floor)


def _labelled(found: dict[str, xr.DataArray], floor: float) -> xr.Dataset:
    long_names = {
        "rate": "factor on the distance per iteration",
        "first": "first iteration fitted",
        "last": "last iteration fitted",
        "points": "iterations fitted",
        "misfit": "median residual of the log distance",
    }
    result = xr.Dataset(
        {name: values.assign_attrs(long_name=long_names[name]) for name, values in found.items()}
    )
    return result.assign(floor=((), floor, {"long_name": "distance at which the fit ends"}))


def _fit(
    distance: np.ndarray[tuple[int], np.dtype[np.float64]],
    iteration: np.ndarray[tuple[int], np.dtype[np.float64]],
    *,
    floor: float,
) -> tuple[float, float, float, int, float]:
    gone = ~(distance > floor)  # unknown distances end the fit too
    stop = int(gone.argmax()) if gone.any() else len(distance)
    if stop < _FEWEST:
        return np.nan, np.nan, np.nan, stop, np.nan
    x, y = iteration[:stop], np.log(distance[:stop])
    slope, intercept = theil_sen(x, y)
    return np.exp(slope), x[0], x[-1], stop, float(np.median(np.abs(y - intercept - slope * x)))


def theil_sen(
    x: np.ndarray[tuple[int], np.dtype[np.float64]], y: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[float, float]:
    """Median slope over all pairs of points, and the median intercept that goes with it."""
    a, b = np.triu_indices(len(x), k=1)
    slope = float(np.median((y[b] - y[a]) / (x[b] - x[a])))
    return slope, float(np.median(y - slope * x))

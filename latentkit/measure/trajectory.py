"""Kind of a trajectory: fixed point, orbit, slider, or not settled."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from latentkit.arguments import is_whole, real_number, shown_value, whole_number
from latentkit.errors import ArgumentError
from latentkit.measure.components import states
from latentkit.measure.floor import trace_floor, trace_rounding
from latentkit.measure.settling import RELATIVE

__all__ = ["trajectory_kind"]

_RETURN = 0.25  # of the farthest excursion: a distance below counts as a return
_CORRELATED = 0.5
_LASTING = 0.8  # step size, later over earlier half: those of an orbit or a slider do not shrink
_STRAIGHT = 0.5  # net displacement over path; a half circle has 0.64
_FLOORS = 3.0

_NAMES = {
    "kind": "kind of the trajectory",
    "period": "period by return distance",
    "return_ratio": "distance after one period over the farthest excursion",
    "period_by_correlation": "period by autocorrelation",
    "correlation": "autocorrelation at that period",
    "amplitude": "root mean square distance from the middle of the window",
    "drift": "net displacement per iteration",
    "straightness": "net displacement over length of the path",
    "persistence": "step size, later half over earlier half",
}


def trajectory_kind(
    trace: xr.Dataset, *, burn_in: int | None = None, relative: float = RELATIVE, longest: int | None = None
) -> xr.Dataset:
    """Kind of each token's trajectory after a burn-in: fixed point, orbit, slider, or not settled.

    Parameters
    ----------
    trace : Dataset [token, iteration, hidden]
        A trace run with ``keep_states=True``, with or without a dimension ``seed``.
    burn_in : int, optional
        Iterations at the beginning to leave out; half of them by default.
    relative : float
        An amplitude below this share of the token's distance between its first state and the middle of the
        window counts as a fixed point.
    longest : int, optional
        Longest period to search; by default a third of the window, which then holds three periods.

    Returns
    -------
    Dataset [token]
        ``kind`` and the numbers behind it: ``period`` by return distance and its ``return_ratio``;
        ``period_by_correlation`` and its ``correlation``; ``amplitude``; ``drift``, net displacement per
        iteration; ``straightness``, net displacement over path; ``persistence``, later over earlier step
        sizes. The periods are NaN where none was found or the state is at rest up to rounding, the last
        two numbers where the state does not move at all.

    Raises
    ------
    TraceError
        If the trace has no states.
    ArgumentError
        If fewer than six iterations are left after ``burn_in``.

    Notes
    -----
    In this order: a *fixed point* has an amplitude below the threshold, or below three times the rounding
    error: the noise floor of the dtype, or the error of a state of this length in float32 where the trace
    states no dtype. An *orbit* returns to its states: D_p, the median of ‖s_i − s_{i−p}‖, falls to a quarter
    of the largest D_q with q < p, and the steps do not shrink. A *slider* moves in one direction with steps
    that do not shrink. All others are *not settled*: more iterations may decide. The names are those of [1]_,
    section 7; the thresholds are our choice.

    References
    ----------
    .. [1] Geiping et al. (2025), *Scaling up Test-Time Compute with Latent Reasoning*, arXiv:2502.05171.

    Examples
    --------
    >>> swing = np.array([1.0, -1.0] * 10)[None, :, None] * np.ones(4)
    >>> found = trajectory_kind(xr.Dataset({"state": (("token", "iteration", "hidden"), swing)}))
    >>> found.kind.item(), found.period.item(), found.period_by_correlation.item()
    ('orbit', 2.0, 2.0)
    """
    state = states(trace)
    count = state.sizes["iteration"]
    burn_in = count // 2 if burn_in is None else burn_in
    if not is_whole(burn_in) or not 0 <= burn_in <= count - 6:
        msg = (
            f"burn_in is {shown_value(burn_in)} of {count} iterations, and at least six must be left to "
            f"classify a trajectory. Pass a number from 0 to {count - 6}, or a longer trace."
        )
        raise ArgumentError(msg)
    relative = real_number(
        "relative", relative, "a share of the first distance, from 0 to 1", least=0, most=1
    )
    longest = _longest(longest, count - burn_in)
    floor = _FLOORS * (trace_floor(trace) or 0.0)
    found = xr.apply_ufunc(
        _kind, state,
        kwargs={
            "burn_in": burn_in, "relative": relative, "longest": longest, "floor": floor,
            "rounding": _FLOORS * trace_rounding(trace),
        },
        input_core_dims=[["iteration", "hidden"]], output_core_dims=[[]] * len(_NAMES), vectorize=True,
        output_dtypes=[object, *[float] * (len(_NAMES) - 1)],
    )  # fmt: skip
    variables = {
        name: each.assign_attrs(long_name=_NAMES[name]) for name, each in zip(_NAMES, found, strict=True)
    }
    return xr.Dataset(variables, attrs={"burn_in": burn_in, "longest": longest, "floor": floor})


def _longest(longest: object, left: int) -> int:
    """Return the longest period to look for in the iterations that are left."""
    if longest is None:
        return max(2, left // 3)
    return min(whole_number("longest", longest, least=2, or_none=", or None for a third"), left - 2)


def _kind(
    state: np.ndarray[Any, Any], *, burn_in: int, relative: float, longest: int, floor: float, rounding: float
) -> tuple[str, float, float, float, float, float, float, float, float]:
    window = state[burn_in:]
    middle = window.mean(axis=0)
    centred = window - middle
    amplitude = float(np.sqrt((centred**2).sum(-1).mean()))
    steps = np.linalg.norm(np.diff(window, axis=0), axis=-1)
    half = len(steps) // 2
    earlier, later = np.median(steps[:half]), np.median(steps[half:])
    persistence = float(later / earlier) if earlier > 0 else np.nan
    net, path = float(np.linalg.norm(window[-1] - window[0])), float(steps.sum())
    straightness = net / path if path > 0 else np.nan
    at_rest = amplitude <= max(floor, rounding * float(np.linalg.norm(middle)))
    period, ratio = (np.nan, np.nan) if at_rest else _period_by_return(window, longest)
    by_correlation, correlation = (np.nan, np.nan) if at_rest else _period_by_correlation(centred, longest)
    away = float(np.linalg.norm(state[0] - middle))
    if at_rest or amplitude <= relative * away:
        kind = "fixed point"
    elif np.isfinite(period) and persistence >= _LASTING:
        kind = "orbit"
    elif straightness >= _STRAIGHT and persistence >= _LASTING:
        kind = "slider"
    else:
        kind = "not settled"
    drift = net / len(steps)
    return kind, period, ratio, by_correlation, correlation, amplitude, drift, straightness, persistence


def _period_by_return(window: np.ndarray[Any, Any], longest: int) -> tuple[float, float]:
    """Smallest lag after which the state has left and returned."""
    lags = range(1, longest + 2)
    apart = [float(np.median(np.linalg.norm(window[lag:] - window[:-lag], axis=-1))) for lag in lags]
    farthest = np.maximum.accumulate(apart)
    for lag in range(2, longest + 1):
        here, away = apart[lag - 1], farthest[lag - 2]
        if away > 0 and here <= _RETURN * away and here <= apart[lag]:
            return float(lag), here / away
    return np.nan, np.nan


def _period_by_correlation(centred: np.ndarray[Any, Any], longest: int) -> tuple[float, float]:
    """Lag of the first peak of the autocorrelation after it was negative."""
    values = [1.0]
    for lag in range(1, longest + 2):
        a, b = centred[lag:], centred[:-lag]
        size = float(np.sqrt((a**2).sum() * (b**2).sum()))
        values.append(float((a * b).sum()) / size if size > 0 else np.nan)
    for lag in range(2, longest + 1):
        peak = values[lag] >= values[lag - 1] and values[lag] >= values[lag + 1]
        if peak and values[lag] >= _CORRELATED and min(values[:lag]) < 0:
            return float(lag), values[lag]
    return np.nan, np.nan

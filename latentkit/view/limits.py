"""Limits of colour scales: found from values, shared by several figures, and checked."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import xarray as xr

from latentkit.arguments import one_of
from latentkit.errors import ArgumentError
from latentkit.measure import trace_floor
from latentkit.trace import trace_kind
from latentkit.view.layers import select_layers
from latentkit.view.selection import select_distance

__all__ = ["SPAN", "check_limits", "color_limits", "find_limits", "visible_floor", "within_span"]

#: Largest ratio between the ends of an automatic logarithmic scale of layers. Values below are close to 0
#: beside the largest one, and rounding errors would stretch the scale over many more powers of ten.
SPAN = 1e4

_PUBLISHED = 1.0, 100.0  # the colour scale of the published figures


def color_limits(
    *traces: xr.Dataset, tokens: slice | None = None, scale: Literal["linear", "log"] = "linear"
) -> tuple[float, float]:
    """Return colour limits that suit several results, so that their figures can be compared.

    Parameters
    ----------
    *traces : Dataset
        Traces from ``run_recurrence``, or comparisons of layers.
    tokens : slice, optional
        As for `plot_convergence`; only for traces from ``run_recurrence``.
    scale : {"linear", "log"}, optional
        Colour scale of comparisons of layers; pass the same to `plot_layer_kl`. That of distances is always
        logarithmic.

    Returns
    -------
    vmin, vmax : float
        The smallest and the largest value of all of them. On a logarithmic scale values of 0 do not count,
        and that of layers extends at most over four powers of ten.

    Raises
    ------
    TraceError
        If a result is of another kind.
    ArgumentError
        If there is no result, ``tokens`` selects nothing, or there is no such ``scale``.

    Examples
    --------
    >>> import xarray as xr
    >>> trace = xr.Dataset(
    ...     {"distance": (("token", "iteration"), [[20.0, 4.0, 0.0]])},
    ...     coords={"token_text": ("token", ["a"])},
    ...     attrs={"kind": "recurrence"},
    ... )
    >>> color_limits(trace, trace * 2)
    (4.0, 40.0)
    """
    if not traces:
        msg = "`color_limits` needs at least one result, got none. Pass those whose figures you compare."
        raise ArgumentError(msg)
    one_of("scale", scale, ("linear", "log"))
    if trace_kind(traces[0]).name == "layers" and tokens is None:
        values = [select_layers(trace) for trace in traces]
    else:
        values = [select_distance(trace, tokens=tokens) for trace in traces]
    together = np.concatenate([part.values.ravel() for part in values])
    if "token" in values[0].dims:
        return find_limits(together, log=True)
    return (
        find_limits(within_span(together), log=True) if scale == "log" else find_limits(together, log=False)
    )


def within_span(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the finite values that an automatic logarithmic scale of layers covers.

    Examples
    --------
    >>> within_span(np.array([0.0, 1e-7, 0.1, np.nan, 20.0])).tolist()
    [0.1, 20.0]
    """
    known: np.ndarray[Any, Any] = values[np.isfinite(values)]
    within: np.ndarray[Any, Any] = known[known >= known.max() / SPAN] if known.size else known
    return within


def find_limits(values: np.ndarray[Any, Any], *, log: bool) -> tuple[float, float]:
    """Return the smallest and the largest finite value, on a logarithmic scale of those above 0.

    Examples
    --------
    >>> find_limits(np.array([2.0, np.nan, 5.0]), log=False), find_limits(np.array([0.0, 2.0]), log=True)
    ((2.0, 5.0), (1.0, 4.0))
    """
    known = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not known.size:
        return _PUBLISHED if log else (0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    if low < high:
        return low, high
    return (low / 2, high * 2) if log else (low, low + (abs(low) or 1.0))


def check_limits(
    values: np.ndarray[Any, Any], vmin: float | None, vmax: float | None, *, log: bool
) -> tuple[float, float]:
    """Return the limits of a colour scale: those that were passed, otherwise those of the values.

    Raises
    ------
    ArgumentError
        If one is not a finite number, is not above 0 on a logarithmic scale, or ``vmin`` is not below
        ``vmax``.
    """
    low, high = find_limits(values, log=log)
    low = low if vmin is None else _number("vmin", vmin, log=log)
    high = high if vmax is None else _number("vmax", vmax, log=log)
    if not low < high:
        msg = (
            f"`vmin` must be less than `vmax`, got {low:g} and {high:g}. A limit that is not passed is the "
            "smallest or the largest value shown."
        )
        raise ArgumentError(msg)
    return low, high


def visible_floor(trace: xr.Dataset) -> float | None:
    """Return the noise floor of a trace in bfloat16, the only one that is large enough for a figure."""
    return trace_floor(trace) if "bfloat16" in str(trace.attrs.get("dtype")) else None


def _number(name: str, value: Any, *, log: bool) -> float:
    try:
        number = math.nan if isinstance(value, (str, bytes, bool, np.bool_)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (log and number <= 0):
        needed = "a number above 0, because the colour scale is logarithmic" if log else "a finite number"
        msg = f"`{name}` must be {needed}; got {value!r}."
        raise ArgumentError(msg)
    return number

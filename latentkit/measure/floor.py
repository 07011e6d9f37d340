"""Smallest distance that a dtype can resolve."""

from __future__ import annotations

import math

import xarray as xr

from latentkit.arguments import whole_number
from latentkit.errors import ArgumentError, nearest
from latentkit.measure.settling import before_limit, distances
from latentkit.trace.checking import need_dataset

__all__ = ["measured_floor", "noise_floor", "trace_floor", "trace_rounding"]

_MOST_CHANNELS = 1_000_000_000
# Error of one rounded coordinate of size 1: half the gap between neighbouring numbers at 1.
_ROUNDING = {"bfloat16": 0.004, "float16": 0.0005, "float32": 6e-8, "float64": 1e-16}


def noise_floor(dtype: str, hidden: int) -> float:
    """Smallest distance between two states that a dtype can resolve.

    Parameters
    ----------
    dtype : str
        ``"bfloat16"``, ``"float16"``, ``"float32"`` or ``"float64"``; ``"torch.bfloat16"`` is accepted too.
    hidden : int
        Channels of a state.

    Returns
    -------
    float
        A distance ‖s − s*‖ of normalised states: the rounding error of one coordinate times √hidden. It is an
        order of magnitude, not a bound: a core that hardly contracts accumulates rounding errors.

    Raises
    ------
    ArgumentError
        If the dtype is not known, or ``hidden`` is not positive.

    Notes
    -----
    A normalised state has coordinates of about 1, so each has an error of up to half the spacing of floats
    there: 2⁻⁸ ≈ 0.004 in bfloat16, which has eight significant bits.

    Examples
    --------
    Huginn-0125 runs in bfloat16 with 5,280 channels; its initial distance is about 100:

    >>> round(noise_floor("bfloat16", 5280), 2)
    0.29
    """
    name = str(dtype).removeprefix("torch.")
    if name not in _ROUNDING:
        msg = f"No noise floor is known for the dtype {dtype!r}. {nearest(name, _ROUNDING)}"
        raise ArgumentError(msg)
    return _ROUNDING[name] * math.sqrt(whole_number("hidden", hidden, least=1, most=_MOST_CHANNELS))


def measured_floor(trace: xr.Dataset) -> xr.DataArray:
    """Median distance of each token over its last iterations.

    Parameters
    ----------
    trace : Dataset [token, iteration]
        A trace from ``run_recurrence``, long enough for the states to settle.

    Returns
    -------
    DataArray [token]
        Median over the second half of the iterations, without the limit. It is a floor only where distances
        no longer fall; compare it with `noise_floor`. 0 where the state no longer changes.

    Raises
    ------
    TraceError
        If there are no distances over iterations.

    Examples
    --------
    >>> distance = [[24.0, 2.0, 0.2, 0.08, 0.07, 0.08]]
    >>> measured_floor(xr.Dataset({"distance": (("token", "iteration"), distance)})).values.tolist()
    [0.08]
    """
    late = before_limit(distances(trace), trace)
    late = late.isel(iteration=slice(late.sizes["iteration"] // 2, None))
    found: xr.DataArray = late.median("iteration", skipna=False)
    return found.assign_attrs(long_name="median distance at the end")


def trace_floor(trace: xr.Dataset) -> float | None:
    """`noise_floor` of a trace by its attributes; None where it does not state its dtype or size.

    Parameters
    ----------
    trace : Dataset
        With ``dtype`` among its attributes, and ``hidden_size`` there or a dimension ``hidden``.
    """
    need_dataset(trace)
    hidden = trace.attrs.get("hidden_size", trace.sizes.get("hidden"))
    dtype = str(trace.attrs.get("dtype")).removeprefix("torch.")
    if hidden is None or dtype not in _ROUNDING:
        return None
    return noise_floor(dtype, int(hidden))


def trace_rounding(trace: xr.Dataset) -> float:
    """Rounding error of a number of size 1 in the dtype that a trace states; float32 where it states none.

    Parameters
    ----------
    trace : Dataset
        With or without ``dtype`` among its attributes.
    """
    need_dataset(trace)
    dtype = str(trace.attrs.get("dtype")).removeprefix("torch.")
    return _ROUNDING.get(dtype, _ROUNDING["float32"])

"""First iteration from which a value stays the same."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.errors import TraceError
from latentkit.trace import need_dim

__all__ = ["answer_iteration", "stable_from"]


def stable_from(condition: xr.DataArray) -> xr.DataArray:
    """First iteration from which a condition stays true; NaN where it is false at the end.

    Parameters
    ----------
    condition : DataArray [..., iteration] of bool

    Returns
    -------
    DataArray [...]
        Values of the coordinate ``iteration``, as floats.

    Raises
    ------
    TraceError
        If there is no dimension ``iteration``.

    Examples
    --------
    >>> distance = xr.DataArray([9.0, 1.0, 3.0, 1.0, 1.0], dims="iteration")
    >>> stable_from(distance < 2).item()
    3.0
    """
    need_dim(condition, "iteration", "Pass a condition over iterations.")
    ordered = condition.transpose(..., "iteration")
    from_here = np.logical_and.accumulate(ordered.values[..., ::-1], axis=-1)[..., ::-1]
    iterations = condition["iteration"].values.astype(float)
    found = np.where(from_here.any(-1), iterations[from_here.argmax(-1)], np.nan)
    coords = {name: coord for name, coord in ordered.coords.items() if "iteration" not in coord.dims}
    return xr.DataArray(found, dims=ordered.dims[:-1], coords=coords)


def answer_iteration(trace: xr.Dataset) -> xr.DataArray:
    """First iteration from which the likeliest token stays the same.

    Parameters
    ----------
    trace : Dataset [..., iteration, rank]
        From ``run_recurrence`` or ``run_decoding``, with readouts.

    Returns
    -------
    DataArray [...]
        Iterations. After an exit there are no readouts: the last one before it counts as the answer. NaN
        where there is no readout at all.

    Raises
    ------
    TraceError
        If the trace has no readouts over iterations.

    Examples
    --------
    >>> ids = [[[7], [8], [7], [7]], [[9], [9], [9], [9]]]
    >>> trace = xr.Dataset({"readout_id": (("token", "iteration", "rank"), ids)})
    >>> answer_iteration(trace).values.tolist()
    [2.0, 0.0]
    """
    if "readout_id" not in getattr(trace, "variables", ()):
        msg = "This dataset has no 'readout_id'. Pass a trace that was run with readout_top=1 or more."
        raise TraceError(msg)
    readouts = trace["readout_id"]
    need_dim(readouts, "iteration", "Pass a trace over all its iterations.")
    best = readouts.isel(rank=0, drop=True) if "rank" in readouts.dims else readouts
    best = best.assign_coords(iteration=best["iteration"])
    known = best >= 0
    last = known.sizes["iteration"] - 1 - known.isel(iteration=slice(None, None, -1)).argmax("iteration")
    answer = best.isel(iteration=last).drop_vars("iteration")
    found = stable_from((best == answer) | ~known).where(known.any("iteration"))
    return found.rename("answer_iteration").assign_attrs(long_name="iteration of the answer")

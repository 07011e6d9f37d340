"""What-if exits: from one full trace, when each criterion would have stopped, and at what price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit import criteria
from latentkit.errors import TraceError
from latentkit.trace import need_dim

__all__ = ["exit_iteration"]

# What a trace of `run_recurrence` keeps, and the rules that can be worked out from it.
FROM_TRACE = {"entropy-diff": "entropy", "argmax-stability": "readout_id"}


def exit_iteration(
    trace: xr.Dataset, criterion: str, threshold: float | Sequence[float] | None = None
) -> xr.Dataset:
    """When a criterion would have stopped each token, what that saves, and what it costs.

    Nothing is run again: the numbers are those of the full trace.

    Parameters
    ----------
    trace : Dataset [generated_token | token, iteration]
        From ``run_decoding`` without an exit, which keeps the numbers of all criteria; or from
        ``run_recurrence``, from which ``"entropy-diff"`` and ``"argmax-stability"`` can be worked out.
    criterion : str
        ``"latent-diff"``, ``"cosine"``, ``"acceleration"``, ``"entropy-diff"``, ``"kl"``, ``"minp-kl"`` or
        ``"argmax-stability"``.
    threshold : float or sequence of float, optional
        One or several; None: the criterion's default.

    Returns
    -------
    Dataset [threshold, generated_token | token]
        ``exit_iteration``, the last one where the criterion is never met; ``saved``, the share of the
        iterations that would not have been run; where the trace has readouts also ``kl`` in nats, KL(readout
        at the end ‖ readout at the exit), and ``same_token``, whether the likeliest token is the same.
        ``threshold`` is a dimension where several were given.

    Raises
    ------
    ArgumentError
        If there is no such criterion, or a threshold has no meaning for it.
    TraceError
        If the trace does not keep what the criterion reads, or is itself one with exits.

    Notes
    -----
    All tokens see the full iterations of those before them. In a run with exits they see the shortened
    ones, so that iterations, and in the end tokens, may differ from these.

    Examples
    --------
    >>> entropy = [[2.0, 1.5, 1.4995, 1.4994], [2.0, 1.0, 0.5, 0.2]]
    >>> trace = xr.Dataset({"entropy": (("token", "iteration"), entropy)})
    >>> found = exit_iteration(trace, "entropy-diff", 0.01)
    >>> found.exit_iteration.values.tolist(), found.saved.values.round(2).tolist()
    ([2, 3], [0.33, 0.0])
    """
    several = np.ndim(threshold) > 0  # type: ignore[arg-type]  # None has no dimension either
    thresholds: list[Any] = np.atleast_1d(np.asarray(threshold, dtype=object)).tolist()
    limits = [criteria.exit_threshold(criterion, one) for one in thresholds]
    values = _values(trace, criterion)
    parts = [_exits(trace, values, criterion, limit) for limit in limits]
    found = xr.concat(parts, "threshold") if several else parts[0]
    found = found.assign_coords(threshold=("threshold", limits) if several else limits[0])
    return found.assign_attrs(criterion=criterion, iterations=int(values["iteration"][-1]))


def _exits(trace: xr.Dataset, values: xr.DataArray, criterion: str, limit: float) -> xr.Dataset:
    """Find the exits at one threshold, and look up what the trace says there."""
    last = values.sizes["iteration"] - 1
    first = criteria.first_exit(criterion, np.moveaxis(values.values, -1, 0), limit)
    stops = values.isel(iteration=0, drop=True).copy(data=np.where(first < 0, last, first).astype(np.int64))
    found = {
        "exit_iteration": stops.assign_attrs(long_name="iteration of the exit"),
        "saved": (1 - stops / last).assign_attrs(long_name="share of the iterations saved"),
    }
    if "kl" in trace.variables:
        kl = trace["kl"].isel(iteration=stops).drop_vars("iteration", errors="ignore")
        found["kl"] = kl.assign_attrs(long_name="KL(readout at the end ‖ readout at the exit)", units="nats")
    if "readout_id" in trace.variables:
        best = trace["readout_id"].isel(rank=0, drop=True)
        same = best.isel(iteration=stops) == best.isel(iteration=-1)
        found["same_token"] = same.drop_vars("iteration", errors="ignore").assign_attrs(
            long_name="same likeliest token as at the end"
        )
    return xr.Dataset(found)


def _values(trace: xr.Dataset, criterion: str) -> xr.DataArray:
    """Return the criterion's numbers [..., iteration], iteration being the last dimension."""
    if "exit_value" in getattr(trace, "variables", ()):
        values = _recorded(trace, criterion)
    else:
        values = _worked_out(trace, criterion)
    iterations = values["iteration"].values
    if len(iterations) < 2 or not np.array_equal(iterations, np.arange(len(iterations))):
        msg = (
            f"The trace covers the iterations {iterations[:3].tolist()}…; exits are told from one that "
            "begins at 0 and leaves none out. Pass the whole trace."
        )
        raise TraceError(msg)
    return values


def _recorded(trace: xr.Dataset, criterion: str) -> xr.DataArray:
    if trace.attrs.get("exit", "none") != "none":
        msg = (
            f"This trace was itself run with exit={trace.attrs['exit']!r}: what came after its exits is not "
            "known. Pass one from `run_decoding(…, exit=None)`."
        )
        raise TraceError(msg)
    values = trace["exit_value"].sel(criterion=criterion, drop=True).transpose(..., "iteration")
    if criteria.exit_rule(criterion).reads == "readout" and values.size and values.isnull().all():
        msg = f"{criterion!r} reads the readouts, and this trace has none. Run it with readout_top=1 or more."
        raise TraceError(msg)
    return values


def _worked_out(trace: xr.Dataset, criterion: str) -> xr.DataArray:
    source = FROM_TRACE.get(criterion)
    if source is None:
        reads = {"state": "raw states x_i", "readout": "all probabilities of each readout"}
        msg = (
            f"{criterion!r} reads the {reads[criteria.exit_rule(criterion).reads]}, which this trace does "
            f"not keep; from it {' and '.join(map(repr, FROM_TRACE))} can be told. Pass a trace from "
            "`run_decoding`, which keeps the numbers of every criterion."
        )
        raise TraceError(msg)
    if source not in getattr(trace, "variables", ()):
        msg = (
            f"{criterion!r} is told from {source!r}, which this dataset lacks. Pass a trace from "
            "`run_decoding` or `run_recurrence` with readout_top=1 or more."
        )
        raise TraceError(msg)
    data = trace[source]
    need_dim(data, "iteration", "Pass a trace over all its iterations.")
    data = data.isel(rank=0, drop=True) if "rank" in data.dims else data
    data = data.assign_coords(iteration=data["iteration"]).transpose("iteration", ...)
    summaries: Any = data.values if data.dtype.kind == "f" else data.values.astype(float)
    return data.copy(data=criteria.exit_values(criterion, summaries)).transpose(..., "iteration")

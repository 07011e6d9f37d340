"""Early exits evaluated on a full trace: when each criterion would have stopped, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit import criteria
from latentkit.errors import ArgumentError, TraceError
from latentkit.trace import need_dim
from latentkit.trace.checking import need_dataset

__all__ = ["criterion_values", "exit_criteria", "exit_iteration"]

# Criteria that can be computed from a trace of `run_recurrence`, and the variable that each one needs.
_SOURCES = {"entropy-diff": "entropy", "argmax-stability": "readout_id"}


def exit_iteration(
    trace: xr.Dataset, criterion: str, threshold: float | Sequence[float] | None = None
) -> xr.Dataset:
    """Iteration at which a criterion would have stopped each token, compute saved and its cost.

    Computed from the full trace; the model does not run again.

    Parameters
    ----------
    trace : Dataset [generated_token | token, iteration]
        From ``run_decoding`` without an exit, which keeps the values of all criteria; or from
        ``run_recurrence``, from which ``"entropy-diff"`` and ``"argmax-stability"`` can be computed.
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
        If the trace does not hold what the criterion needs, or was itself run with an exit.

    Notes
    -----
    Here every token attends to tokens with all their iterations. In a run with exits it attends to tokens
    that stopped early, so its exit, and in the end the text, may differ.

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
    if not thresholds:
        msg = f"threshold is {threshold!r}; pass one number, several, or None for the criterion's default."
        raise ArgumentError(msg)
    limits = [criteria.exit_threshold(criterion, one) for one in thresholds]
    values = criterion_values(trace, criterion)
    parts = [_exits(trace, values, criterion, limit) for limit in limits]
    found = xr.concat(parts, "threshold") if several else parts[0]
    found = found.assign_coords(threshold=("threshold", limits) if several else limits[0])
    return found.assign_attrs(criterion=criterion, iterations=int(values["iteration"][-1]))


def _exits(trace: xr.Dataset, values: xr.DataArray, criterion: str, limit: float) -> xr.Dataset:
    """Exits at one threshold, with the KL divergence and the token there."""
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


def exit_criteria(trace: xr.Dataset) -> list[str]:
    """Names of the exit criteria that `exit_iteration` can evaluate on a trace.

    Parameters
    ----------
    trace : Dataset
        Any dataset.

    Returns
    -------
    list of str
        Empty where there are none.
    """
    need_dataset(trace)

    def has_values(name: str) -> bool:
        try:
            return bool(criterion_values(trace, name).notnull().any())
        except TraceError:
            return False

    return [name for name in criteria.EXIT_RULES if has_values(name)]


def criterion_values(trace: xr.Dataset, criterion: str) -> xr.DataArray:
    """Values [..., iteration] that a criterion compares with its threshold.

    Raises
    ------
    TraceError
        As `exit_iteration`.
    """
    if "exit_value" in getattr(trace, "variables", ()):
        values = _recorded_values(trace, criterion)
    else:
        values = _computed_values(trace, criterion)
    iterations = values["iteration"].values
    if len(iterations) < 2 or not np.array_equal(iterations, np.arange(len(iterations))):
        msg = (
            f"The trace covers the iterations {iterations[:3].tolist()}…; exits need every iteration from 0 "
            "on. Pass the whole trace."
        )
        raise TraceError(msg)
    return values


def _recorded_values(trace: xr.Dataset, criterion: str) -> xr.DataArray:
    if trace.attrs.get("exit", "none") != "none":
        msg = (
            f"This trace was run with exit={trace.attrs['exit']!r}, so the iterations after its exits are "
            "missing. Pass one from `run_decoding(…, exit=None)`."
        )
        raise TraceError(msg)
    values = trace["exit_value"].sel(criterion=criterion, drop=True).transpose(..., "iteration")
    if criteria.exit_rule(criterion).reads == "readout" and values.size and values.isnull().all():
        msg = f"{criterion!r} needs readouts, and this trace has none. Run it with readout_top=1 or more."
        raise TraceError(msg)
    return values


def _computed_values(trace: xr.Dataset, criterion: str) -> xr.DataArray:
    source = _SOURCES.get(criterion)
    if source is None:
        reads = {"state": "the raw states x_i", "readout": "all probabilities of each readout"}
        msg = (
            f"{criterion!r} needs {reads[criteria.exit_rule(criterion).reads]}, which this trace does "
            f"not hold; {' and '.join(map(repr, _SOURCES))} can be computed from it. Pass a trace from "
            "`run_decoding`, which keeps the values of every criterion."
        )
        raise TraceError(msg)
    if source not in getattr(trace, "variables", ()):
        msg = (
            f"{criterion!r} is computed from {source!r}, which this dataset lacks. Pass a trace from "
            "`run_decoding` or `run_recurrence` with readout_top=1 or more."
        )
        raise TraceError(msg)
    data = trace[source]
    need_dim(data, "iteration", "Pass a trace over all its iterations.")
    data = data.isel(rank=0, drop=True) if "rank" in data.dims else data
    data = data.assign_coords(iteration=data["iteration"]).transpose("iteration", ...)
    summaries: Any = data.values if data.dtype.kind == "f" else data.values.astype(float)
    return data.copy(data=criteria.exit_values(criterion, summaries)).transpose(..., "iteration")

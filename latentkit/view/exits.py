"""Exit rules: the thresholds that plots and sliders offer, and means over the tokens of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from latentkit.arguments import shown_value
from latentkit.criteria import exit_rule, exit_threshold, is_number
from latentkit.errors import ArgumentError
from latentkit.measure import exit_criteria, exit_iteration

__all__ = ["fixed_exits", "mean_exits", "select_criteria", "threshold_sweep"]


def threshold_sweep(criterion: str) -> list[float]:
    """Return thresholds of a criterion from strict to lax, its default among them."""
    rule = exit_rule(criterion)
    if rule.counts:
        return [float(count) for count in range(1, 21)]
    return [rule.threshold * float(factor) for factor in np.logspace(-3, 2, 26)]


def select_criteria(
    trace: xr.Dataset, wanted: Sequence[str] | Mapping[str, Sequence[float]] | None
) -> dict[str, list[float]]:
    """Return the criteria to draw with their thresholds; None means all that the trace has numbers for."""
    if isinstance(wanted, Mapping) and wanted:
        return {name: _thresholds(name, each) for name, each in wanted.items()}
    if isinstance(wanted, str):
        wanted = [wanted]
    if wanted is not None:
        if not isinstance(wanted, (list, tuple, set, frozenset)) or not wanted:
            msg = f"criteria is {shown_value(wanted)}; pass names such as ['kl'], {{'kl': [1e-3]}}, or None."
            raise ArgumentError(msg)
        return {name: threshold_sweep(name) for name in wanted}
    found = {name: threshold_sweep(name) for name in exit_criteria(trace)}
    if not found:
        exit_iteration(trace, "entropy-diff")  # raises the error that names what is missing
    return found


def _thresholds(name: str, given: object) -> list[float]:
    """Return the thresholds of one criterion as a list; one number is a list of one."""
    if is_number(given):
        given = [given]
    if isinstance(given, (list, tuple, range, np.ndarray)) and given:
        return [exit_threshold(name, one) for one in given]
    msg = f"criteria[{name!r}] is {shown_value(given)}; pass thresholds such as [1e-3, 1e-2]."
    raise ArgumentError(msg)


def mean_exits(exits: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return saved iterations and KL of `measure.exit_iteration`, as means over the tokens."""
    over = [dim for dim in exits["saved"].dims if dim != "threshold"]
    return exits["saved"].mean(over), exits["kl"].mean(over)


def fixed_exits(trace: xr.Dataset) -> xr.DataArray:
    """Return the mean KL [iteration] if every token stops at the same iteration."""
    return trace["kl"].mean([dim for dim in trace["kl"].dims if dim != "iteration"])

"""Exit rules: the thresholds that plots and sliders offer, and means over the tokens of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from latentkit.criteria import EXIT_RULES
from latentkit.measure import exit_criteria, exit_iteration

__all__ = ["fixed_exits", "mean_exits", "select_criteria", "threshold_sweep"]


def threshold_sweep(criterion: str) -> list[float]:
    """Return thresholds of a criterion from strict to lax, its default among them."""
    if criterion not in EXIT_RULES:
        return [1.0]  # `exit_iteration` raises the error
    rule = EXIT_RULES[criterion]
    if rule.counts:
        return [float(count) for count in range(1, 21)]
    return [rule.threshold * float(factor) for factor in np.logspace(-3, 2, 26)]


def select_criteria(
    trace: xr.Dataset, wanted: Sequence[str] | Mapping[str, Sequence[float]] | None
) -> dict[str, list[float]]:
    """Return the criteria to draw with their thresholds; None means all that the trace has numbers for."""
    if isinstance(wanted, Mapping):
        return {name: list(thresholds) for name, thresholds in wanted.items()}
    if wanted is not None:
        return {name: threshold_sweep(name) for name in ([wanted] if isinstance(wanted, str) else wanted)}
    found = {name: threshold_sweep(name) for name in exit_criteria(trace)}
    if not found:
        exit_iteration(trace, "entropy-diff")  # raises the error that names what is missing
    return found


def mean_exits(exits: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return saved iterations and KL of `measure.exit_iteration`, as means over the tokens."""
    over = [dim for dim in exits["saved"].dims if dim != "threshold"]
    return exits["saved"].mean(over), exits["kl"].mean(over)


def fixed_exits(trace: xr.Dataset) -> xr.DataArray:
    """Return the mean KL [iteration] if every token stops at the same iteration."""
    return trace["kl"].mean([dim for dim in trace["kl"].dims if dim != "iteration"])

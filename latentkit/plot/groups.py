"""Settling of the prompts of a sweep: one point for each prompt, one row for each group."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from latentkit.errors import ArgumentError, nearest
from latentkit.measure import mean_interval
from latentkit.measure.groups import prompt_settling
from latentkit.plot.drawing.alt import set_alt_text
from latentkit.plot.drawing.rows import add_note, as_data, new_axes

__all__ = ["plot_groups"]

_SPREAD = 0.28  # share of a row's height over which the points are scattered


def plot_groups(
    sweep: xr.Dataset,
    *,
    tokens: slice | None,
    relative: float,
    threshold: float | None,
    by: str | None,
    ax: Axes | None,
) -> Axes:
    """Draw the settling of a sweep, as `plot_settling` describes it."""
    if tokens is not None:
        msg = f"tokens is {tokens!r}, but the prompts of a sweep have different tokens. Pass tokens=None."
        raise ArgumentError(msg)
    settled = prompt_settling(sweep, relative=relative, threshold=threshold)
    groups = _groups(sweep, settled, by)
    if ax is None:
        ax, _ = new_axes(max(4, 2 * len(groups)))
    sentences = [_draw(ax, row, name, values) for row, (name, values) in enumerate(groups.items())]
    ax.set_yticks(range(len(groups)), [f"{name}\nn = {values.size}" for name, values in groups.items()])
    as_data(*ax.get_yticklabels())
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.set_xlabel("Mean settling iteration of a prompt")
    add_note(ax, str(settled.attrs["rule"]))
    missing = int(settled.isnull().sum())
    sentences += [f"{missing} prompts have no trace."] if missing else []
    what = f"Mean settling iteration of {settled.size - missing} prompts as points"
    set_alt_text(ax, f"{what}, with the mean over prompts and its 95 % interval. {' '.join(sentences)}")
    return ax


def _groups(sweep: xr.Dataset, settled: xr.DataArray, by: str | None) -> dict[str, np.ndarray[Any, Any]]:
    """Return the known values of each group, in the order of the prompts."""
    known = np.isfinite(settled.values)
    if not known.any():
        raise ArgumentError("No prompt of this sweep has a trace yet. Run the sweep again to go on with it.")
    if by is None:
        return {"all prompts": settled.values[known]}
    labels = list(sweep.attrs.get("labels", ()))
    if by not in labels:
        msg = f"by is {by!r}, which is no label of this sweep's prompts. {nearest(str(by), labels)}"
        raise ArgumentError(msg)
    values = np.array([str(value) for value in sweep[by].values], dtype=object)
    return {name: settled.values[known & (values == name)] for name in dict.fromkeys(values[known])}


def _draw(ax: Axes, row: int, name: str, values: np.ndarray[Any, Any]) -> str:
    """Draw one row; return its sentence for the alt text."""
    heights = row + np.random.default_rng(0).uniform(-_SPREAD, _SPREAD, len(values))
    ax.plot(values, heights, ".", color="C0", alpha=max(0.25, min(0.8, 40 / len(values))), markersize=5)
    found = mean_interval(xr.DataArray(values, dims="prompt"), "prompt")
    mean, low, high = (float(found[each]) for each in ("mean", "low", "high"))
    ax.plot([mean, mean], [row - 0.4, row + 0.4], color="C3", linewidth=2)
    if not np.isfinite(low):
        return f"{name}: {mean:.2f}, one prompt."
    ax.plot([low, high], [row, row], color="C3", linewidth=5, solid_capstyle="butt", alpha=0.7)
    return f"{name}: {mean:.2f}, from {low:.2f} to {high:.2f}, {len(values)} prompts."

"""Sliders over trajectories of latent states: iterations, tokens and, in 3D, the viewing direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import xarray as xr

from latentkit.plot.trajectory import plot_trajectory
from latentkit.sliders.controls import image, position_slider, stacked, token_slider, wide
from latentkit.view.trajectory import check_components, fit_components

__all__ = ["trajectory_sliders"]

_MARGIN = 0.06  # of the axis, at both ends
_TOKENS = 6  # shown at first; more trajectories are hard to distinguish


def trajectory_sliders(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iteration: int | None = None,
    components: Sequence[int] = (1, 2),
) -> widgets.VBox:
    """Return `plot_trajectory` below two sliders, in 3D three."""
    numbers = check_components(components)
    fitted = fit_components(trace, numbers)  # once: all figures share the axes
    positions = fitted["token"]
    length = position_slider("Iterations", fitted["iteration"], iteration, argument="iteration")
    if tokens is None:
        tokens = slice(int(positions.values[-_TOKENS:][0]), None)
    span = token_slider(positions, tokens)
    turn = widgets.IntSlider(value=300, min=0, max=355, step=5, description="Turn", layout=wide())

    def draw() -> str:
        first, last = span.value
        part = fitted.sel(iteration=slice(None, length.value))
        ax: Any = plot_trajectory(part, tokens=slice(first, last + 1), components=numbers)
        _keep_axes(ax, fitted, numbers, (length.min, length.max))
        if len(numbers) == 3:
            ax.view_init(azim=turn.value)
        return image(ax)

    return stacked(draw, length, span, *([turn] if len(numbers) == 3 else []))


def _keep_axes(ax: Any, fitted: xr.Dataset, components: Sequence[int], colours: tuple[int, int]) -> None:
    """Set axis and colour limits to those of the whole trace, so that they do not change with the sliders."""
    for axis, number in zip("xyz", components, strict=False):
        values = fitted["score"].sel(component=number)
        low, high = float(values.min()), float(values.max())
        margin = _MARGIN * max(high - low, 1e-9)
        getattr(ax, f"set_{axis}lim")(low - margin, high + margin)
    for points in ax.collections:
        if points.get_array() is not None:
            points.set_clim(*colours)

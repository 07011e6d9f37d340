"""Colour bars: their pointed ends, and the line at the noise floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.patheffects import withStroke

__all__ = ["add_colorbar"]

_BAR_WIDTH = 12.0  # points


def add_colorbar(
    ax: Axes, mesh: QuadMesh, label: str, *, pad: float, fraction: float = 0.05, floor: float | None = None
) -> None:
    """Add a colour bar; an end is pointed if values lie beyond it, and a white line marks the noise floor."""
    figure: Any = ax.get_figure()
    low, high = mesh.get_clim()
    values = np.ma.masked_array(mesh.get_array()).compressed()
    below, above = bool((values < low).any()), bool((values > high).any())
    extend = ("neither", "min", "max", "both")[below + 2 * above]
    aspect = ax.get_window_extent().height * 72 / figure.dpi / _BAR_WIDTH
    bar = figure.colorbar(mesh, ax=ax, label=label, extend=extend, pad=pad, fraction=fraction, aspect=aspect)
    bar.ax.tick_params(labelsize="small")
    if floor is not None and low <= floor <= high:
        line = bar.ax.axhline(floor, color="white", linewidth=1.2)
        line.set_path_effects([withStroke(linewidth=2.6, foreground="black")])

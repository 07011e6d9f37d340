"""Colour bars: their pointed ends, and the line at the noise floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter

from latentkit.plot.drawing.dark import NEARLY_WHITE

__all__ = ["add_colorbar"]

_BAR_WIDTH = 12.0  # points


def add_colorbar(
    ax: Axes,
    mesh: QuadMesh,
    label: str,
    *,
    pad: float,
    fraction: float = 0.05,
    floor: float | None = None,
    plain: bool = False,
) -> None:
    """Add a colour bar; an end is pointed if values lie beyond it, and a white line marks the noise floor.

    With ``plain`` the ticks of a logarithmic scale are written 0.1, 1, 10, not as powers of ten.
    """
    figure: Any = ax.get_figure()
    low, high = mesh.get_clim()
    values = np.ma.masked_array(mesh.get_array()).compressed()
    below, above = bool((values < low).any()), bool((values > high).any())
    extend = ("neither", "min", "max", "both")[below + 2 * above]
    aspect = ax.get_window_extent().height * 72 / figure.dpi / _BAR_WIDTH
    bar = figure.colorbar(mesh, ax=ax, label=label, extend=extend, pad=pad, fraction=fraction, aspect=aspect)
    bar.ax.tick_params(labelsize="small")
    if plain and isinstance(mesh.norm, LogNorm):
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        bar.ax.yaxis.set_minor_formatter(FuncFormatter(_minor_label if high < 20 * low else lambda *_: ""))
    if floor is not None and low <= floor <= high:
        line = bar.ax.axhline(floor, color=NEARLY_WHITE, linewidth=1.2)
        line.set_path_effects([withStroke(linewidth=2.6, foreground="black")])


def _minor_label(value: float, _place: object) -> str:
    """Return the label of a tick between powers of ten: only those at 2 and 5 have one."""
    text = f"{value:g}"
    return text if text.strip("0.") in {"2", "5"} else ""

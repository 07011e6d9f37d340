"""Marks iterations beyond the depth that a model was trained at."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from latentkit.plot.drawing.dark import NEARLY_WHITE

__all__ = ["mark_trained_depth"]


def mark_trained_depth(ax: Axes, trace: xr.Dataset, *, colour: str = "0.3") -> str:
    """Draw a dashed line after the last trained iteration if iterations beyond it are drawn.

    Parameters
    ----------
    ax : Axes
        The x axis counts iterations.
    trace : Dataset
        With the coordinate ``is_extrapolated`` if its model was trained at one depth.
    colour : str, optional
        Colour of the line, `NEARLY_WHITE` on a heatmap; its outline has the opposite brightness.

    Returns
    -------
    str
        A sentence for the figure's note and its description; empty if nothing was drawn.
    """
    if "is_extrapolated" not in trace.coords or not bool(trace["is_extrapolated"].any()):
        return ""
    trained = [
        int(iteration)
        for iteration, beyond in zip(trace["iteration"].values, trace["is_extrapolated"].values, strict=True)
        if not beyond
    ]
    last = trained[-1] if trained else int(trace["iteration"].values[0]) - 1
    outline = [withStroke(linewidth=2.5, foreground="black" if colour == NEARLY_WHITE else "white")]
    ax.axvline(
        last + 0.5, color=colour, linewidth=1.2, linestyle=(0, (4, 3)), path_effects=outline, gid="trained"
    )
    return f"right of the dashed line: more iterations than in training ({last})"

"""Distance as colour: limits that figures can share, the colour bar, and the floor of the number format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.patheffects import withStroke

from latentkit.errors import ArgumentError
from latentkit.measure import trace_floor
from latentkit.view.selection import select_distance

__all__ = ["add_colorbar", "distance_limits", "drawn_floor", "positive_limits"]

_BAR_WIDTH = 12.0  # points


def distance_limits(
    *traces: xr.Dataset, tokens: slice | None = None, iterations: slice | None = None
) -> tuple[float, float]:
    """Find colour limits that suit several traces, so that their figures can be compared.

    Parameters
    ----------
    *traces : Dataset
        Traces from ``run_recurrence``.
    tokens, iterations : slice, optional
        As for `plot_convergence`.

    Returns
    -------
    (float, float)
        The smallest and the largest distance above 0.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence`; and if there is no trace at all.

    Examples
    --------
    >>> import xarray as xr
    >>> trace = xr.Dataset(
    ...     {"distance": (("token", "iteration"), [[20.0, 4.0, 0.0]])},
    ...     coords={"token_text": ("token", ["a"])},
    ... )
    >>> distance_limits(trace, trace * 2)
    (4.0, 40.0)
    """
    if not traces:
        msg = "`distance_limits` needs at least one trace, got none. Pass those whose figures you compare."
        raise ArgumentError(msg)
    return positive_limits([select_distance(trace, tokens=tokens, iterations=iterations) for trace in traces])


def positive_limits(distances: Sequence[xr.DataArray]) -> tuple[float, float]:
    """Smallest and largest distance above 0, or a scale that shows as well that there is none."""
    values = np.concatenate([distance.values.ravel() for distance in distances])
    values = values[(values > 0) & np.isfinite(values)]
    if not values.size:
        return 1.0, 100.0  # nothing will be drawn; the scale of the published figures
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low / 2, high * 2)


def drawn_floor(trace: xr.Dataset) -> float | None:
    """Noise floor of a trace, where it lies within what pictures show: that of bfloat16; else None."""
    return trace_floor(trace) if "bfloat16" in str(trace.attrs.get("dtype")) else None


def add_colorbar(ax: Axes, mesh: QuadMesh, floor: float | None) -> None:
    """Add the colour bar "Log Distance" to the right of the tokens' positions, with a line at the floor."""
    figure = ax.get_figure()
    assert figure is not None  # mesh was drawn into it
    low, high = mesh.get_clim()
    drawn = np.ma.masked_array(mesh.get_array()).compressed()
    beyond = bool((drawn < low).any()), bool((drawn > high).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
        beyond
    ]
    height = ax.get_window_extent().height * 72 / figure.dpi
    # A layout engine sees the positions beside the axes; without one they need their room from the start.
    pad = 0.02 if figure.get_layout_engine() is not None else 0.09
    bar = figure.colorbar(
        mesh, ax=ax, label="Log Distance", extend=extend, pad=pad, fraction=0.05, aspect=height / _BAR_WIDTH
    )
    bar.ax.tick_params(labelsize="small")
    if floor is not None and low <= floor <= high:
        line = bar.ax.axhline(floor, color="white", linewidth=1.2)
        line.set_path_effects([withStroke(linewidth=2.6, foreground="black")])

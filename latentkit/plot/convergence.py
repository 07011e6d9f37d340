"""The published convergence figure: rows are tokens, columns iterations, colours distances to the limit."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from latentkit.arguments import flag, one_of
from latentkit.plot.drawing.alt import set_alt_text
from latentkit.plot.drawing.colour import add_colorbar
from latentkit.plot.drawing.dark import NEARLY_WHITE
from latentkit.plot.drawing.rows import (
    add_note,
    axes_size,
    check_title,
    label_iterations,
    label_tokens,
    need_axes,
    new_axes,
)
from latentkit.plot.drawing.trained import mark_trained_depth
from latentkit.view.convergence import describe_convergence
from latentkit.view.limits import check_limits, visible_floor
from latentkit.view.selection import select_distance

__all__ = ["plot_convergence"]


def plot_convergence(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    symbol: Literal["x", "s"] = "x",
    vmin: float | None = None,
    vmax: float | None = None,
    title: str | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distance of each token's latent state from its limit at every iteration.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``, or one that was saved and opened again. Part of its iterations is
        selected with xarray: ``trace.sel(iteration=slice(0, 16))``.
    tokens : slice, optional
        Python slice over token positions: tokens 182 to 240 are ``slice(182, 241)``. A negative bound counts
        from the end, one beyond the end is the end. All tokens by default.
    symbol : {"x", "s"}, optional
        Letter for the latent state in the title: ``"x"`` as in the published figures, or ``"s"`` to
        distinguish normalised from raw states. The values drawn are the same.
    vmin, vmax : float, optional
        Distances at the ends of the colour scale. By default the smallest and the largest that are drawn;
        `color_limits` of several traces makes their figures comparable.
    title : str, optional
        Replaces the published title; ``""`` for none.
    colorbar : bool, optional
        Whether to add a colour bar.
    ax : Axes, optional
        Axes to draw in, best of a figure with ``layout="constrained"``, which prevents overlapping labels. By
        default a new figure, with a height that suits the number of tokens.

    Returns
    -------
    Axes
        Axes with one mesh, ``ax.collections[0]``, that holds the distances; row 0 is at the top.

    Raises
    ------
    TraceError
        If ``trace`` has no distances over token and iteration, or no token texts.
    ArgumentError
        If ``tokens`` selects nothing, or another argument is invalid.

    Notes
    -----
    Cells whose distance is 0 or NaN are blank, because the colour scale is logarithmic. If the limit is the
    last iteration drawn, its column is 0 by construction.

    If the model was trained at a fixed number of iterations, a dashed line marks where later ones begin.

    For a trace in bfloat16 a line on the colour bar marks 0.004·√hidden, the distance near which rounding
    stops convergence, if the trace has the attribute ``hidden_size``.

    `alt_text` of the axes returns a description of the figure.
    """
    need_axes(ax)
    one_of("symbol", symbol, ("x", "s"))
    colorbar = flag("colorbar", colorbar)
    check_title(title)
    distance = select_distance(trace, tokens=tokens)
    low, high = check_limits(distance.values, vmin, vmax, log=True)
    if ax is None:
        ax, height = new_axes(len(distance))
    else:
        height = axes_size(ax)[1]
    mesh = _draw(ax, distance, LogNorm(low, high))
    ax.set_title(f"Latent State Convergence ||{symbol} - {symbol}*||" if title is None else title)
    label_iterations(ax, distance["iteration"].values)
    label_tokens(ax, distance, height / len(distance))
    floor = visible_floor(trace)
    if colorbar:
        # A layout engine makes room for the positions on the right; without one the padding must.
        managed = ax.get_figure().get_layout_engine() is not None  # type: ignore[union-attr]  # axes have one
        add_colorbar(ax, mesh, "Log Distance", pad=0.02 if managed else 0.09, floor=floor)
    beyond = mark_trained_depth(ax, trace, colour=NEARLY_WHITE)
    note = _note(trace, symbol, floor, line=colorbar and floor is not None and low <= floor <= high)
    add_note(ax, " · ".join(filter(None, (note, beyond))))
    alt = describe_convergence(trace, tokens=tokens)
    set_alt_text(ax, f"{alt} A dashed line; {beyond}." if beyond else alt)
    return ax


def _draw(ax: Axes, distance: xr.DataArray, norm: LogNorm) -> Any:
    values = np.ma.masked_where(~(distance.values > 0), distance.values)
    # matplotlib leaves infinite values blank; a model that diverges must be visible.
    values[np.isposinf(values)] = np.finfo(float).max
    rows = np.arange(len(distance) + 1) - 0.5
    mesh = ax.pcolormesh(
        column_edges(distance["iteration"].values), rows, values, norm=norm, cmap="viridis", rasterized=True
    )
    ax.grid(visible=False)
    return mesh


def column_edges(centres: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the edges of columns: midway between neighbours, and as far out at both ends."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])


def _note(trace: xr.Dataset, symbol: str, floor: float | None, *, line: bool) -> str:
    """Return the note below the axis: the iteration of the limit, and the noise floor of bfloat16."""
    parts = []
    if "limit" in trace.attrs:
        parts.append(f"{symbol}* = normalised state after {trace.attrs['limit']} iterations")
    if floor is not None:
        parts.append(f"floor of bfloat16: {floor:.2g}" + (" (white line)" if line else ""))
    return " · ".join(parts)

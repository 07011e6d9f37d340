"""The published picture of convergence: tokens down, iterations across, distance from the limit as colour."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from latentkit.errors import ArgumentError
from latentkit.plot.alt import set_alt_text
from latentkit.plot.colour import add_colorbar, drawn_floor, positive_limits
from latentkit.plot.rows import add_note, label_iterations, label_rows, need_axes, new_axes, points
from latentkit.view.description import describe_convergence
from latentkit.view.selection import select_distance

__all__ = ["plot_convergence"]


def plot_convergence(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iterations: slice | None = None,
    symbol: Literal["x", "s"] = "x",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far each token's latent state is from its limit, iteration by iteration.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``, or one that was saved and opened again.
    tokens, iterations : slice, optional
        Python slices over positions and iterations: tokens 182 to 240 are ``slice(182, 241)``. A negative
        bound counts from the end, one beyond the trace is its end. All of them by default.
    symbol : {"x", "s"}, optional
        Letter for the latent state in the title: ``"x"`` as in the published figures, ``"s"`` where raw
        and normalised states are told apart. What is drawn is the same.
    limits : (float, float), optional
        Distances at the two ends of the colour scale. By default the smallest and largest that are drawn;
        `distance_limits` of several traces makes their figures comparable.
    title : str, optional
        Instead of the published title; ``""`` for none.
    colorbar : bool, optional
        Whether to add a colour bar.
    ax : Axes, optional
        Where to draw, best in a figure with ``layout="constrained"``, which keeps labels apart. By default
        a new figure, as high as its rows need.

    Returns
    -------
    Axes
        With one mesh, ``ax.collections[0]``, that holds the distances; row 0 is at the top.

    Raises
    ------
    TraceError
        If ``trace`` has no distances over token and iteration, or no token texts.
    ArgumentError
        If a slice takes nothing of the trace, or another argument has no meaning here.

    Notes
    -----
    A distance of exactly 0 has no place on a logarithmic scale and is left blank, as is one that is not
    known. Where the limit is the last iteration drawn, its column is 0 by construction.

    For a trace in bfloat16 a line on the colour bar marks 0.004·√hidden, near which rounding ends all
    approach, if the trace says how large the hidden dimension is (``hidden_size`` among its attributes).

    `alt_text` of the axes says in words what the picture shows.
    """
    _check(symbol, limits, ax)
    distance = select_distance(trace, tokens=tokens, iterations=iterations)
    words = describe_convergence(trace, tokens=tokens, iterations=iterations)
    low, high = limits if limits is not None else positive_limits([distance])
    if ax is None:
        ax, room = new_axes(len(distance))
    else:
        room = points(ax)[1]
    values = np.ma.masked_where(~(distance.values > 0), distance.values)
    values[np.isposinf(values)] = np.finfo(
        float
    ).max  # matplotlib drops infinity; a model that breaks must show
    mesh = ax.pcolormesh(
        _edges(distance["iteration"].values),
        np.arange(len(distance) + 1) - 0.5,
        values,
        norm=LogNorm(low, high),
        cmap="viridis",
        rasterized=True,
    )
    ax.grid(visible=False)
    ax.set_title(f"Latent State Convergence ||{symbol} - {symbol}*||" if title is None else title)
    label_iterations(ax, distance["iteration"].values)
    label_rows(ax, distance, room / len(distance))
    floor = drawn_floor(trace)
    if colorbar:
        add_colorbar(ax, mesh, floor)
    add_note(ax, _note(trace, symbol, floor, line=colorbar and floor is not None and low <= floor <= high))
    set_alt_text(ax, words)
    return ax


def _check(symbol: object, limits: object, ax: object) -> None:
    if symbol not in ("x", "s"):
        msg = f"`symbol` must be 'x' or 's', got {symbol!r}."
        raise ArgumentError(msg)
    need_axes(ax)
    if limits is None:
        return
    try:
        low, high = (float(limit) for limit in limits)  # type: ignore[attr-defined]  # checked right here
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not 0 < low < high < math.inf:
        msg = (
            f"`limits` must be two distances (low, high) with 0 < low < high, got {limits!r}. "
            "The colour scale is logarithmic and cannot begin at 0."
        )
        raise ArgumentError(msg)


def _edges(centres: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Borders of the columns: half way between iterations, and as far out at both ends."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])


def _note(trace: xr.Dataset, symbol: str, floor: float | None, *, line: bool) -> str:
    """What the title cannot say: which state is the limit, and where bfloat16 ends the approach."""
    parts = []
    if "limit" in trace.attrs:
        parts.append(f"{symbol}* = normalised state after {trace.attrs['limit']} iterations")
    if floor is not None:
        parts.append(f"floor of bfloat16: {floor:.2g}" + (" (white line)" if line else ""))
    return " · ".join(parts)

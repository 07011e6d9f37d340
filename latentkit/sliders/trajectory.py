"""Sliders over the ways of latent states: how far they have come, of which tokens, and seen from where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import xarray as xr

from latentkit.measure import principal_components
from latentkit.plot.trajectory import _components, plot_trajectory
from latentkit.sliders.controls import image, position_slider, redrawn, wide
from latentkit.view.selection import chosen

__all__ = ["slide_trajectory"]

_ROOM = 0.06  # of the axis, left free at both ends
_TOKENS = 6  # shown at first; more ways than these are hard to tell apart


def slide_trajectory(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iteration: int | None = None,
    components: Sequence[int] = (1, 2),
) -> widgets.VBox:
    """Draw `plot_trajectory` with sliders: up to which iteration the states have come, and which tokens.

    Parameters
    ----------
    trace : Dataset
        A trace run with ``keep_states=True``, or what `measure.principal_components` made of one.
    tokens : slice, optional
        Tokens shown at first, by position; by default the last six. The slider reaches over the whole trace.
    iteration : int, optional
        Last iteration shown at first; by default the last one of the trace.
    components : sequence of int, optional
        Two for a flat picture, three for one in space, which has one more slider to turn it.

    Returns
    -------
    VBox
        The sliders "Iterations" and "Tokens", in space also "Turn" (degrees), above the picture. All work
        with the arrow keys. Axes and colours stay the same at every position of the sliders.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_trajectory`; and if there is no such iteration.

    Notes
    -----
    A notebook without a kernel shows no widget: end the next cell with `plot_trajectory`.
    """
    wanted = _components(components)
    given = "score" in getattr(trace, "variables", ())
    # Fitted once: every picture shares the axes.
    fitted = trace if given else principal_components(trace, components=max(wanted))
    positions = fitted["token"]
    rows = slice(-_TOKENS, None) if tokens is None else chosen("tokens", tokens, positions.values)
    shown = positions.values[rows]
    length = position_slider("Iterations", fitted["iteration"], iteration)
    span = widgets.IntRangeSlider(
        value=(int(shown[0]), int(shown[-1])),
        min=int(positions.min()),
        max=int(positions.max()),
        description="Tokens",
        layout=wide(),
    )
    turn = widgets.IntSlider(value=300, min=0, max=355, step=5, description="Turn", layout=wide())

    def draw() -> str:
        first, last = span.value
        ax: Any = plot_trajectory(
            fitted,
            tokens=slice(first, last + 1),
            iterations=slice(None, length.value + 1),
            components=wanted,
        )
        _keep(ax, fitted, wanted, (length.min, length.max))
        if len(wanted) == 3:
            ax.view_init(azim=turn.value)
        return image(ax)

    return redrawn(draw, length, span, *([turn] if len(wanted) == 3 else []))


def _keep(ax: Any, fitted: xr.Dataset, components: Sequence[int], colours: tuple[int, int]) -> None:
    """Give the picture the axes and colours of the whole trace, so that it grows and does not jump."""
    for axis, number in zip("xyz", components, strict=False):
        values = fitted["score"].sel(component=number)
        low, high = float(values.min()), float(values.max())
        room = _ROOM * max(high - low, 1e-9)
        getattr(ax, f"set_{axis}lim")(low - room, high + room)
    for points in ax.collections:
        if points.get_array() is not None:
            points.set_clim(*colours)

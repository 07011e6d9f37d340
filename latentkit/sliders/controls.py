"""Parts of every slider widget: sliders, their width, and the output that they redraw.

A figure is sent to the browser as one ``<img>`` with its size and alt text. The page therefore keeps its
layout while the figure changes, and screen readers read the new description.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import xarray as xr

from latentkit.arguments import whole_number
from latentkit.plot.drawing.alt import with_alt
from latentkit.view.selection import token_rows

__all__ = ["image", "position_slider", "range_slider", "stacked", "token_slider", "wide"]


def position_slider(
    name: str, positions: xr.DataArray, value: int | None, *, argument: str
) -> widgets.IntSlider:
    """Return a slider over the positions of a dimension; None starts at the last one.

    Raises
    ------
    ArgumentError
        If ``value`` is not a position; the message names ``argument``.
    """
    first, last = int(positions.min()), int(positions.max())
    start = last if value is None else whole_number(argument, value, least=first, most=last)
    return widgets.IntSlider(value=start, min=first, max=last, description=name, layout=wide())


def token_slider(positions: xr.DataArray, tokens: slice | None) -> widgets.IntRangeSlider:
    """Return a range slider over tokens that starts with a slice of them; None starts with all."""
    rows = token_rows(slice(None) if tokens is None else tokens, positions.values)
    first, last = (int(positions.values[row]) for row in (rows[0], rows[-1]))
    return range_slider("Tokens", (first, last), int(positions.min()), int(positions.max()))


def range_slider(name: str, value: tuple[int, int], first: int, last: int) -> widgets.IntRangeSlider:
    """Return a slider with two handles."""
    return widgets.IntRangeSlider(value=value, min=first, max=last, description=name, layout=wide())


def wide() -> widgets.Layout:
    """Return the layout of every slider: wide, but not wider than the page."""
    return widgets.Layout(width="36rem", max_width="98%")


def stacked(draw: Callable[[], str], *sliders: Any) -> widgets.VBox:
    """Stack sliders above their output, which ``draw`` returns as HTML after every change."""
    output = widgets.HTML(draw())

    def redraw(_change: object) -> None:
        output.value = draw()

    for slider in sliders:
        slider.observe(redraw, names="value")
    return widgets.VBox([*sliders, output])


def image(ax: Any) -> str:
    """Render axes as an ``<img>`` with alt text; the figure is closed."""
    # Decoded before it is painted: no blank frame between two figures.
    return with_alt(ax).to_html().replace("<img ", '<img decoding="sync" ', 1)

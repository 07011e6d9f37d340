"""What every widget with sliders is made of: the slider, its width, and a picture that is drawn anew.

A picture is handed to the browser as one ``<img>`` with its size and its alt text. The page therefore keeps
its layout while pictures follow each other, and whoever does not see them is told what they show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.plot.alt import with_alt

__all__ = ["image", "position_slider", "redrawn", "wide"]


def position_slider(name: str, positions: xr.DataArray, value: int | None) -> widgets.IntSlider:
    """Make a slider over the positions of a dimension; None starts at the last one."""
    first, last = int(positions.min()), int(positions.max())
    if value is not None and (isinstance(value, bool) or value not in range(first, last + 1)):
        msg = f"`{positions.name}` must be a whole number from {first} to {last}, got {value!r}."
        raise ArgumentError(msg)
    start = last if value is None else int(value)
    return widgets.IntSlider(value=start, min=first, max=last, description=name, layout=wide())


def wide() -> widgets.Layout:
    """Return the width of every slider: wide, and never wider than the page."""
    return widgets.Layout(width="36rem", max_width="98%")


def redrawn(draw: Callable[[], str], *sliders: Any) -> widgets.VBox:
    """Put sliders above what they steer. While a picture is drawn, the browser keeps only the latest move."""
    picture = widgets.HTML(draw())

    def redraw(_change: object) -> None:
        picture.value = draw()

    for slider in sliders:
        slider.observe(redraw, names="value")
    return widgets.VBox([*sliders, picture])


def image(ax: Any) -> str:
    """Render axes as an ``<img>`` with alt text; the figure is closed."""
    data, _ = with_alt(ax)._repr_mimebundle_()
    # Decoded before it is painted: no blank frame between two pictures.
    return data["text/html"].replace("<img ", '<img decoding="sync" ', 1)

"""Alt text on pictures: kept with the axes, and carried into every notebook that shows the figure.

JupyterLab passes the words on from an ``<img alt>`` in HTML, but not from the metadata of a PNG; nbconvert
knows both. Hence a picture is handed over in both forms.
"""

from __future__ import annotations

import base64
import html
import io
from typing import Any, cast
from weakref import WeakKeyDictionary

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentkit.errors import ArgumentError

__all__ = ["AltFigure", "Picture", "alt_text", "set_alt_text", "with_alt"]

_SCREEN = 96  # CSS pixels per inch
_RENDERED = 100  # pixels per inch: not below the screen's, and small enough to commit with a notebook

_texts: WeakKeyDictionary[Axes, str] = WeakKeyDictionary()


def set_alt_text(ax: Axes, text: str) -> None:
    """Give axes their alt text, for `alt_text` and for the figure's output in a notebook."""
    _texts[ax] = text


def alt_text(picture: Axes | Figure) -> str:
    """Read the alt text of a picture.

    Parameters
    ----------
    picture : Axes or Figure
        Axes from a ``plot_`` function, or a figure with such axes in it.

    Returns
    -------
    str
        What the picture shows, computed from its data; one line for each axes of a figure.

    Raises
    ------
    ArgumentError
        If nothing in it was drawn by latentkit.
    """
    axes = picture.axes if isinstance(picture, Figure) else [picture]
    found = [_texts[ax] for ax in axes if ax in _texts]
    if not found:
        msg = (
            f"No alt text is known for {picture!r}. Pass the axes that a `plot_` function of latentkit "
            "returned, or their figure."
        )
        raise ArgumentError(msg)
    return "\n".join(found)


class Picture:
    """A figure rendered for notebooks, with its alt text.

    Parameters
    ----------
    figure : Figure
        A figure with axes drawn by latentkit. It is rendered once, here.

    Attributes
    ----------
    alt : str
        What the picture shows.
    png : bytes
        The picture; its ``Description`` holds the alt text too.
    """

    def __init__(self, figure: Figure) -> None:
        self.alt = alt_text(figure)
        self.png = _png(figure, self.alt)

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        # The header of a PNG has its width and height at fixed places.
        width, height = (
            round(int.from_bytes(self.png[start : start + 4], "big") * _SCREEN / _RENDERED)
            for start in (16, 20)
        )
        data = base64.b64encode(self.png).decode("ascii")
        image = (
            f'<img alt="{html.escape(self.alt)}" width="{width}" height="{height}" '
            f'src="data:image/png;base64,{data}">'
        )
        about = {"alt": self.alt, "width": width, "height": height}
        return {"text/html": image, "image/png": data, "text/plain": self.alt}, {"image/png": about}


def _png(figure: Figure, description: str) -> bytes:
    """Render a figure in 256 colours of its own, a third of the bytes: a notebook stores each picture twice.

    Of the ways to choose the colours this one keeps colour scales as they are: none is off by more than a
    few of 255 steps, where a median cut turns rare colours into others.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_RENDERED, bbox_inches="tight")
    about = PngInfo()
    about.add_itxt("Description", description)
    small = io.BytesIO()
    with Image.open(buffer) as image:
        if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
            image.save(small, "PNG", optimize=True, pnginfo=about)  # a palette has no half-transparent edges
        else:
            few = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(small, "PNG", optimize=True, pnginfo=about)
    return small.getvalue()


class AltFigure(Figure):
    """A matplotlib figure that notebooks show with the alt text of its axes."""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        if not any(ax in _texts for ax in self.axes):
            return {}, {}  # cleared and used for something else: shown as any figure
        return Picture(self)._repr_mimebundle_()


def with_alt(picture: Axes | Figure) -> Picture:
    """Show a picture in a notebook with its alt text, whoever made the figure.

    Figures that ``plot_`` functions make for themselves carry it without this. With axes of your own, end
    the cell with ``with_alt(ax)``. The figure is closed, so that the notebook does not show it twice.

    Parameters
    ----------
    picture : Axes or Figure
        Axes from a ``plot_`` function, or a figure with such axes in it.

    Returns
    -------
    Picture
        What the notebook displays; ``.alt`` and ``.png`` hold its parts.

    Raises
    ------
    ArgumentError
        If nothing in it was drawn by latentkit.
    """
    alt_text(picture)  # axes that are not ours are refused, even beside some that are
    figure = picture if isinstance(picture, Figure) else cast("Figure", picture.get_figure())
    while figure is not figure.figure:  # a subfigure's own
        figure = figure.figure
    shown = Picture(figure)
    plt.close(figure)
    return shown

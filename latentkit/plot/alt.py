"""Alt text of figures: stored with the axes, and shown by every notebook that displays the figure.

JupyterLab reads alt text from an ``<img alt>`` in HTML, but not from the metadata of a PNG; nbconvert reads
both. A figure is therefore displayed in both forms.
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
_RENDERED = 100  # pixels per inch: at least those of the screen, and small enough to commit in a notebook

_texts: WeakKeyDictionary[Axes, str] = WeakKeyDictionary()


def set_alt_text(ax: Axes, text: str) -> None:
    """Store the alt text of axes, for `alt_text` and for the figure's output in a notebook."""
    _texts[ax] = text


def alt_text(picture: Axes | Figure) -> str:
    """Return the alt text of axes or of a figure.

    Parameters
    ----------
    picture : Axes or Figure
        Axes from a ``plot_`` function, or a figure with such axes in it.

    Returns
    -------
    str
        A description computed from the data, with one line per axes of a figure.

    Raises
    ------
    ArgumentError
        If latentkit drew none of the axes.
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
        A figure with axes drawn by latentkit. It is rendered when the object is created.

    Attributes
    ----------
    alt : str
        The alt text.
    png : bytes
        The rendered figure; its metadata ``Description`` is the alt text.
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
    """Render a figure with a palette of 256 colours, which takes a third of the bytes.

    A notebook stores each figure twice. Maximum coverage preserves colour scales: no colour changes by more
    than a few of 255 steps, whereas a median cut replaces rare colours.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_RENDERED, bbox_inches="tight")
    about = PngInfo()
    about.add_itxt("Description", description)
    small = io.BytesIO()
    with Image.open(buffer) as image:
        if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
            image.save(small, "PNG", optimize=True, pnginfo=about)  # a palette has no partial transparency
        else:
            few = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(small, "PNG", optimize=True, pnginfo=about)
    return small.getvalue()


class AltFigure(Figure):
    """A matplotlib figure that notebooks display with the alt text of its axes."""

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        if not any(ax in _texts for ax in self.axes):
            return {}, {}  # cleared and reused: displayed as an ordinary figure
        return Picture(self)._repr_mimebundle_()


def with_alt(picture: Axes | Figure) -> Picture:
    """Display a figure in a notebook with its alt text.

    Figures created by ``plot_`` functions do so by themselves. For a figure of your own, end the cell with
    ``with_alt(ax)``. The figure is closed, so that the notebook does not display it twice.

    Parameters
    ----------
    picture : Axes or Figure
        Axes from a ``plot_`` function, or a figure with such axes in it.

    Returns
    -------
    Picture
        The object that the notebook displays, with the attributes ``alt`` and ``png``.

    Raises
    ------
    ArgumentError
        If latentkit drew none of the axes.
    """
    alt_text(picture)  # raises an error for axes that latentkit did not draw, even in a figure with others
    figure = picture if isinstance(picture, Figure) else cast("Figure", picture.get_figure())
    while figure is not figure.figure:  # out of a subfigure
        figure = figure.figure
    shown = Picture(figure)
    plt.close(figure)
    return shown

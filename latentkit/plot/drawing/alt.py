"""Alt text of figures: stored with the axes, and shown by every notebook that displays the figure.

JupyterLab reads alt text from an ``<img alt>`` in HTML, but not from the metadata of a PNG; nbconvert reads
both. A figure is therefore displayed in both forms.

The HTML also contains the figure in dark colours, which its style sheet shows where the surrounding page is
dark. Without the style sheet (an untrusted notebook, GitHub), in print, and for ``image/png`` it is light.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentkit.arguments import shown_value
from latentkit.errors import ArgumentError
from latentkit.plot.drawing.dark import darkened, heatmap_boxes

__all__ = ["AltFigure", "Picture", "alt_text", "set_alt_text", "with_alt"]

_SCREEN = 96  # CSS pixels per inch
_PAD = 0.1  # inches around a figure
_DARK_PAGES = ('[data-jp-theme-light="false"]', 'html[data-theme="dark"]', ".vscode-dark")
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
    axes: list[Any] = picture.axes if isinstance(picture, Figure) else [picture]
    found = [_texts[ax] for ax in axes if isinstance(ax, Axes) and ax in _texts]
    if not found:
        msg = (
            f"No alt text is known for the picture {shown_value(picture)}. Pass the axes that a `plot_` "
            "function of latentkit returned, or their figure."
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
    dark_png : bytes
        The same in the colours of a dark theme.
    """

    def __init__(self, figure: Figure) -> None:
        self.alt = alt_text(figure)
        self.png, self.dark_png = _rendered(figure, self.alt)

    def __repr__(self) -> str:
        return self.alt

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        # The header of a PNG has its width and height at fixed places.
        width, height = (int.from_bytes(self.png[start : start + 4], "big") for start in (16, 20))
        return round(width * _SCREEN / _RENDERED), round(height * _SCREEN / _RENDERED)

    def to_html(self, *, dark: bool = True) -> str:
        """Return an ``<img>``; with ``dark`` it shows the dark variant where the page is dark."""
        name = f"lk-{hashlib.sha256(self.png).hexdigest()[:10]}"
        width, height = self.size
        image = (
            f'<img alt="{html.escape(self.alt)}" width="{width}" height="{height}" class="dark-light {name}" '
            f'src="data:image/png;base64,{_base64(self.png)}">'
        )
        return image + _dark_style(name, _base64(self.dark_png)) if dark else image

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        width, height = self.size
        about = {"alt": self.alt, "width": width, "height": height}
        data = {"text/html": self.to_html(), "image/png": _base64(self.png), "text/plain": self.alt}
        return data, {"image/png": about}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _dark_style(name: str, data: str) -> str:
    """Return the style that shows a dark picture in the place of an image, without changing its source."""
    selectors = ",".join(f"{page} .{name}" for page in _DARK_PAGES)
    shown = f"url(data:image/png;base64,{data}) 0 0/100% 100%"
    return f"<style>@media screen{{{selectors}{{object-position:-9999px 0;background:{shown}}}}}</style>"


def _rendered(figure: Figure, description: str) -> tuple[bytes, bytes]:
    """Render a figure in light and in dark colours."""
    figure.draw_without_rendering()  # the layout engine sets the size of the axes
    page = figure.get_tightbbox().padded(_PAD)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_RENDERED, bbox_inches=page)
    with Image.open(buffer) as image:
        light = image.convert("RGBA")
    pixels = np.array(light)
    pixels[..., :3] = darkened(pixels[..., :3], heatmap_boxes(figure, page, _RENDERED))
    return _compressed(light, description), _compressed(Image.fromarray(pixels), description)


def _compressed(image: Image.Image, description: str) -> bytes:
    """Write a PNG with a palette of 256 colours, which takes a third of the bytes.

    A notebook stores each figure several times. Maximum coverage preserves colour scales: no colour changes
    by more than a few of 255 steps, whereas a median cut replaces rare colours.
    """
    about = PngInfo()
    about.add_itxt("Description", description)
    if image.getchannel("A").getextrema() == (255, 255):  # a palette has no partial transparency
        background = image.convert("RGB").getpixel((0, 0))
        image = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        _set_background(image, background)
    small = io.BytesIO()
    image.save(small, "PNG", optimize=True, pnginfo=about)
    return small.getvalue()


def _set_background(image: Image.Image, colour: Any) -> None:
    """Give the corner its exact colour, which the palette only approximates."""
    palette, place = image.getpalette() or [], 3 * cast("int", image.getpixel((0, 0)))
    palette[place : place + 3] = colour
    image.putpalette(palette)


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

"""The dark variant of a rendered figure, which notebooks with a dark theme show instead of the light one.

The lightness of every pixel is inverted and its hue kept, so that black text on white becomes light text on
dark, and a dark blue line a light blue one. Heatmaps and their colour bars stay as they are, because their
colours have a meaning; only pure white in them, which is background, becomes dark.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

__all__ = ["NEARLY_WHITE", "darkened", "heatmap_boxes"]

#: Colour of text in cells. It looks white, and stays as it is in the dark variant.
NEARLY_WHITE = "#fefefe"

_DARKEST, _LIGHTEST = 17, 238  # background and text of JupyterLab's dark theme

Pixels = np.ndarray[Any, Any]

# Colours of medium lightness become lighter: they need more contrast with black than with white.
_TONES = (_DARKEST + (np.arange(256) / 255) ** 0.75 * (_LIGHTEST - _DARKEST)).astype(np.uint8)


def heatmap_boxes(figure: Figure, page: Bbox, dots: float) -> list[tuple[slice, slice]]:
    """Return rows and columns of the pixels inside heatmaps and their colour bars.

    Parameters
    ----------
    figure : Figure
        Already drawn.
    page : Bbox
        Rendered part of the figure, in inches.
    dots : float
        Pixels per inch.
    """
    boxes = []
    for ax in figure.axes:
        if not any(_is_heatmap(ax, part) for part in ax.collections):
            continue
        # A colour bar has triangles at its ends where values exceed its limits.
        ends = getattr(getattr(ax, "_colorbar", None), "_extend_patches", ())
        for area in (ax, *ends):
            box = area.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
            # The frame, half a pixel wide on each side of the edge, is left out.
            left, right = ((x - page.x0) * dots for x in (box.x0, box.x1))
            top, bottom = ((page.y1 - y) * dots for y in (box.y1, box.y0))
            rows, columns = (
                slice(int(np.ceil(a + 0.56)), int(b - 0.56)) for a, b in ((top, bottom), (left, right))
            )
            boxes.append((rows, columns))
    return boxes


def darkened(light: Pixels, kept: list[tuple[slice, slice]]) -> Pixels:
    """Return the dark variant of pixels [row, column, red green blue].

    Examples
    --------
    >>> black_white_blue = np.array([[[0, 0, 0], [255, 255, 255], [31, 119, 180]]], dtype="uint8")
    >>> darkened(black_white_blue, [])[0].tolist()
    [[238, 238, 238], [17, 17, 17], [105, 174, 217]]
    """
    wide = light.astype(np.int16)
    inverted = wide + 255 - wide.max(-1, keepdims=True) - wide.min(-1, keepdims=True)
    dark: Pixels = _TONES[inverted]
    for rows, columns in kept:
        part = light[rows, columns]
        is_white = (part == 255).all(-1, keepdims=True)
        dark[rows, columns] = np.where(is_white, np.uint8(_DARKEST), part)
    return dark


def _is_heatmap(ax: Axes, part: object) -> bool:
    """Return whether a collection is a heatmap, or the colour bar of one."""
    bar = getattr(ax, "_colorbar", None)
    return isinstance(bar.mappable if bar else part, QuadMesh)

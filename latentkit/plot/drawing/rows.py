"""Axes with a row per token: figure height, token texts on the left, positions on the right."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import OffsetFrom

from latentkit.arguments import plain_text
from latentkit.errors import ArgumentError
from latentkit.plot.drawing.alt import AltFigure
from latentkit.plot.drawing.fonts import font_characters
from latentkit.view.labels import label_rows, token_label

__all__ = [
    "add_note",
    "as_data",
    "axes_size",
    "check_title",
    "label_iterations",
    "label_tokens",
    "need_axes",
    "new_axes",
]

_ROW_HEIGHT = 9.4 / 72  # inches, for labels of 8 points
_FRAME_HEIGHT = 1.1  # inches above and below the rows: title, axis, note
_LOWEST, _TALLEST = 2.8, 12.0
_WIDTH = 8.0
_MOST_TICKS = 9.0


def need_axes(ax: object) -> None:
    """Raise an error unless ``ax`` is matplotlib axes or None."""
    if ax is not None and not isinstance(ax, Axes):
        msg = f"`ax` must be matplotlib Axes or None, got {type(ax).__name__}."
        raise ArgumentError(msg)


def check_title(title: object) -> None:
    """Raise an error unless a title is a text or None."""
    if title is not None:
        plain_text("title", title, or_none=", or None for the default")


def new_axes(rows: int) -> tuple[Axes, float]:
    """Create a figure for this many rows; return its axes and the height of all rows in points."""
    height = min(max(rows * _ROW_HEIGHT + _FRAME_HEIGHT, _LOWEST), _TALLEST)
    figure, ax = plt.subplots(figsize=(_WIDTH, height), FigureClass=AltFigure)
    # Padding at the sides for the mark of a leading space, which the layout engine ignores.
    figure.set_layout_engine("constrained", w_pad=0.1)
    return ax, 72 * (height - _FRAME_HEIGHT)


def label_iterations(ax: Axes, iterations: np.ndarray[Any, Any]) -> None:
    """Set ticks at round numbers, as many as there is room for: 0, 10 … 60 in the published figures."""
    first, last = int(iterations[0]), int(iterations[-1])
    room = max(axes_size(ax)[0] / 40, 1.0)  # 40 points per label of up to four digits
    least = (last - first) / min(room, _MOST_TICKS)
    step = next(digit * 10**power for power in range(12) for digit in (1, 2, 5) if digit * 10**power >= least)
    ax.set_xticks(range(-(-first // step) * step, last + 1, step))
    ax.set_xlabel("Iterations at Test Time")
    ax.tick_params(axis="x", labelsize="small")


def label_tokens(ax: Axes, data: xr.DataArray, pitch: float) -> None:
    """Write token texts on the left and positions on the right; ``pitch`` is points per row."""
    positions = data["token"].values.tolist()
    rows, size = label_rows(positions, pitch)
    characters = font_characters()
    texts = [token_label(str(data["token_text"].values[row]), characters) for row in rows]
    ax.set_ylim(len(positions) - 0.5, -0.5)
    # Dollar signs and backslashes of a token are not mathematical notation.
    ax.set_yticks(rows, texts, fontsize=size, parse_math=False, usetex=False)
    right = ax.secondary_yaxis("right")
    right.set_yticks(rows, [str(positions[row]) for row in rows], fontsize=size)
    for side in (ax, right):
        side.tick_params(axis="y", length=2, pad=2)
    _mark_spaces(ax, rows, size)


def _mark_spaces(ax: Axes, rows: list[int], size: float) -> None:
    """Draw a faint ␣ over the leading space of labels, which is invisible beside the axis.

    The text of the label is unchanged, as in the published figures.
    """
    if ord("␣") not in font_characters():
        return
    for row, label in zip(rows, ax.get_yticklabels(), strict=True):
        if label.get_text().startswith(" "):
            ax.annotate(
                "␣",
                xy=(0.0, row),
                xycoords=ax.get_yaxis_transform(),
                xytext=(0.3 * size, 0.0),  # the width of the space
                textcoords=OffsetFrom(label, (0.0, 0.0), unit="points"),
                ha="right",
                va="bottom",
                fontsize=size,
                color="0.6",
                annotation_clip=True,  # hidden, as the label is, when the row is outside the view
                in_layout=False,
            )


def axes_size(ax: Axes) -> tuple[float, float]:
    """Return width and height of axes in points, less what a layout engine is expected to take for labels."""
    figure = ax.get_figure()
    assert figure is not None
    taken = 1.0 if figure.get_layout_engine() is None else 0.92
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi * taken, box.height * 72 / figure.dpi * taken


def add_note(ax: Axes, *lines: str) -> None:
    """Write small lines below the label of the x axis; empty ones are left out."""
    ax.annotate(
        "\n".join(filter(None, lines)),
        xy=(0.5, 0.0),
        xycoords=ax.xaxis.label,
        xytext=(0.0, -3.0),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=7,
        color="0.4",
    )


def as_data(*texts: Any) -> None:
    """Set matplotlib texts to be drawn literally: tokens and names are not mathematical notation."""
    for text in texts:
        text.set_parse_math(False)
        text.set_usetex(False)

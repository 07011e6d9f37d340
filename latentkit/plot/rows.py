"""Tokens as rows: axes as high as they need, their texts on the left, their positions on the right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import OffsetFrom

from latentkit.errors import ArgumentError
from latentkit.plot.alt import AltFigure
from latentkit.view.labels import font_characters, thin, token_label

__all__ = ["add_note", "label_iterations", "label_rows", "need_axes", "new_axes", "points"]

_ROW_HEIGHT = 9.4 / 72  # inches, for labels of 8 points
_FRAME_HEIGHT = 1.1  # inches above and below the rows: title, axis, note
_LOWEST, _TALLEST = 2.8, 12.0
_WIDTH = 8.0


def need_axes(ax: object) -> None:
    """Refuse what is neither axes to draw into nor None."""
    if ax is not None and not isinstance(ax, Axes):
        msg = f"`ax` must be matplotlib Axes or None, got {type(ax).__name__}."
        raise ArgumentError(msg)


def new_axes(rows: int) -> tuple[Axes, float]:
    """Open a figure as high as its rows need, and say how many points of it are theirs."""
    height = min(max(rows * _ROW_HEIGHT + _FRAME_HEIGHT, _LOWEST), _TALLEST)
    figure, ax = plt.subplots(figsize=(_WIDTH, height), FigureClass=AltFigure)
    # Room at the sides for the mark of a leading space, which the layout does not count.
    figure.set_layout_engine("constrained", w_pad=0.1)
    return ax, 72 * (height - _FRAME_HEIGHT)


def label_iterations(ax: Axes, iterations: np.ndarray[Any, Any]) -> None:
    """Put ticks at powers of two apart, as many as there is room for."""
    first, last = int(iterations[0]), int(iterations[-1])
    room = max(points(ax)[0] / 40, 1.0)  # labels of up to four digits with air around them
    step = 2 ** max(math.ceil(math.log2(max((last - first) / min(room, 9.0), 1.0))), 0)
    ax.set_xticks(range(-(-first // step) * step, last + 1, step))
    ax.set_xlabel("Iterations at Test Time")
    ax.tick_params(axis="x", labelsize="small")


def label_rows(ax: Axes, data: xr.DataArray, pitch: float) -> None:
    """Tokens on the left, their positions on the right, at the same rows."""
    positions = data["token"].values.tolist()
    rows, size = thin(positions, pitch)
    characters = font_characters()
    texts = [token_label(str(data["token_text"].values[row]), characters) for row in rows]
    ax.set_ylim(len(positions) - 0.5, -0.5)
    # Neither a dollar sign nor a backslash of a token is meant for a typesetter.
    ax.set_yticks(rows, texts, fontsize=size, parse_math=False, usetex=False)
    right = ax.secondary_yaxis("right")
    right.set_yticks(rows, [str(positions[row]) for row in rows], fontsize=size)
    for side in (ax, right):
        side.tick_params(axis="y", length=2, pad=2)
    _mark_spaces(ax, rows, size)


def _mark_spaces(ax: Axes, rows: list[int], size: float) -> None:
    """Draw a faint ␣ in front of labels that begin with a space, which nobody would see beside the axis.

    The label itself keeps its text, as in the published figures.
    """
    if ord("␣") not in font_characters():
        return
    for row, label in zip(rows, ax.get_yticklabels(), strict=True):
        if label.get_text().startswith(" "):
            ax.annotate(
                "␣",
                xy=(0.0, row),
                xycoords=ax.get_yaxis_transform(),
                xytext=(0.3 * size, 0.0),  # over the space itself, which is that wide
                textcoords=OffsetFrom(label, (0.0, 0.0), unit="points"),
                ha="right",
                va="bottom",
                fontsize=size,
                color="0.6",
                annotation_clip=True,  # gone, like the label, when the reader zooms past its row
                in_layout=False,
            )


def points(ax: Axes) -> tuple[float, float]:
    """Width and height of axes in points; a layout engine will still take some of it away."""
    figure = ax.get_figure()
    assert figure is not None
    taken = 1.0 if figure.get_layout_engine() is None else 0.92
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi * taken, box.height * 72 / figure.dpi * taken


def add_note(ax: Axes, text: str) -> None:
    """Write a small line under the axis label, wherever the label ends up."""
    ax.annotate(
        text,
        xy=(0.5, 0.0),
        xycoords=ax.xaxis.label,
        xytext=(0.0, -3.0),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=7,
        color="0.4",
    )

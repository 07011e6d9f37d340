"""The likeliest token at each iteration: rows are generated tokens, columns iterations, cells have texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from latentkit.arguments import flag
from latentkit.plot.convergence import column_edges
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.dark import NEARLY_WHITE
from latentkit.plot.drawing.fonts import font_characters
from latentkit.plot.drawing.rows import check_title, need_axes
from latentkit.view.decoding import describe_decoding, likeliest, select_readouts
from latentkit.view.labels import label_rows, token_label

__all__ = ["plot_decoding"]

_ROW, _FRAME, _WIDTH = 16 / 72, 1.1, 9.0  # inches
_LOWEST, _TALLEST = 2.2, 12.0
_LETTER = 0.68  # width of a letter divided by the font size


def plot_decoding(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    title: str | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the token that would have been chosen had the model stopped at each iteration.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, with readouts. Part of its iterations is selected with xarray:
        ``trace.sel(iteration=slice(0, 16))``.
    tokens : slice, optional
        Python slice over the generated tokens, counted from 0. All of them by default.
    title : str, optional
        None names the model; ``""`` for none.
    colorbar : bool, optional
        Whether to add a colour bar.
    ax : Axes, optional
        Axes to draw in. By default a new figure, with a height that suits the number of tokens.

    Returns
    -------
    Axes
        Axes with one mesh, ``ax.collections[0]``, that holds the probability of the likeliest token; row 0,
        the first generated token, is at the top.

    Raises
    ------
    TraceError
        If ``trace`` is not a decoding, is empty, or has no readouts.
    ArgumentError
        If ``tokens`` selects nothing.

    Notes
    -----
    A token is written once across neighbouring cells in which it is the likeliest, shortened to their width;
    a thin line marks a change. Cells after an exit are blank. The chosen token is on the left, its position
    in the sequence on the right. `alt_text` of the axes returns a description of the figure.
    """
    need_axes(ax)
    colorbar = flag("colorbar", colorbar)
    check_title(title)
    shown = select_readouts(trace, tokens=tokens)
    rows = shown.sizes["generated_token"]
    if ax is None:
        height = min(max(rows * _ROW + _FRAME, _LOWEST), _TALLEST)
        _, ax = plt.subplots(figsize=(_WIDTH, height), FigureClass=AltFigure, layout="constrained")
    mesh = _draw(ax, shown)
    ax.set_xlabel("Iterations at Test Time")
    ax.set_ylabel("Token taken")
    model = trace.attrs.get("model")
    ax.set_title((f"What {model} would say" if model else "What would be said") if title is None else title)
    figure: Any = ax.get_figure()
    if colorbar:
        label = shown["readout_probability"].attrs.get("long_name", "probability")
        figure.colorbar(mesh, ax=ax, label=label[:1].upper() + label[1:], fraction=0.05, pad=0.08)
    figure.draw_without_rendering()  # the size of a cell is known after the layout
    _label_rows(ax, shown)
    figure.draw_without_rendering()
    _write_tokens(ax, shown)
    set_alt_text(ax, describe_decoding(shown))
    return ax


def _draw(ax: Axes, shown: xr.Dataset) -> Any:
    rows = shown.sizes["generated_token"]
    mesh = ax.pcolormesh(
        column_edges(shown["iteration"].values),
        np.arange(rows + 1) - 0.5,
        np.ma.masked_invalid(likeliest(shown, "probability")),
        norm=Normalize(0, 1),
        cmap="viridis",
        rasterized=True,
    )
    ax.set_ylim(rows - 0.5, -0.5)
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 5, 10]))
    return mesh


def _label_rows(ax: Axes, shown: xr.Dataset) -> None:
    """Write the chosen tokens on the left and their positions on the right."""
    positions = shown["generated_token"].values.tolist()
    rows, size = label_rows(positions, _size(ax)[1] / len(positions))
    characters = font_characters()
    texts = [token_label(str(shown["token_text"].values[row]), characters, width=18) for row in rows]
    ax.set_yticks(rows, texts, fontsize=size, parse_math=False, usetex=False)
    beside = shown["position"].values if "position" in shown.coords else shown["generated_token"].values
    right = ax.secondary_yaxis("right")
    right.set_yticks(rows, [str(beside[row]) for row in rows], fontsize=size)
    for side in (ax, right):
        side.tick_params(axis="y", length=2, pad=2)


def _write_tokens(ax: Axes, shown: xr.Dataset) -> None:
    """Write a token once across the neighbouring cells in which it is the likeliest."""
    width, height = _size(ax)
    left, right = ax.get_xlim()
    size = float(np.clip(height / shown.sizes["generated_token"] / 1.3, 3.0, 8.0))
    letters = width / (right - left) / (_LETTER * size)  # per iteration
    edges = column_edges(shown["iteration"].values)
    characters = font_characters()
    texts, ids = likeliest(shown, "text"), likeliest(shown, "id")
    for row, line in enumerate(ids):
        starts = [column for column in range(len(line)) if column == 0 or line[column] != line[column - 1]]
        for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
            if line[start] < 0:  # after an exit
                continue
            x, end_x = edges[start], edges[end]
            if start:
                ax.plot([x, x], [row - 0.5, row + 0.5], color="white", linewidth=0.5)
            if room := int((end_x - x) * letters):
                text = str(texts[row, start])
                bare = text.removeprefix(" ") or text  # most cells have a leading space
                box = Rectangle((x, row - 0.5), end_x - x, 1.0, transform=ax.transData)
                _write(ax, token_label(bare, characters, width=room), size, box)


def _write(ax: Axes, text: str, size: float, box: Rectangle) -> None:
    """Write at the left edge of a box, clipped to the box."""
    drawn = ax.annotate(
        text, xy=(box.get_x(), box.get_y() + 0.5), xytext=(1.0, 0.0), textcoords="offset points",
        va="center", ha="left", fontsize=size, color=NEARLY_WHITE, parse_math=False, usetex=False,
        in_layout=False, path_effects=[withStroke(linewidth=1.2, foreground="black")],
    )  # fmt: skip
    drawn.set_clip_path(box)


def _size(ax: Axes) -> tuple[float, float]:
    """Return width and height of the axes in points, after a layout."""
    figure: Any = ax.get_figure()
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi

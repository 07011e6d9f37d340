"""What would be said at each iteration: new tokens down, iterations across, texts in the cells."""

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

from latentkit.errors import TraceError
from latentkit.plot.alt import AltFigure, set_alt_text
from latentkit.plot.rows import need_axes
from latentkit.view.labels import font_characters, thin, token_label
from latentkit.view.selection import select_distance

__all__ = ["plot_decoding", "quoted", "select_decoding"]

_ROW, _FRAME, _WIDTH = 16 / 72, 1.1, 9.0  # inches
_LOWEST, _TALLEST = 2.2, 12.0
_LETTER = 0.68  # width of a letter over the size of the font


def plot_decoding(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iterations: slice | None = None,
    title: str | None = None,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw what a model would have said had it stopped at each iteration.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, with readouts.
    tokens, iterations : slice, optional
        Python slices over the new tokens, counted from 0, and over iterations. All of them by default.
    title : str, optional
        None says which model; ``""`` for none.
    colorbar : bool, optional
        Whether to add a colour bar.
    ax : Axes, optional
        Where to draw. By default a new figure, as high as its rows need.

    Returns
    -------
    Axes
        With one mesh, ``ax.collections[0]``, that holds the probability of the likeliest token; row 0, the
        first new token, is at the top.

    Raises
    ------
    TraceError
        If ``trace`` is no decoding, is empty, or has no readouts.
    ArgumentError
        If a slice takes nothing.

    Notes
    -----
    A token is written into the first cell from which on it is the likeliest, over the cells in which it
    stays so, cut to their width; a thin line stands where it changes. Cells after an exit are blank. The
    token that was taken stands on the left, its position in the sequence on the right. `alt_text` of the
    axes says in words what the picture shows.
    """
    need_axes(ax)
    shown = select_decoding(trace, tokens=tokens, iterations=iterations)
    if "readout_text" not in shown.variables:
        msg = "This decoding has no readouts to draw. Run it with readout_top=1 or more."
        raise TraceError(msg)
    rows, columns = shown.sizes["generated_token"], shown["iteration"].values
    if ax is None:
        height = min(max(rows * _ROW + _FRAME, _LOWEST), _TALLEST)
        _, ax = plt.subplots(figsize=(_WIDTH, height), FigureClass=AltFigure, layout="constrained")
    probability = shown["readout_probability"].isel(rank=0).transpose("generated_token", "iteration")
    edges = np.append(columns - 0.5, columns[-1] + 0.5) if len(columns) == 1 or _even(columns) else None
    mesh = ax.pcolormesh(
        edges if edges is not None else _edges(columns),
        np.arange(rows + 1) - 0.5,
        np.ma.masked_invalid(probability.values),
        norm=Normalize(0, 1),
        cmap="viridis",
        rasterized=True,
    )
    ax.set_ylim(rows - 0.5, -0.5)
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 4, 8, 10]))
    ax.set_xlabel("Iterations at Test Time")
    ax.set_ylabel("Token taken")
    model = trace.attrs.get("model")
    ax.set_title((f"What {model} would say" if model else "What would be said") if title is None else title)
    figure: Any = ax.get_figure()
    if colorbar:
        label = shown["readout_probability"].attrs.get("long_name", "probability")
        figure.colorbar(mesh, ax=ax, label=label[:1].upper() + label[1:], fraction=0.05, pad=0.08)
    figure.draw_without_rendering()  # the layout decides how much room a cell has
    _label_rows(ax, shown)
    figure.draw_without_rendering()
    _write_tokens(ax, shown)
    set_alt_text(ax, _describe(shown))
    return ax


def select_decoding(
    trace: xr.Dataset, *, tokens: slice | None = None, iterations: slice | None = None
) -> xr.Dataset:
    """Take the part of a decoding that a picture shows.

    Raises
    ------
    TraceError
        If it is no decoding, or has no token.
    ArgumentError
        If a slice takes nothing.
    """
    if "generated_token" not in getattr(trace, "dims", ()):
        msg = f"Expected a decoding, got {type(trace).__name__} without generated tokens. "
        raise TraceError(msg + "Pass what `run_decoding` returns.")
    if not trace.sizes["generated_token"]:
        msg = "This decoding holds no token: it was interrupted before the first one. Run it again."
        raise TraceError(msg)
    plain = trace[["distance", "token_text"]].rename({"generated_token": "token"})
    kept = select_distance(plain, tokens=tokens, iterations=iterations)
    return trace.sel(generated_token=kept["token"].values, iteration=kept["iteration"].values)


def quoted(text: str) -> str:
    """Write a token for a sentence: visible, short, in quotation marks."""
    return f"“{token_label(text)}”"


def _even(columns: np.ndarray[Any, Any]) -> bool:
    return bool((np.diff(columns) == 1).all())


def _edges(columns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Borders of columns that leave iterations out: half way between them."""
    middle = (columns[1:] + columns[:-1]) / 2
    return np.array([2 * columns[0] - middle[0], *middle, 2 * columns[-1] - middle[-1]])


def _label_rows(ax: Axes, shown: xr.Dataset) -> None:
    """Tokens on the left, their positions on the right."""
    positions = shown["generated_token"].values.tolist()
    pitch = _points(ax)[1] / len(positions)
    rows, size = thin(positions, pitch)
    characters = font_characters()
    texts = [token_label(str(shown["token_text"].values[row]), characters, width=18) for row in rows]
    ax.set_yticks(rows, texts, fontsize=size, parse_math=False, usetex=False)
    beside = shown["position"].values if "position" in shown.coords else shown["generated_token"].values
    right = ax.secondary_yaxis("right")
    right.set_yticks(rows, [str(beside[row]) for row in rows], fontsize=size)
    for side in (ax, right):
        side.tick_params(axis="y", length=2, pad=2)


def _write_tokens(ax: Axes, shown: xr.Dataset) -> None:
    """Write each run of cells with the same token once, as wide as they are."""
    width, height = _points(ax)
    columns = shown["iteration"].values
    left, right = ax.get_xlim()
    cell = width / (right - left)
    size = float(np.clip(height / len(shown["generated_token"]) / 1.3, 3.0, 8.0))
    characters = font_characters()
    texts = shown["readout_text"].isel(rank=0).transpose("generated_token", "iteration").values
    ids = shown["readout_id"].isel(rank=0).transpose("generated_token", "iteration").values
    for row, line in enumerate(ids):
        starts = [column for column in range(len(line)) if column == 0 or line[column] != line[column - 1]]
        for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
            if line[start] < 0:  # after an exit
                continue
            x = columns[start] - 0.5
            if start:
                ax.plot([x, x], [row - 0.5, row + 0.5], color="white", linewidth=0.5)
            end_x = columns[end - 1] + 0.5
            room = int((end_x - x) * cell / (_LETTER * size))
            if room:
                text = str(texts[row, start])
                bare = text.removeprefix(" ") or text  # what begins with a space does so in most cells
                box = Rectangle((x, row - 0.5), end_x - x, 1.0, transform=ax.transData)
                _write(ax, token_label(bare, characters, width=room), size, box)


def _write(ax: Axes, text: str, size: float, box: Rectangle) -> None:
    """Write at the left of a box and nothing outside it, wide as the letters may be."""
    drawn = ax.annotate(
        text, xy=(box.get_x(), box.get_y() + 0.5), xytext=(1.0, 0.0), textcoords="offset points",
        va="center", ha="left", fontsize=size, color="white", parse_math=False, usetex=False,
        in_layout=False, path_effects=[withStroke(linewidth=1.2, foreground="black")],
    )  # fmt: skip
    drawn.set_clip_path(box)


def _points(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes in points."""
    figure: Any = ax.get_figure()
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi


def _describe(shown: xr.Dataset) -> str:
    """Say in words what `plot_decoding` shows."""
    ids = shown["readout_id"].isel(rank=0).transpose("generated_token", "iteration").values
    columns, texts = shown["iteration"].values, [str(text) for text in shown["token_text"].values]
    kind = (
        "Heatmap of the likeliest next token and its probability had the model stopped at each iteration: "
        f"{len(texts)} new tokens from top to bottom, {quoted(texts[0])} to {quoted(texts[-1])}, iterations "
        f"{columns[0]} to {columns[-1]} from left to right, colour from 0 to 1."
    )
    since = [_since(line) for line in ids]
    slow = int(np.argmax(since))
    settled = (
        f"The likeliest token is the last one from iteration {columns[int(np.median(since))]} on for the "
        f"median token, and from iteration {columns[since[slow]]} on for the slowest, {quoted(texts[slow])}."
    )
    return f"{kind} {settled}"


def _since(line: np.ndarray[Any, Any]) -> int:
    """First column from which on the likeliest token stays the last one known."""
    known = line[line >= 0]
    if not len(known):
        return 0
    other = np.flatnonzero(known != known[-1])
    return int(other[-1]) + 1 if len(other) else 0

"""The published figure of layers: layers as rows, generated tokens as columns, divergence as colour."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle

from latentkit.arguments import flag, one_of, plain_text
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.colour import add_colorbar
from latentkit.plot.drawing.dark import NEARLY_WHITE
from latentkit.plot.drawing.fonts import font_characters
from latentkit.plot.drawing.rows import add_note, need_axes
from latentkit.view.labels import label_rows, token_label
from latentkit.view.layers import (
    bar_label,
    describe_layer_kl,
    describe_layer_profile,
    in_order,
    layer_names,
    select_layers,
)
from latentkit.view.scale import ColourScale, ScaleName, colour_scale, describe_scale

__all__ = ["plot_layer_kl", "plot_layer_profile"]

_ROW_HEIGHT = 0.3  # inches, where there is room for all rows
_FRAME_HEIGHT = 1.7  # inches above and below the rows: tokens, axis, note
_TALLEST = 12.0
_COLUMN_WIDTH = 0.95
_BELOW = "0.88"  # grey of cells below a logarithmic scale, unlike any colour of it


def plot_layer_kl(
    result: xr.Dataset,
    *,
    sort: Literal["layer", "score"] | None = None,
    annotate: bool = False,
    mask_zero: bool = False,
    scale: ScaleName | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    title: str = "",
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the divergence of each layer for each generated token.

    Parameters
    ----------
    result : Dataset
        From ``run_layer_effect``, ``run_layer_lens`` or ``run_layer_difference``. For several prompts
        their mean is drawn.
    sort : {"layer", "score"}, optional
        Sort the rows by layer, or by decreasing mean. By default they keep the order of ``layers=``; a note
        says so if that is not sorted.
    annotate : bool, optional
        Whether to write the values into the cells.
    mask_zero : bool, optional
        Whether to leave cells blank whose 95 % interval over prompts includes 0.
    scale : {"linear", "log", "robust"}, optional
        Colour scale; the colour bar names it. "log" extends at most over four powers of ten, and cells below
        are grey. "robust" is linear up to the 90th percentile, and cells above have its darkest colour.
        By default "linear" if ``vmin`` or ``vmax`` is passed; otherwise "log" if at least half of the cells
        would share the palest tenth of a linear scale, for example because one row is far above all others.
    vmin, vmax : float, optional
        Values at the ends of the colour scale. By default the smallest and the largest that are drawn;
        `color_limits` of several results makes their figures comparable, if they have the same ``scale``.
    title : str, optional
        The published figure has none.
    colorbar : bool, optional
        Whether to add a colour bar.
    ax : Axes, optional
        Axes to draw in. By default a new figure, with a height that suits the number of layers.

    Returns
    -------
    Axes
        Axes with one mesh, ``ax.collections[0]``; row 0 is at the top, and tick labels are layer indices.

    Raises
    ------
    TraceError
        If ``result`` is not a comparison of layers.
    ArgumentError
        If another argument is invalid.

    Notes
    -----
    Unknown values (no layer before the first, an interrupted run) are hatched. `alt_text` of the axes returns
    a description of the figure.
    """
    need_axes(ax)
    if sort is not None:
        one_of("sort", sort, ("layer", "score"))
    annotate, mask_zero = flag("annotate", annotate), flag("mask_zero", mask_zero)
    colorbar = flag("colorbar", colorbar)
    plain_text("title", title)
    values = in_order(select_layers(result, mask_zero=mask_zero), sort)
    colours = colour_scale(values.values, scale, vmin=vmin, vmax=vmax)
    if ax is None:
        ax = _new_axes(*values.shape)
    mesh = _draw(ax, values.values, colours)
    if not mask_zero:
        _hatch_unknown(ax, values.values)
    ax.set_title(title)
    _label_columns(ax, result, values)
    _label_rows(ax, values)
    if annotate:
        _write_values(ax, values.values, mesh)
    if colorbar:
        words = describe_scale(colours, values.values)
        label = f"{bar_label(result)}, {words}" if words else bar_label(result)
        add_colorbar(ax, mesh, label, pad=0.03, fraction=0.06, plain=True)
    add_note(
        ax,
        _note(result, values, sort, masked=mask_zero),
        _cells_note(values.values, colours, masked=mask_zero),
    )
    set_alt_text(ax, describe_layer_kl(result, sort=sort, mask_zero=mask_zero, scale=colours.name))
    return ax


def plot_layer_profile(result: xr.Dataset, *, ax: Axes | None = None, **line_kwargs: Any) -> Axes:
    """Draw the divergence over the layers, one line per generated token, with intervals as bands.

    Parameters
    ----------
    result : Dataset
        From a ``run_layer_*`` function. For several prompts their mean is drawn, with its 95 % interval.
    ax : Axes, optional
        Axes to draw in. By default a new figure.
    **line_kwargs
        Passed to ``Axes.plot``.

    Returns
    -------
    Axes
        Axes with one line per generated token, over the layers in increasing order.

    Raises
    ------
    TraceError
        If ``result`` is not a comparison of layers.
    """
    need_axes(ax)
    values = in_order(select_layers(result), "layer")
    name = str(result.attrs["divergence"])
    if ax is None:
        _, ax = plt.subplots(FigureClass=AltFigure, layout="constrained")
    layers = values["layer"].values
    for column, number in enumerate(values["generated_token"].values.tolist()):
        (line,) = ax.plot(layers, values.values[:, column], label=f"Gen{number}", **line_kwargs)
        if f"{name}_low" in result:
            low, high = (
                result[f"{name}_{side}"].sel(layer=layers).isel(generated_token=column)
                for side in ("low", "high")
            )
            ax.fill_between(layers, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set_xlabel("Layer")
    ax.set_ylabel(bar_label(result))
    ax.legend(title="Generated Token", fontsize="small")
    set_alt_text(ax, describe_layer_profile(result))
    return ax


def _new_axes(rows: int, columns: int) -> Axes:
    height = min(rows * _ROW_HEIGHT + _FRAME_HEIGHT, _TALLEST)
    width = min(max(columns * _COLUMN_WIDTH + 1.9, 5.0), 14.0)
    _, ax = plt.subplots(figsize=(width, height), FigureClass=AltFigure, layout="constrained")
    return ax


def _draw(ax: Axes, values: np.ndarray[Any, Any], scale: ColourScale) -> QuadMesh:
    colours = colormaps["YlOrRd"]
    norm = Normalize(scale.low, scale.high)
    if scale.name == "log":
        colours = colours.with_extremes(under=_BELOW)
        norm = LogNorm(scale.low, scale.high)
        values = np.where(values <= 0, np.finfo(float).tiny, values)  # LogNorm would leave 0 blank
    drawn = np.ma.masked_invalid(values)
    mesh = ax.pcolormesh(drawn, cmap=colours, norm=norm, edgecolors="white", linewidth=0.5)
    ax.grid(visible=False)
    return mesh


def _hatch_unknown(ax: Axes, values: np.ndarray[Any, Any]) -> None:
    """Hatch unknown cells, one rectangle for each run of them in a row."""
    for row, known in enumerate(np.isfinite(values)):
        ends = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]])))
        for first, last in ends.reshape(-1, 2).tolist():
            shape = Rectangle((first, row), last - first, 1, fill=False, hatch="///", edgecolor="0.8")
            shape.set_linewidth(0.0)
            ax.add_patch(shape)


def _label_columns(ax: Axes, result: xr.Dataset, values: xr.DataArray) -> None:
    """Write Gen0, Gen1, … below and, for a single prompt, the token texts above."""
    numbers = values["generated_token"].values.tolist()
    width = ax.get_window_extent().width * 72 / ax.figure.dpi / len(numbers)
    every = max(1, math.ceil(32 / width))
    columns = range(0, len(numbers), every)
    ax.set_xticks([column + 0.5 for column in columns], [f"Gen{numbers[column]}" for column in columns])
    ax.set_xlabel("Generated Token")
    if result["token_text"].ndim > 1:
        return
    characters = font_characters()
    most = max(3, int(width * every / 6))
    texts = [
        token_label(str(result["token_text"].values[column]), characters, width=most) for column in columns
    ]
    top = ax.secondary_xaxis("top")
    # Dollar signs and backslashes of a token are not mathematical notation.
    top.set_xticks(
        [column + 0.5 for column in columns], texts, parse_math=False, usetex=False, fontsize=8, color="0.35"
    )
    top.tick_params(length=2, pad=2)


def _label_rows(ax: Axes, values: xr.DataArray) -> None:
    """Write layer indices on the left; on the right stack, repetition and block if a stack is repeated."""
    ax.set_ylim(len(values), 0)
    pitch = ax.get_window_extent().height * 72 / ax.figure.dpi / len(values)
    rows, size = label_rows(range(len(values)), pitch)
    layers = values["layer"].values
    ax.set_yticks([row + 0.5 for row in rows], [str(layers[row]) for row in rows], fontsize=max(size, 6.0))
    ax.set_ylabel("Layer")
    if values["iteration"].values.any():
        names = layer_names(values)
        right = ax.secondary_yaxis("right")
        right.set_yticks([row + 0.5 for row in rows], [names[row] for row in rows], fontsize=7, color="0.35")
        right.tick_params(length=2, pad=2)


def _write_values(ax: Axes, values: np.ndarray[Any, Any], mesh: QuadMesh) -> None:
    colours = mesh.to_rgba(np.ma.asarray(mesh.get_array()))
    largest = np.nanmax(np.abs(values)) if np.isfinite(values).any() else 1.0
    digits = 2 if largest >= 0.1 else min(6, 1 - math.floor(math.log10(largest or 1.0)))
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.text(
                column + 0.5,
                row + 0.5,
                f"{value:.{digits}f}",
                ha="center",
                va="center",
                fontsize=8,
                color=NEARLY_WHITE if _is_dark(*map(float, colours[row, column, :3])) else "black",
                clip_on=True,
            )


def _is_dark(*colour: float) -> bool:
    """Return whether white has a higher contrast than black (WCAG 2.2, relative luminance)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return (luminance + 0.05) ** 2 < 1.05 * 0.05


def _note(result: xr.Dataset, values: xr.DataArray, sort: str | None, *, masked: bool) -> str:
    """Return the note below the axis: the question, the direction of the divergence, the order of rows."""
    questions = {
        "effect": f"effect of do={result.attrs.get('do')!r}",
        "lens": "lens",
        "difference": "two runs",
    }
    parts = [questions.get(str(result.attrs.get("definition")), ""), str(result.attrs.get("direction", ""))]
    layers = values["layer"].values
    if sort == "score":
        parts.append("rows by mean, largest first")
    elif (np.diff(layers) < 0).any():
        parts.append("rows in the order of layers=, not sorted")
    if "prompt" in result.dims:
        parts.append(f"mean of {result.sizes['prompt']} prompts")
    if masked:
        parts.append("blank: interval includes 0")
    return " · ".join(filter(None, parts))


def _cells_note(values: np.ndarray[Any, Any], scale: ColourScale, *, masked: bool) -> str:
    """Return the note about cells without a place on the colour scale."""
    below = int((values < scale.low).sum()) if scale.name == "log" else 0
    unknown = 0 if masked else int((~np.isfinite(values)).sum())
    parts = [
        f"grey: 0 or below {scale.low:.2g}, {below} of {values.size} cells" if below else "",
        "hatched: unknown" if unknown else "",
    ]
    return " · ".join(filter(None, parts))

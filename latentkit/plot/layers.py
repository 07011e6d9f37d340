"""The published picture of layers: layers down, generated tokens across, divergence as colour."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from latentkit.errors import ArgumentError
from latentkit.plot.alt import AltFigure, set_alt_text
from latentkit.plot.rows import add_note, need_axes
from latentkit.view.labels import font_characters, thin, token_label
from latentkit.view.layers import (
    bar_label,
    describe_layer_kl,
    describe_layer_profile,
    finite_limits,
    in_order,
    layer_names,
    select_layers,
)

__all__ = ["plot_layer_kl", "plot_layer_profile"]

_ROW_HEIGHT = 0.3  # inches, where there is room for all rows
_FRAME_HEIGHT = 1.7  # inches above and below the rows: tokens, axis, note
_TALLEST = 12.0
_COLUMN_WIDTH = 0.95
_BAR_WIDTH = 12.0  # points


def plot_layer_kl(
    result: xr.Dataset,
    *,
    sort: Literal["layer", "score"] | None = None,
    annotate: bool = False,
    mask_zero: bool = False,
    limits: tuple[float, float] | None = None,
    title: str = "",
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the divergence of each layer for each generated token.

    Parameters
    ----------
    result : Dataset
        From ``run_layer_effect``, ``run_layer_lens`` or ``run_layer_difference``.
        Of several prompts the mean is drawn.
    sort : {"layer", "score"}, optional
        Rows by layer, or by their mean from the largest down. By default in the order in which they were
        asked for; a note says when that is not sorted.
    annotate : bool, optional
        Write the values into the cells.
    mask_zero : bool, optional
        Leave cells blank whose 95 % interval over prompts reaches 0.
    limits : (float, float), optional
        Values at the two ends of the colour scale; by default the smallest and largest drawn.
    title : str, optional
        The published figure has none.
    colorbar : bool, optional
        Whether to add a colour bar.
    ax : Axes, optional
        Where to draw. By default a new figure, as high as its rows need.

    Returns
    -------
    Axes
        With one mesh, ``ax.collections[0]``; row 0 is at the top, and ticks carry the true index of a layer.

    Raises
    ------
    TraceError
        If ``result`` is no comparison of layers.
    ArgumentError
        If another argument has no meaning here.

    Notes
    -----
    What is not known (no layer before the first, an interrupted run) is left blank. `alt_text` of the axes
    says in words what the picture shows.
    """
    _check(sort, limits, ax)
    values = in_order(select_layers(result, mask_zero=mask_zero), sort)
    low, high = limits if limits is not None else finite_limits(values.values)
    if ax is None:
        ax = _new_axes(*values.shape)
    drawn = np.ma.masked_invalid(values.values)
    mesh = ax.pcolormesh(drawn, cmap="YlOrRd", vmin=low, vmax=high, edgecolors="white", linewidth=0.5)
    ax.grid(visible=False)
    ax.set_title(title)
    _label_columns(ax, result, values)
    _label_rows(ax, values)
    if annotate:
        _write_values(ax, values.values, mesh)
    if colorbar:
        _add_bar(ax, mesh, bar_label(result))
    add_note(ax, _note(result, values, sort, masked=mask_zero))
    set_alt_text(ax, describe_layer_kl(result, sort=sort, mask_zero=mask_zero))
    return ax


def plot_layer_profile(result: xr.Dataset, *, ax: Axes | None = None, **line_kwargs: Any) -> Axes:
    """Draw the divergence over the layers, a line for each generated token, with intervals as shading.

    Parameters
    ----------
    result : Dataset
        From a ``run_layer_*`` function. Of several prompts the mean is drawn, its 95 % interval shaded.
    ax : Axes, optional
        Where to draw.
    **line_kwargs
        For ``Axes.plot``.

    Returns
    -------
    Axes
        One line for each generated token; layers stand in their true order.

    Raises
    ------
    TraceError
        If ``result`` is no comparison of layers.
    """
    values = in_order(select_layers(result), "layer")
    name = str(result.attrs["divergence"])
    if ax is None:
        _, ax = plt.subplots(FigureClass=AltFigure, layout="constrained")
    layers = values["layer"].values
    for column, number in enumerate(values["generated_token"].values.tolist()):
        (line,) = ax.plot(layers, values.values[:, column], label=f"Gen{number}", **line_kwargs)
        if f"{name}_low" in result:
            low, high = (
                result[f"{name}_{side}"]
                .sel(layer=layers)
                .transpose("layer", "generated_token")
                .values[:, column]
                for side in ("low", "high")
            )
            ax.fill_between(layers, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set_xlabel("Layer")
    ax.set_ylabel(bar_label(result))
    ax.legend(title="Generated Token", fontsize="small")
    set_alt_text(ax, describe_layer_profile(result))
    return ax


def _check(sort: object, limits: object, ax: object) -> None:
    if sort not in (None, "layer", "score"):
        msg = f"`sort` must be 'layer', 'score' or None, got {sort!r}."
        raise ArgumentError(msg)
    need_axes(ax)
    if limits is None:
        return
    try:
        low, high = (float(limit) for limit in limits)  # type: ignore[attr-defined]  # checked right here
    except (TypeError, ValueError):
        low = high = 0.0
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        msg = f"`limits` must be two numbers (low, high) with low < high, got {limits!r}."
        raise ArgumentError(msg)


def _new_axes(rows: int, columns: int) -> Axes:
    height = min(rows * _ROW_HEIGHT + _FRAME_HEIGHT, _TALLEST)
    width = min(max(columns * _COLUMN_WIDTH + 1.9, 5.0), 14.0)
    _, ax = plt.subplots(figsize=(width, height), FigureClass=AltFigure, layout="constrained")
    return ax


def _add_bar(ax: Axes, mesh: QuadMesh, label: str) -> None:
    """Add the colour bar; pointed ends say that values lie beyond it."""
    figure = ax.get_figure()
    assert figure is not None
    low, high = mesh.get_clim()
    known = np.ma.masked_array(mesh.get_array()).compressed()
    beyond = bool((known < low).any()), bool((known > high).any())
    extend = ("neither", "min", "max", "both")[beyond[0] + 2 * beyond[1]]
    aspect = ax.get_window_extent().height * 72 / figure.dpi / _BAR_WIDTH
    bar = figure.colorbar(mesh, ax=ax, label=label, extend=extend, pad=0.03, fraction=0.06, aspect=aspect)
    bar.ax.tick_params(labelsize="small")


def _label_columns(ax: Axes, result: xr.Dataset, values: xr.DataArray) -> None:
    """Gen0, Gen1, … below; the tokens themselves above, where there is one prompt."""
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
    # Neither a dollar sign nor a backslash of a token is meant for a typesetter.
    top.set_xticks(
        [column + 0.5 for column in columns], texts, parse_math=False, usetex=False, fontsize=8, color="0.35"
    )
    top.tick_params(length=2, pad=2)


def _label_rows(ax: Axes, values: xr.DataArray) -> None:
    """The true index of each layer; where a model repeats blocks, also which repetition it is."""
    ax.set_ylim(len(values), 0)
    pitch = ax.get_window_extent().height * 72 / ax.figure.dpi / len(values)
    rows, size = thin(range(len(values)), pitch)
    layers = values["layer"].values
    ax.set_yticks([row + 0.5 for row in rows], [str(layers[row]) for row in rows], fontsize=max(size, 6.0))
    ax.set_ylabel("Layer")
    if values["iteration"].values.any():
        names = layer_names(values)
        right = ax.secondary_yaxis("right")
        right.set_yticks([row + 0.5 for row in rows], [names[row] for row in rows], fontsize=7, color="0.35")
        right.tick_params(length=2, pad=2)


def _write_values(ax: Axes, values: np.ndarray[Any, Any], mesh: QuadMesh) -> None:
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
                color="white" if _is_dark(*map(float, mesh.to_rgba(np.array([value]))[0, :3])) else "black",
                clip_on=True,
            )


def _is_dark(*colour: float) -> bool:
    """Say whether white stands out better than black, by the contrast of WCAG 2.2 (relative luminance)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return (luminance + 0.05) ** 2 < 1.05 * 0.05


def _note(result: xr.Dataset, values: xr.DataArray, sort: str | None, *, masked: bool) -> str:
    """What the axes cannot say: which question this answers, in which direction, and the order of rows."""
    asked = {
        "effect": f"effect of do={result.attrs.get('do')!r}",
        "lens": "lens",
        "difference": "two runs",
        "two_runs": "two runs",  # in files of version 0.1
    }
    parts = [asked.get(str(result.attrs.get("definition")), ""), str(result.attrs.get("direction", ""))]
    layers = values["layer"].values
    if sort == "score":
        parts.append("rows by mean, largest first")
    elif (np.diff(layers) < 0).any():
        parts.append("rows in the order asked for, not sorted")
    if "prompt" in result.dims:
        parts.append(f"mean of {result.sizes['prompt']} prompts")
    if masked:
        parts.append("blank: not separable from 0")
    return " · ".join(filter(None, parts))

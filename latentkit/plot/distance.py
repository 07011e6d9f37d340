"""Distances as curves: one per token, with an interval if the trace has several seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from latentkit.arguments import confidence_level
from latentkit.measure import geometric_mean_interval
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.fonts import font_characters
from latentkit.plot.drawing.rows import add_note, as_data, label_iterations, need_axes
from latentkit.plot.drawing.trained import mark_trained_depth
from latentkit.view.convergence import describe_cells, describe_distances
from latentkit.view.labels import prefixed_label
from latentkit.view.limits import visible_floor
from latentkit.view.selection import select_seeds

__all__ = ["plot_distance"]

_MOST_NAMED = 10  # with more lines a colour bar replaces the legend


def plot_distance(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw each token's distance from its limit as a curve over iterations, on a logarithmic axis.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``. With a dimension ``seed`` a curve is the geometric mean over the
        seeds, and a band shows its confidence interval.
    tokens : slice, optional
        As for `plot_convergence`.
    confidence : float, optional
        Confidence level of the interval.
    ax : Axes, optional
        Axes to draw in. By default a new figure.

    Returns
    -------
    Axes
        Axes with one line per token, in their order. Up to ten lines have a legend; more are coloured by
        position, with a colour bar. A distance that is 0, infinite or NaN is a gap.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence`.

    See Also
    --------
    latentkit.measure.geometric_mean_interval : the mean over seeds.
    """
    need_axes(ax)
    confidence = confidence_level(confidence)
    shown = select_seeds(trace, tokens=tokens)
    curves = _curves(shown, confidence)
    if ax is None:
        _, ax = plt.subplots(figsize=(8.0, 4.2), FigureClass=AltFigure, layout="constrained")
    iterations, positions = shown["iteration"].values, shown["token"].values
    named = len(positions) <= _MOST_NAMED
    scale = Normalize(positions.min(), max(positions.max(), positions.min() + 1))
    lines = []
    for row, position in enumerate(positions):
        style: dict[str, Any] = {"linewidth": 1.6}
        if not named:
            style = {"linewidth": 0.8, "color": colormaps["viridis"](scale(position))}
        (line,) = ax.plot(iterations, curves["mean"][row], **style)
        lines.append(line)
        if "seed" in shown.dims:
            band = curves["low"][row], curves["high"][row]
            ax.fill_between(iterations, *band, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set_yscale("log")
    label_iterations(ax, iterations)
    ax.set_ylabel(trace["distance"].attrs.get("long_name", "distance"))
    floor = visible_floor(trace)
    if floor is not None:
        ax.axhline(floor, color="0.4", linewidth=1, linestyle="--")
    if named:
        _add_legend(ax, lines, shown)
    else:
        ax.figure.colorbar(ScalarMappable(scale, "viridis"), ax=ax, label="position in the sequence")
    beyond = mark_trained_depth(ax, trace)
    add_note(ax, " · ".join(filter(None, (_note(trace, floor), beyond))))
    alt = _describe(curves["mean"], trace, shown.sizes.get("seed"), confidence)
    set_alt_text(ax, f"{alt} A dashed line; {beyond}." if beyond else alt)
    return ax


def _curves(shown: xr.DataArray, confidence: float) -> xr.Dataset:
    """Return ``mean`` and, for several seeds, ``low`` and ``high``; NaN for values that have no logarithm."""
    if "seed" in shown.dims:
        return geometric_mean_interval(shown, confidence=confidence)
    return shown.where((shown > 0) & np.isfinite(shown)).to_dataset(name="mean")


def _add_legend(ax: Axes, lines: list[Line2D], shown: xr.DataArray) -> None:
    characters = font_characters()
    texts = [
        prefixed_label(f"{position} ", str(text), characters)
        for position, text in zip(shown["token"].values, shown["token_text"].values, strict=True)
    ]
    # Not by `label=`: matplotlib leaves out labels that begin with an underscore.
    as_data(*ax.legend(lines, texts, fontsize="small").get_texts())


def _note(trace: xr.Dataset, floor: float | None) -> str:
    parts = [f"s* = state after {trace.attrs['limit']} iterations"] if "limit" in trace.attrs else []
    if floor is not None:
        parts.append(f"floor of bfloat16: {floor:.2g} (dashed)")
    return " · ".join(parts)


def _describe(shown: xr.DataArray, trace: xr.Dataset, count: int | None, confidence: float) -> str:
    seeds = ""
    if count is not None:
        seeds = f"; geometric means over {count} seeds with {100 * confidence:g} % intervals"
    figure = (
        f"Curves of the distance of each token's latent state from its limit: {describe_cells(shown)}, on a "
        f"logarithmic axis{seeds}."
    )
    return f"{figure} {describe_distances(shown, trace)}"

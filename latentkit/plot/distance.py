"""Distances as curves: tokens or seeds, with an interval where there are several seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from latentkit.measure import mean_interval
from latentkit.plot.alt import AltFigure, set_alt_text
from latentkit.plot.colour import drawn_floor
from latentkit.plot.rows import add_note, label_iterations, need_axes
from latentkit.view.description import in_words, summary
from latentkit.view.labels import font_characters, led_label
from latentkit.view.selection import select_seeds

__all__ = ["plot_distance"]

_NAMED = 10  # more lines than these get a colour bar instead of a legend


def plot_distance(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iterations: slice | None = None,
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw each token's distance from its limit as a curve over iterations, on a logarithmic axis.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``. With a dimension ``seed`` a curve is the geometric mean over the
        seeds, and a band shows Student's interval of the mean logarithm.
    tokens, iterations : slice, optional
        As for `plot_convergence`.
    confidence : float, optional
        Of the interval.
    ax : Axes, optional
        Where to draw. By default a new figure.

    Returns
    -------
    Axes
        With one line for each token, in their order. Up to ten have a legend; more are coloured by position,
        with a colour bar. A distance of 0 or one not known is a gap; so are infinite ones.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence`.
    """
    need_axes(ax)
    shown = select_seeds(trace, tokens=tokens, iterations=iterations)
    curves, low, high = _curves(shown, confidence)
    if ax is None:
        _, ax = plt.subplots(figsize=(8.0, 4.2), FigureClass=AltFigure, layout="constrained")
    lines = shown["iteration"].values
    positions = shown["token"].values
    few = len(positions) <= _NAMED
    scale = Normalize(positions.min(), max(positions.max(), positions.min() + 1))
    for row, position in enumerate(positions):
        colour = f"C{row}" if few else colormaps["viridis"](scale(position))
        ax.plot(lines, curves[row], color=colour, linewidth=1.6 if few else 0.8)
        if "seed" in shown.dims:
            ax.fill_between(lines, low[row], high[row], color=colour, alpha=0.2, linewidth=0)
    ax.set_yscale("log")
    label_iterations(ax, lines)
    ax.set_ylabel(trace["distance"].attrs.get("long_name", "distance"))
    floor = drawn_floor(trace)
    if floor is not None:
        ax.axhline(floor, color="0.4", linewidth=1, linestyle="--")
    if few:
        _add_legend(ax, shown, len(positions))
    else:
        ax.figure.colorbar(ScalarMappable(scale, "viridis"), ax=ax, label="position in the sequence")
    add_note(ax, _note(trace, floor))
    set_alt_text(ax, _words(shown, trace, confidence))
    return ax


def _curves(shown: xr.DataArray, confidence: float) -> tuple[Any, Any, Any]:
    """Values and interval; on a logarithmic axis a distance of 0 has no place, nor has infinity."""
    known = shown.where((shown > 0) & np.isfinite(shown))
    if "seed" not in shown.dims:
        return known.values, None, None
    found = mean_interval(known.copy(data=np.log(known.values)), confidence=confidence)
    mean, low, high = (np.exp(found[name].values) for name in ("mean", "low", "high"))
    return mean, low, high


def _add_legend(ax: Axes, shown: xr.DataArray, count: int) -> None:
    characters = font_characters()
    texts = [
        led_label(f"{position} ", str(text), characters)
        for position, text in zip(shown["token"].values, shown["token_text"].values, strict=True)
    ]
    # Lines by hand: a text that begins with an underscore would be left out.
    legend = ax.legend(
        ax.get_lines()[-count - (len(ax.get_lines()) > count) :][:count], texts, fontsize="small"
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_usetex(False)


def _note(trace: xr.Dataset, floor: float | None) -> str:
    parts = [f"s* = state after {trace.attrs['limit']} iterations"] if "limit" in trace.attrs else []
    if floor is not None:
        parts.append(f"floor of bfloat16: {floor:.2g} (dashed)")
    return " · ".join(parts)


def _words(shown: xr.DataArray, trace: xr.Dataset, confidence: float) -> str:
    seeds = ""
    if "seed" in shown.dims:
        seeds = f"; geometric means over {shown.sizes['seed']} seeds with {100 * confidence:g} % intervals"
        shown = shown.mean("seed")
    kind = (
        f"Curves of the distance of each token's latent state from its limit: {in_words(shown)}, on a "
        f"logarithmic axis{seeds}."
    )
    return f"{kind} {summary(shown, trace)}".strip()

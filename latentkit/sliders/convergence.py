"""Sliders over the convergence figure: how many iterations it shows, and which tokens."""

from __future__ import annotations

import ipywidgets as widgets
import xarray as xr
from matplotlib.ticker import MaxNLocator

from latentkit.plot.convergence import plot_convergence
from latentkit.sliders.controls import image, position_slider, stacked, token_slider
from latentkit.view.limits import check_limits
from latentkit.view.selection import select_distance

__all__ = ["convergence_sliders"]


def convergence_sliders(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iteration: int | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> widgets.VBox:
    """Return `plot_convergence` below two sliders."""
    low, high = check_limits(select_distance(trace, tokens=tokens).values, vmin, vmax, log=True)
    length = position_slider("Iterations", trace["iteration"], iteration, argument="iteration")
    span = token_slider(trace["token"], tokens)

    def draw() -> str:
        first, last = span.value
        part = trace.sel(iteration=slice(None, length.value))
        ax = plot_convergence(part, tokens=slice(first, last + 1), vmin=low, vmax=high)
        # The axis keeps its length, so that the mesh grows along it.
        ax.set_xlim(length.min - 0.5, length.max + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 4, 8, 10], integer=True))
        return image(ax)

    return stacked(draw, length, span)

"""Sliders over a trace: every move draws anew what was computed before, so no model runs."""

from __future__ import annotations

import ipywidgets as widgets
import xarray as xr
from matplotlib.ticker import MaxNLocator

from latentkit.errors import TraceError
from latentkit.plot.colour import distance_limits
from latentkit.plot.convergence import plot_convergence
from latentkit.sliders.controls import image, position_slider, redrawn, wide
from latentkit.sliders.readout import readout_html
from latentkit.trace import check_trace
from latentkit.view.selection import select_distance

__all__ = ["slide_convergence", "slide_readout"]


def slide_convergence(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iteration: int | None = None,
    limits: tuple[float, float] | None = None,
) -> widgets.VBox:
    """Draw `plot_convergence` with two sliders: how many iterations it shows, and which tokens.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``, or one that was saved and opened again.
    tokens : slice, optional
        Tokens shown at first, as for `plot_convergence`; all of them by default. The slider reaches over
        the whole trace.
    iteration : int, optional
        Last iteration shown at first; by default the last one of the trace.
    limits : (float, float), optional
        Distances at the two ends of the colour scale; by default the smallest and the largest of the tokens
        shown at first. A colour means the same at every position of the sliders.

    Returns
    -------
    VBox
        The sliders "Iterations" and "Tokens" above the picture. Both work with the arrow keys.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence`; and if there is no such iteration.

    Notes
    -----
    A notebook without a kernel shows no widget: end the next cell with `plot_convergence`.
    """
    check_trace(trace)
    shown = select_distance(trace, tokens=tokens)
    low, high = limits if limits is not None else distance_limits(trace, tokens=tokens)
    length = position_slider("Iterations", trace["iteration"], iteration)
    span = widgets.IntRangeSlider(
        value=tuple(shown["token"].values[[0, -1]].tolist()),
        min=int(trace["token"].min()),
        max=int(trace["token"].max()),
        description="Tokens",
        layout=wide(),
    )

    def draw() -> str:
        first, last = span.value
        ax = plot_convergence(
            trace,
            tokens=slice(first, last + 1),
            iterations=slice(None, length.value + 1),
            limits=(low, high),
        )
        # The axis keeps its length, so that the picture grows instead of being stretched.
        ax.set_xlim(length.min - 0.5, length.max + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 4, 8, 10], integer=True))
        return image(ax)

    return redrawn(draw, length, span)


def slide_readout(trace: xr.Dataset, *, token: int | None = None, iteration: int = 0) -> widgets.VBox:
    """Show what the model would say next if it were stopped, with sliders for the iteration and the token.

    Parameters
    ----------
    trace : Dataset
        A trace with readouts, which ``run_recurrence`` makes unless ``readout_top=0``.
    token : int, optional
        Position whose continuation is shown at first; by default the last one.
    iteration : int, optional
        Iteration shown at first; by default the initial state.

    Returns
    -------
    VBox
        The sliders "Iteration" and "Token" above the likeliest next tokens. Both work with the arrow keys.

    Raises
    ------
    TraceError
        If ``trace`` is no trace, or was made without readouts.
    ArgumentError
        If there is no such token or iteration.

    Notes
    -----
    A notebook without a kernel shows no widget: end the next cell with a table, such as
    ``trace.readout_text.isel(token=-1).to_pandas()``.
    """
    check_trace(trace)
    if "readout_text" not in trace or "readout_probability" not in trace:
        msg = (
            "This trace has no readouts, so it does not say what would come next. "
            "Run it again without readout_top=0."
        )
        raise TraceError(msg)
    where = position_slider("Iteration", trace["iteration"], iteration)
    which = position_slider("Token", trace["token"], token)
    return redrawn(lambda: readout_html(trace, which.value, where.value), where, which)

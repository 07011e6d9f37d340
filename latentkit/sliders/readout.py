"""Sliders over the readouts of a trace: the likeliest next tokens at each iteration."""

from __future__ import annotations

import ipywidgets as widgets
import xarray as xr

from latentkit.errors import TraceError
from latentkit.sliders.controls import position_slider, stacked
from latentkit.sliders.tables import readout_html
from latentkit.view.selection import select_distance

__all__ = ["readout_sliders"]


def readout_sliders(
    trace: xr.Dataset, *, token: int | None = None, iteration: int | None = None
) -> widgets.VBox:
    """Return the likeliest next tokens at an iteration below two sliders."""
    select_distance(trace)
    if "readout_text" not in trace or "readout_probability" not in trace:
        msg = "This trace has no readouts. Run it again without readout_top=0."
        raise TraceError(msg)
    start = int(trace["iteration"].min()) if iteration is None else iteration
    iterations = position_slider("Iteration", trace["iteration"], start, argument="iteration")
    chosen = position_slider("Token", trace["token"], token, argument="token")
    return stacked(lambda: readout_html(trace, chosen.value, iterations.value), iterations, chosen)

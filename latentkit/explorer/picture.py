"""Static version of an explorer: pictures with alt text, shown if scripts are not allowed."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from latentkit.plot.drawing.alt import Picture, with_alt
from latentkit.view.kinds import grid_of

__all__ = ["static_pictures"]


def static_pictures(traces: Sequence[xr.Dataset], token_range: Sequence[int]) -> list[Picture]:
    """Draw each trace as its ``plot_`` function does.

    Parameters
    ----------
    traces : sequence of Dataset
        Checked traces.
    token_range : sequence of int
        First and last token shown. A trace with none of these tokens is shown whole, as in the explorer, and
        layers are always shown whole.
    """
    return [_picture(trace, *token_range) for trace in traces]


def _picture(trace: xr.Dataset, first: int, last: int) -> Picture:
    from latentkit.plot import plot_convergence, plot_decoding, plot_layer_kl

    grid = grid_of(trace)
    if grid.name == "layers":
        return with_alt(plot_layer_kl(trace))
    positions = trace[grid.dims[0]]
    tokens = slice(first, last + 1) if bool(((positions >= first) & (positions <= last)).any()) else None
    if grid.name == "decoding" and "readout_text" in trace.variables:
        return with_alt(plot_decoding(trace, tokens=tokens))
    if grid.name == "decoding":
        renamed = trace[["distance", "token_text"]].rename({"generated_token": "token"})
        return with_alt(
            plot_convergence(renamed.assign_attrs(trace.attrs | {"kind": "recurrence"}), tokens=tokens)
        )
    return with_alt(plot_convergence(trace, tokens=tokens))

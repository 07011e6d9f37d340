"""The picture that stands in an explorer's place where nothing may run: its static twin, with alt text."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from latentkit.plot.alt import Picture, with_alt
from latentkit.view.kinds import kind_of

__all__ = ["static_pictures"]


def static_pictures(traces: Sequence[xr.Dataset], tokens: slice | None) -> list[Picture]:
    """Draw each trace as its ``plot_`` function does; nothing where there is nothing to draw.

    Parameters
    ----------
    traces : sequence of Dataset
        Checked traces.
    tokens : slice or None
        Tokens shown; layers are all shown.
    """
    return [_picture(trace, tokens) for trace in traces]


def _picture(trace: xr.Dataset, tokens: slice | None) -> Picture:
    from latentkit.plot import plot_convergence, plot_decoding, plot_layer_kl

    name = kind_of(trace).name
    if name == "run_layer_kl":
        return with_alt(plot_layer_kl(trace))
    if name == "run_decoding" and "readout_text" in trace.variables:
        return with_alt(plot_decoding(trace, tokens=tokens))
    if name == "run_decoding":
        renamed = trace[["distance", "token_text"]].rename({"generated_token": "token"})
        return with_alt(plot_convergence(renamed.assign_attrs(trace.attrs), tokens=tokens))
    return with_alt(plot_convergence(trace, tokens=tokens))

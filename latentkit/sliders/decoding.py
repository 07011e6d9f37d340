"""Sliders over a decoding: the text if every token had stopped at an iteration.

No model runs. Each readout follows the tokens that were really chosen before it.
"""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import xarray as xr

from latentkit.sliders.controls import position_slider, stacked
from latentkit.sliders.tables import CHOSEN, PIECE, escaped, quoted, readout_table
from latentkit.view.decoding import select_readouts

__all__ = ["chosen_readout", "decoding_sliders"]

_OTHER = "border-style:dashed;border-color:#b45309;"  # not the token that was chosen


def decoding_sliders(
    trace: xr.Dataset, *, token: int | None = None, iteration: int | None = None
) -> widgets.VBox:
    """Return the text and one token's readout below two sliders."""
    select_readouts(trace)
    last = position_slider("Iteration", trace["iteration"], iteration, argument="iteration")
    first = int(trace["generated_token"].min()) if token is None else token
    which = position_slider("Token", trace["generated_token"], first, argument="token")

    def draw() -> str:
        stopped = np.minimum(trace["iterations_used"], last.value)
        return _text(trace, stopped, which.value, last.value) + chosen_readout(trace, which.value, stopped)

    return stacked(draw, last, which)


def chosen_readout(trace: xr.Dataset, place: int, stopped: xr.DataArray) -> str:
    """Return the readout of one token at the iteration [generated_token] where it stopped, as HTML."""
    iteration = int(stopped.sel(generated_token=place))
    cell = trace.sel(generated_token=place, iteration=iteration)
    caption = (
        f"Token {place} at iteration <b>{iteration}</b>: <b>{quoted(cell['readout_text'].values[0])}</b>; "
        f"taken was {quoted(str(cell['token_text'].item()))}. KL(end ‖ here): {cell['kl'].item():.2g} nats."
    )
    return readout_table(cell, caption, "token here")


def _text(trace: xr.Dataset, stopped: xr.DataArray, chosen: int, iteration: int) -> str:
    """Return the text as HTML, each token as it was where it stopped."""
    readout = trace.isel(rank=0).sel(iteration=stopped)
    same = (readout["readout_id"] == trace["token_id"]).values
    spans = [
        f"<span style='{CHOSEN if place == chosen else PIECE}{'' if kept else _OTHER}'>{escaped(text)}</span>"
        for place, text, kept in zip(
            trace["generated_token"].values.tolist(),
            readout["readout_text"].values.tolist(),
            same,
            strict=True,
        )
    ]
    return (
        f"<div>If every token had stopped at iteration <b>{iteration}</b>, {same.sum()} of {same.size} would "
        f"be the same.</div><div style='line-height:1.9;margin:0.6em 0'>… {''.join(spans)}</div>"
    )

"""Decodings: the tokens that a picture shows, and its alt text."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import TraceError
from latentkit.measure import answer_iteration
from latentkit.view.labels import quoted
from latentkit.view.selection import need_kind, token_rows

__all__ = ["describe_decoding", "likeliest", "select_decoding", "select_readouts"]


def select_decoding(trace: xr.Dataset, *, tokens: slice | None = None) -> xr.Dataset:
    """Select the generated tokens that a picture shows.

    Raises
    ------
    TraceError
        If the dataset is not a decoding, or has no token.
    ArgumentError
        If ``tokens`` is not a slice, or selects nothing.
    """
    need_kind(trace, "decoding")
    if "generated_token" not in getattr(trace, "dims", ()) or "iterations_used" not in trace.variables:
        given = f"a {type(trace).__name__} without generated tokens and 'iterations_used'"
        msg = f"Expected a decoding, got {given}. Pass what `run_decoding` returns."
        raise TraceError(msg)
    if not trace.sizes["generated_token"]:
        msg = "This decoding has no token: it was interrupted before the first one. Run it again."
        raise TraceError(msg)
    if tokens is None:
        return trace
    return trace.isel(generated_token=token_rows(tokens, trace["generated_token"].values))


def select_readouts(trace: xr.Dataset, *, tokens: slice | None = None) -> xr.Dataset:
    """Select tokens as `select_decoding` does, of a decoding that must have readouts."""
    shown = select_decoding(trace, tokens=tokens)
    if "readout_text" not in shown.variables:
        msg = "This decoding has no readouts. Run it with readout_top=1 or more."
        raise TraceError(msg)
    return shown


def likeliest(shown: xr.Dataset, part: str) -> np.ndarray[Any, Any]:
    """Return ``part`` ("id", "text" or "probability") of the likeliest token [generated_token, iteration]."""
    values: np.ndarray[Any, Any] = (
        shown[f"readout_{part}"].isel(rank=0).transpose("generated_token", "iteration").values
    )
    return values


def describe_decoding(shown: xr.Dataset) -> str:
    """Return the alt text of `plot_decoding`."""
    columns, texts = shown["iteration"].values, [str(text) for text in shown["token_text"].values]
    figure = (
        "Heatmap of the likeliest next token and its probability had the model stopped at each iteration: "
        f"{len(texts)} new tokens from top to bottom, {quoted(texts[0])} to {quoted(texts[-1])}, iterations "
        f"{columns[0]} to {columns[-1]} from left to right, colour from 0 to 1."
    )
    since = answer_iteration(shown).fillna(columns[0]).values
    slowest = int(np.argmax(since))
    settled = (
        f"The likeliest token is the last one from iteration {int(np.median(since))} on for the median "
        f"token, and from iteration {int(since[slowest])} on for the slowest, "
        f"{quoted(texts[slowest])}."
    )
    return f"{figure} {settled}"

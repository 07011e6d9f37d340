"""Rank of a chosen token in the readouts, iteration by iteration."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.arguments import whole_number
from latentkit.errors import TraceError, nearest
from latentkit.trace import need_dim

__all__ = ["readout_rank"]


def readout_rank(trace: xr.Dataset, token: str | int) -> xr.DataArray:
    """Rank of a chosen token in the readout of every iteration; 0 is the likeliest.

    Parameters
    ----------
    trace : Dataset [..., iteration, rank]
        From ``run_decoding``, ``run_lens`` or ``run_recurrence``, with readouts.
    token : str or int
        The token's text as decoded, including a leading space, or its id.

    Returns
    -------
    DataArray [..., iteration]
        Known everywhere for a watched token (``watch=`` of ``run_decoding`` and ``run_lens``). For others NaN
        where the token is not among the readouts in the trace. The attribute ``kept`` is the number of these
        readouts; 0 means all.

    Raises
    ------
    TraceError
        If the trace has no readouts, or none of them is the token.

    Examples
    --------
    >>> texts = np.array([[[" 7", " 8"], [" 8", " 7"], [" 8", " 9"]]], dtype=object)
    >>> trace = xr.Dataset({"readout_text": (("token", "iteration", "rank"), texts)})
    >>> readout_rank(trace, " 7").values.tolist()
    [[0.0, 1.0, nan]]
    """
    ids = not isinstance(token, str)
    if ids:
        token = whole_number("token", token, least=0, or_none=" (its id), or its text")
    name = f"rank of {token!r}"
    watched = "watched" if ids else "watched_text"
    if watched in getattr(trace, "variables", ()) and token in trace[watched].values.tolist():
        place = trace[watched].values.tolist().index(token)
        rank = trace["watched_rank"].isel(watched=place, drop=True)
        known = rank.where(rank >= 0).astype(float)
        return known.rename("readout_rank").assign_attrs(long_name=name, kept=0)
    source = "readout_id" if ids else "readout_text"
    if source not in getattr(trace, "variables", ()):
        msg = f"There is no {source!r} in this dataset. Pass a trace that was run with readout_top=1 or more."
        raise TraceError(msg)
    readouts = trace[source]
    need_dim(readouts, "rank", "Pass a trace with all the readouts that it keeps.")
    # Element by element: numpy drops a trailing NUL of a text that it compares with an array.
    found = xr.apply_ufunc(np.frompyfunc(lambda each: each == token, 1, 1), readouts).astype(bool)
    if not found.any():
        raise TraceError(_nowhere(readouts, token))
    kept: xr.DataArray = found.argmax("rank").where(found.any("rank")).astype(float)
    return kept.rename("readout_rank").assign_attrs(long_name=name, kept=readouts.sizes["rank"])


def _nowhere(readouts: xr.DataArray, token: str | int) -> str:
    texts = {text for text in readouts.values.ravel().tolist() if isinstance(text, str) and text}
    close = nearest(token, texts).partition("Known")[0] if isinstance(token, str) else ""
    return (
        f"The token {token!r} is nowhere among the {readouts.sizes['rank']} likeliest that this trace keeps. "
        f"{close}Run it again with watch=[{token!r}] (`run_decoding`, `run_lens`) or a larger readout_top."
    )

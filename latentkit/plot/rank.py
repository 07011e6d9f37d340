"""Ranks of tokens among the readouts, over the iterations."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from latentkit.errors import ArgumentError, TraceError
from latentkit.measure import readout_rank
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.fonts import font_characters
from latentkit.plot.drawing.rows import as_data, need_axes
from latentkit.trace import trace_kind
from latentkit.view.labels import quoted
from latentkit.view.selection import need_kind

__all__ = ["plot_rank"]


def plot_rank(trace: xr.Dataset, *tokens: str | int, ax: Axes | None = None) -> Axes:
    """Draw the rank of tokens over the iterations; rank 1, the likeliest, is at the top.

    Parameters
    ----------
    trace : Dataset
        From ``run_lens``, or one position of a trace from ``run_decoding`` or ``run_recurrence``, selected as
        in ``trace.isel(generated_token=0)`` or ``trace.sel(token=12)``. With readouts.
    *tokens : str or int
        Tokens of the vocabulary, as texts with their leading space or as ids.
    ax : Axes, optional
        Axes to draw in. By default a new figure.

    Returns
    -------
    Axes
        Axes with one line per token, and per lens of a trace from ``run_lens``, whose blocks lie between the
        iterations. A line has a gap where the token is not among the readouts of the trace.

    Raises
    ------
    TraceError
        If the trace has no readouts, more than one position or seed, or a token is nowhere in it.
    ArgumentError
        If no token is passed.
    """
    need_axes(ax)
    need_kind(trace, "decoding", "recurrence", "lens")
    if not tokens:
        msg = "`plot_rank` needs at least one token, as in plot_rank(trace, ' 7'), and got none."
        raise ArgumentError(msg)
    ranks = [readout_rank(trace, token) for token in tokens]
    by_block = trace_kind(trace).name == "lens"
    lines = [
        line
        for token, rank in zip(tokens, ranks, strict=True)
        for line in _lines(rank, _text(trace, token), by_block=by_block)
    ]
    if ax is None:
        _, ax = plt.subplots(figsize=(7.0, 3.6), FigureClass=AltFigure, layout="constrained")
    drawn = [ax.plot(x, y + 1, marker=".", markersize=4, label="")[0] for _, x, y in lines]
    ax.set_yscale("log")
    lowest = max([float(np.nanmax(y)) + 1 for _, _, y in lines if not np.isnan(y).all()], default=1.0)
    ax.set_ylim(max(lowest, 5.0) * 1.5, 0.7)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 4, 8, 10]))
    ax.set_xlabel("Iterations at Test Time")
    ax.set_ylabel("Rank (1 = likeliest)")
    legend = ax.legend(drawn, [name for name, _, _ in lines], fontsize="small")
    as_data(*legend.get_texts())
    kept = {int(rank.attrs["kept"]) for rank in ranks} - {0}
    set_alt_text(ax, _describe(lines, len(tokens), kept))
    return ax


_Line = tuple[str, np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]


def _text(trace: xr.Dataset, token: str | int) -> str:
    """Return the text of a token if the trace has it, otherwise its id."""
    if isinstance(token, str):
        return token
    for ids, texts in (("watched", "watched_text"), ("readout_id", "readout_text")):
        if ids in trace.variables and texts in trace.variables:
            found = np.flatnonzero(trace[ids].values.ravel() == token)
            if len(found):
                return str(trace[texts].values.ravel()[found[0]])
    return f"<{token}>"


def _lines(rank: xr.DataArray, text: str, *, by_block: bool) -> list[_Line]:
    """Return name, x and y of the lines for one token."""
    name = quoted(text, font_characters())
    if by_block:
        blocks = rank.sizes["block"]
        x = (rank["iteration"].values[:, None] - 1 + (np.arange(blocks) + 1) / blocks).ravel()
        flat = rank.transpose("lens", "iteration", "block").values
        return [
            (f"{name}, {lens} lens", x, values.ravel())
            for lens, values in zip(rank["lens"].values, flat, strict=True)
        ]
    if rank.dims != ("iteration",):
        dim = next(str(dim) for dim in rank.dims if dim != "iteration")
        msg = (
            f"`plot_rank` draws one position at a time, and this trace has {rank.sizes[dim]} along {dim!r}. "
            f"Select one, as in trace.isel({dim}=-1)."
        )
        raise TraceError(msg)
    return [(name, rank["iteration"].values.astype(float), rank.values)]


def _describe(lines: list[_Line], tokens: int, kept: set[int]) -> str:
    """Return the alt text of `plot_rank`."""
    count = "one token" if tokens == 1 else f"{tokens} tokens"
    parts = [f"Rank of {count} over the iterations; 1, the likeliest, is at the top."]
    for name, x, y in lines:
        known = np.flatnonzero(~np.isnan(y))
        if not len(known):
            parts.append(f"{name} is not among the readouts of the trace.")
            continue
        first, best = known[0], known[int(np.argmin(y[known]))]
        parts.append(
            f"{name} goes from rank {y[first] + 1:.0f} at {x[first]:.3g} to rank {y[known[-1]] + 1:.0f} at "
            f"{x[known[-1]]:.3g}; its best rank is {y[best] + 1:.0f}, first at {x[best]:.3g}."
        )
    if kept:
        parts.append(f"Ranks beyond {max(kept)} are unknown and left out.")
    return " ".join(parts)

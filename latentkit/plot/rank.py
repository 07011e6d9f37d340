"""Where chosen tokens stand among the readouts, iteration by iteration."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from latentkit.errors import ArgumentError, TraceError
from latentkit.measure import readout_rank
from latentkit.plot.alt import AltFigure, set_alt_text
from latentkit.plot.rows import need_axes
from latentkit.view.labels import font_characters, token_label

__all__ = ["plot_rank"]


def plot_rank(trace: xr.Dataset, *tokens: str | int, at: int = -1, ax: Axes | None = None) -> Axes:
    """Draw the rank of chosen tokens along the iterations; 1 is the likeliest, at the top.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, ``run_recurrence`` or ``run_lens``, with readouts.
    *tokens : str or int
        Tokens by their texts, leading space with them, or by their ids.
    at : int
        Which token's readout: place among the new tokens of a decoding, or among the tokens of another
        trace; negative numbers count from the end. A trace of ``run_lens`` holds one only.
    ax : Axes, optional
        Where to draw. By default a new figure.

    Returns
    -------
    Axes
        With a line for each token, and for each lens of a trace of ``run_lens``, whose blocks stand between
        the iterations. A line has a gap where the token is not among the readouts that the trace keeps.

    Raises
    ------
    TraceError
        If the trace has no readouts, or a token is nowhere among them.
    ArgumentError
        If no token is given, or there is no readout at that place.
    """
    need_axes(ax)
    if not tokens:
        msg = "`plot_rank` needs at least one token, as in plot_rank(trace, ' 7'), and got none."
        raise ArgumentError(msg)
    ranks = [readout_rank(trace, token) for token in tokens]
    lines = [
        line
        for token, rank in zip(tokens, ranks, strict=True)
        for line in _lines(rank, _text(trace, token), at)
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
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_usetex(False)
    kept = {int(rank.attrs["kept"]) for rank in ranks} - {0}
    set_alt_text(ax, _describe(lines, kept))
    return ax


_Line = tuple[str, np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]


def _text(trace: xr.Dataset, token: str | int) -> str:
    """Return the text of a token, if the trace knows it."""
    if isinstance(token, str):
        return token
    for ids, texts in (("watched", "watched_text"), ("readout_id", "readout_text")):
        if ids in trace.variables and texts in trace.variables:
            found = np.flatnonzero(trace[ids].values.ravel() == token)
            if len(found):
                return str(trace[texts].values.ravel()[found[0]])
    return f"<{token}>"


def _lines(rank: xr.DataArray, text: str, at: int) -> list[_Line]:
    """Return name, x and y of the lines for one token."""
    name = f"“{token_label(text, font_characters())}”"
    if "lens" in rank.dims:
        blocks = rank.sizes["block"]
        x = (rank["iteration"].values[:, None] - 1 + (np.arange(blocks) + 1) / blocks).ravel()
        flat = rank.transpose("lens", "iteration", "block").values
        return [
            (f"{name}, {lens} lens", x, values.ravel())
            for lens, values in zip(rank["lens"].values, flat, strict=True)
        ]
    dim = "generated_token" if "generated_token" in rank.dims else "token"
    if set(rank.dims) - {"iteration"} - {dim}:
        msg = f"Expected readouts over {dim} and iteration, got {rank.dims}. Select one seed or prompt first."
        raise TraceError(msg)
    if dim in rank.dims:
        count = rank.sizes[dim]
        if not -count <= at < count:
            msg = (
                f"at is {at}, but this trace has {count} tokens: pass a number from {-count} to {count - 1}."
            )
            raise ArgumentError(msg)
        rank = rank.isel({dim: at})
    return [(name, rank["iteration"].values.astype(float), rank.values)]


def _describe(lines: list[_Line], kept: set[int]) -> str:
    """Say in words what `plot_rank` shows."""
    parts = [f"Rank of {len(lines)} tokens along the iterations, 1 being the likeliest, at the top."]
    for name, x, y in lines:
        known = np.flatnonzero(~np.isnan(y))
        if not len(known):
            parts.append(f"{name} is never among the readouts kept here.")
            continue
        first, best = known[0], known[int(np.argmin(y[known]))]
        parts.append(
            f"{name} goes from rank {y[first] + 1:.0f} at {x[first]:.3g} to rank {y[known[-1]] + 1:.0f} at "
            f"{x[known[-1]]:.3g}; its best is {y[best] + 1:.0f}, first at {x[best]:.3g}."
        )
    if kept:
        parts.append(f"Ranks beyond {max(kept)} are not known and left out.")
    return " ".join(parts).replace("Rank of 1 tokens", "Rank of one token")

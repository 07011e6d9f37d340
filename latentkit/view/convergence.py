"""Descriptions of convergence in words, for readers who cannot see the picture."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.measure.settling import RELATIVE, before_limit
from latentkit.measure.stability import stable_from
from latentkit.view.labels import quoted
from latentkit.view.selection import select_distance

__all__ = ["describe_cells", "describe_convergence", "describe_distances", "describe_token"]


def describe_convergence(trace: xr.Dataset, *, tokens: slice | None = None) -> str:
    """Return the alt text of `plot_convergence`.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``.
    tokens : slice, optional
        As for `plot_convergence`.

    Returns
    -------
    str
        The type of figure, the numbers of tokens and iterations, the range of the distances, and the slowest
        token. That is the last one whose distance stays below 1 % of its first distance or, if some never
        do, the one with the largest share left. The limit itself, where the distance is 0 by construction,
        does not count. Without iteration 0 no slowest token is named.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence`.
    """
    shown = select_distance(trace, tokens=tokens)
    limit = f", the state after {trace.attrs['limit']} iterations" if "limit" in trace.attrs else ""
    # `trace_distance` stores another meaning of its distances.
    usual = f"the distance of each token's latent state from its limit{limit}"
    figure = (
        f"Heatmap of {trace['distance'].attrs.get('meaning', usual)}: "
        f"{_tokens(shown)} from top to bottom, {_iterations(shown)} from left to right, "
        "colour on a logarithmic scale."
    )
    return f"{figure} {describe_distances(shown, trace)}"


def describe_cells(shown: xr.DataArray) -> str:
    """Return which tokens and iterations are shown."""
    return f"{_tokens(shown).removesuffix(',')}, {_iterations(shown)}"


def describe_distances(shown: xr.DataArray, trace: xr.Dataset) -> str:
    """Return the range of distances [token, iteration] and, if iteration 0 is shown, the slowest token."""
    slowest = ""
    if 0 in shown["iteration"].values:
        slowest = _slowest(before_limit(shown, trace), shown.sel(iteration=0, drop=True))
    return f"{_range(shown)} {slowest}".strip()


def describe_token(row: xr.DataArray) -> str:
    """Return position and text of one token."""
    return f"{row['token'].item()} {quoted(str(row['token_text'].item()))}"


def _tokens(shown: xr.DataArray) -> str:
    if shown.sizes["token"] == 1:
        return describe_token(shown[0])
    return f"{shown.sizes['token']} tokens, from {describe_token(shown[0])} to {describe_token(shown[-1])},"


def _iterations(shown: xr.DataArray) -> str:
    first, last = shown["iteration"].values[[0, -1]].tolist()
    return f"iteration {first}" if first == last else f"iterations {first} to {last}"


def _range(shown: xr.DataArray) -> str:
    finite = shown.values[np.isfinite(shown.values)]
    if not finite.size:
        return "No distance is known."
    text = f"Distances range from {finite.min():.3g} to {finite.max():.3g}"
    first, last = (column[np.isfinite(column)] for column in shown.values.T[[0, -1]])
    if shown.sizes["iteration"] == 1 or not (first.size and last.size):
        return f"{text}."
    return f"{text}; the median over tokens goes from {np.median(first):.3g} to {np.median(last):.3g}."


def _slowest(shown: xr.DataArray, first: xr.DataArray) -> str:
    """Name the token that settles last; an empty text for a single token or iteration."""
    usable = np.isfinite(shown.values).all(axis=1) & np.isfinite(first.values) & (first.values > 0)
    if usable.sum() < 2 or shown.sizes["iteration"] < 2:
        return ""
    shown, first = shown.isel(token=usable), first.isel(token=usable)
    settled = stable_from(shown < RELATIVE * first).fillna(np.inf).values
    left = (shown.isel(iteration=-1) / first).values
    row = int(np.lexsort((left, settled))[-1])
    if np.isinf(settled[row]):
        when = f"is still at {left[row]:.2g} of its first distance at the end"
    else:
        when = f"stays below {100 * RELATIVE:g} % of its first distance from iteration {settled[row]:g}"
    return f"The slowest token, {describe_token(shown[row])}, {when}."

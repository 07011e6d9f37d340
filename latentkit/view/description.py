"""What a picture shows, in words computed from its data, for readers who do not see it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.measure.settling import RELATIVE, before_limit, settled_from
from latentkit.view.labels import token_label
from latentkit.view.selection import select_distance

__all__ = ["describe_convergence", "in_words", "name_token", "summary"]


def describe_convergence(
    trace: xr.Dataset, *, tokens: slice | None = None, iterations: slice | None = None
) -> str:
    """Say in words what `plot_convergence` shows of a trace; its alt text.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``.
    tokens, iterations : slice, optional
        As for `plot_convergence`.

    Returns
    -------
    str
        The kind of figure, how many tokens and iterations, the range of the distances, and the slowest
        token: the one whose distance is the last to stay below 1 % of where it began, or that is
        farthest above it where some tokens never do. The limit
        itself, 0 by construction, does not count.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence`.
    """
    shown = select_distance(trace, tokens=tokens, iterations=iterations)
    begun = select_distance(trace, tokens=tokens).isel(iteration=0, drop=True)
    limit = f", the state after {trace.attrs['limit']} iterations" if "limit" in trace.attrs else ""
    # `trace_distance` says that its distances are others.
    own = f"the distance of each token's latent state from its limit{limit}"
    kind = (
        f"Heatmap of {trace['distance'].attrs.get('meaning', own)}: "
        f"{_tokens(shown)} from top to bottom, {_iterations(shown)} from left to right, "
        "colour on a logarithmic scale."
    )
    return " ".join(filter(None, [kind, _ranges(shown), _slowest(before_limit(shown, trace), begun)]))


def in_words(shown: xr.DataArray) -> str:
    """Say which tokens and iterations are shown."""
    return f"{_tokens(shown).removesuffix(',')}, {_iterations(shown)}"


def summary(shown: xr.DataArray, trace: xr.Dataset) -> str:
    """Say how large distances [token, iteration] are, and which token settles last, if the first is there."""
    slow = ""
    if 0 in shown["iteration"].values:
        slow = _slowest(before_limit(shown, trace), shown.sel(iteration=0, drop=True))
    return " ".join(filter(None, [_ranges(shown), slow]))


def name_token(row: xr.DataArray) -> str:
    """Return position and text of one token."""
    return _token(row)


def _tokens(shown: xr.DataArray) -> str:
    if shown.sizes["token"] == 1:
        return _token(shown[0])
    return f"{shown.sizes['token']} tokens, from {_token(shown[0])} to {_token(shown[-1])},"


def _token(row: xr.DataArray) -> str:
    return f"{row['token'].item()} “{token_label(str(row['token_text'].item()))}”"


def _iterations(shown: xr.DataArray) -> str:
    first, last = shown["iteration"].values[[0, -1]].tolist()
    return f"iteration {first}" if first == last else f"iterations {first} to {last}"


def _ranges(shown: xr.DataArray) -> str:
    finite = shown.values[np.isfinite(shown.values)]
    if not finite.size:
        return "No distance is known."
    text = f"Distances range from {finite.min():.3g} to {finite.max():.3g}"
    first, last = (column[np.isfinite(column)] for column in shown.values.T[[0, -1]])
    if shown.sizes["iteration"] == 1 or not (first.size and last.size):
        return f"{text}."
    return f"{text}; the median over tokens goes from {np.median(first):.3g} to {np.median(last):.3g}."


def _slowest(shown: xr.DataArray, begun: xr.DataArray) -> str:
    """Name the token that settles last; nothing where a single token or iteration leaves no choice."""
    usable = np.isfinite(shown.values).all(axis=1) & np.isfinite(begun.values) & (begun.values > 0)
    if usable.sum() < 2 or shown.sizes["iteration"] < 2:
        return ""
    shown, begun = shown.isel(token=usable), begun.isel(token=usable)
    settled = settled_from(shown, RELATIVE * begun).fillna(np.inf).values
    ends = (shown.isel(iteration=-1) / begun).values
    row = int(np.lexsort((ends, settled))[-1])
    share = f"{100 * RELATIVE:g} % of its first distance"
    if settled[row] == shown["iteration"].values[0]:
        return f"Every token stays below {share} throughout."
    if np.isinf(settled[row]):
        when = f"is still at {ends[row]:.2g} of its first distance at the end"
    else:
        when = f"stays below {share} from iteration {settled[row]:g}"
    return f"The slowest token, {_token(shown[row])}, {when}."

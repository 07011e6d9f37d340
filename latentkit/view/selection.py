"""The part of a trace that a picture shows: a slice of tokens, with checks of the trace and the slice."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError, TraceError
from latentkit.trace import KINDS
from latentkit.trace.checking import need_dataset

__all__ = ["need_kind", "select_distance", "select_seeds", "select_tokens", "token_rows"]


def select_distance(trace: xr.Dataset, *, tokens: slice | None = None) -> xr.DataArray:
    """Select the distances that a picture shows, with their tokens.

    Parameters
    ----------
    trace : Dataset
        A trace with ``distance`` (token, iteration) and ``token_text`` (token).
    tokens : slice, optional
        A Python slice over the coordinate ``token``: ``slice(182, 241)`` means tokens 182 to 240 even if the
        trace holds only those. All tokens by default.

    Returns
    -------
    DataArray [token, iteration]
        Distances as float64, with ``token``, ``iteration`` and ``token_text`` as coordinates.

    Raises
    ------
    TraceError
        If the dataset has no such distances or no token texts.
    ArgumentError
        If ``tokens`` is not a slice, or selects no token of the trace.
    """
    return select_tokens(_distance(trace), tokens)


def select_seeds(trace: xr.Dataset, *, tokens: slice | None = None) -> xr.DataArray:
    """Select distances [(seed,) token, iteration] as `select_distance` does, for every seed of the trace."""
    if "seed" not in getattr(trace, "dims", ()) or trace.sizes["seed"] == 0:
        return select_distance(trace, tokens=tokens)
    parts = [
        select_distance(trace.isel(seed=i, drop=True), tokens=tokens) for i in range(trace.sizes["seed"])
    ]
    together = parts[0].expand_dims(seed=len(parts)).copy(data=np.stack([part.values for part in parts]))
    return together.assign_coords(seed=trace["seed"].values)


def need_kind(trace: xr.Dataset, *names: str) -> None:
    """Raise an error if a trace is of another kind; a dataset without a kind is checked by its variables."""
    functions = " or ".join(KINDS[name].function for name in names)
    need_dataset(trace, f"Pass the result of {functions}")
    kind = trace.attrs.get("kind")
    if kind is None or kind in names:
        return
    msg = (
        f"Expected a trace of the kind {' or '.join(map(repr, names))}, got one of the kind {kind!r}. "
        f"Pass the result of {functions}."
    )
    raise TraceError(msg)


def select_tokens(values: xr.DataArray, tokens: slice | None) -> xr.DataArray:
    """Select a slice of the dimension ``token``; None selects everything."""
    return values if tokens is None else values.isel(token=token_rows(tokens, values["token"].values))


def _distance(trace: xr.Dataset) -> xr.DataArray:
    need_kind(trace, "recurrence")
    for name in ("distance", "token_text"):
        if name not in trace.variables:
            msg = (
                f"The dataset has no {name!r}; it has {sorted(map(str, trace.variables))}. "
                "Pass a trace from `run_recurrence`."
            )
            raise TraceError(msg)
    distance, texts = trace["distance"], trace["token_text"]
    if set(distance.dims) != {"token", "iteration"} or 0 in distance.shape:
        msg = (
            "Expected 'distance' over ('token', 'iteration') with at least one of each, got "
            f"{dict(distance.sizes)}. Select one of every other dimension, as in `trace.sel(seed=0)`, and "
            "keep these two, as in `trace.isel(token=[5])`."
        )
        raise TraceError(msg)
    coords = {name: distance[name].values for name in ("token", "iteration")}
    values = distance.transpose("token", "iteration").values.astype(float)
    return xr.DataArray(
        values, dims=("token", "iteration"), coords={**coords, "token_text": ("token", texts.values)}
    )


def token_rows(tokens: slice, positions: np.ndarray[Any, Any]) -> list[int]:
    """Return the rows that a slice selects; its bounds are positions in the whole run.

    Raises
    ------
    ArgumentError
        If it is not a slice of whole numbers with a positive step, or selects nothing.
    """
    first, end = int(positions.min()), int(positions.max()) + 1
    has = f"This trace has tokens {first} to {end - 1}: pass a slice within slice({first}, {end})."
    if not isinstance(tokens, slice):
        msg = f"`tokens` must be a slice such as slice({first}, {end}), got {tokens!r}. {has}"
        raise ArgumentError(msg)
    try:
        bounds = [
            None if part is None else operator.index(part)
            for part in (tokens.start, tokens.stop, tokens.step)
        ]
    except TypeError:
        msg = f"`tokens` must be a slice of whole numbers, got {tokens!r}. {has}"
        raise ArgumentError(msg) from None
    start, stop, step = bounds
    if step is not None and step < 1:
        msg = f"`tokens` must have a step of at least 1, got {tokens!r}. {has}"
        raise ArgumentError(msg)
    # As in Python, a negative bound counts from the end, and one beyond the end is the end.
    selected = range(*slice(first if start is None else start, stop, step).indices(end))
    rows = [row for row, position in enumerate(positions.tolist()) if position in selected]
    if not rows:
        msg = f"`tokens` selects nothing: {tokens!r}. {has}"
        raise ArgumentError(msg)
    return rows

"""Which part of a trace a picture shows: Python slices over positions, checked at the door."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError, TraceError

__all__ = ["chosen", "select_distance", "select_seeds"]


def select_distance(
    trace: xr.Dataset, *, tokens: slice | None = None, iterations: slice | None = None
) -> xr.DataArray:
    """Take the distances that a picture shows, with their tokens, out of a trace.

    Parameters
    ----------
    trace : Dataset
        A trace with ``distance`` (token, iteration) and ``token_text`` (token).
    tokens, iterations : slice, optional
        Python slices over the coordinates ``token`` and ``iteration``: ``slice(182, 241)`` is tokens
        182 to 240 also where the trace holds nothing else. All of them by default.

    Returns
    -------
    DataArray [token, iteration]
        Distances as float64, with ``token``, ``iteration`` and ``token_text`` as coordinates.

    Raises
    ------
    TraceError
        If the dataset has no such distances or no token texts.
    ArgumentError
        If a slice is none, or takes nothing of the trace.
    """
    distance = _distance(trace)
    for name, wanted in (("token", tokens), ("iteration", iterations)):
        if wanted is not None:
            distance = distance.isel({name: chosen(f"{name}s", wanted, distance[name].values)})
    return distance


def select_seeds(
    trace: xr.Dataset, *, tokens: slice | None = None, iterations: slice | None = None
) -> xr.DataArray:
    """Take distances [(seed,) token, iteration] as `select_distance` does, with every seed that there is."""
    if "seed" not in getattr(trace, "dims", ()) or trace.sizes["seed"] == 0:
        return select_distance(trace, tokens=tokens, iterations=iterations)
    parts = [
        select_distance(trace.isel(seed=i, drop=True), tokens=tokens, iterations=iterations)
        for i in range(trace.sizes["seed"])
    ]
    together = parts[0].expand_dims(seed=len(parts)).copy(data=np.stack([part.values for part in parts]))
    return together.assign_coords(seed=trace["seed"].values)


def _distance(trace: xr.Dataset) -> xr.DataArray:
    if not isinstance(trace, xr.Dataset):
        given = type(trace).__name__
        msg = f"Expected a trace (an xarray.Dataset), got {given}. Pass what `run_recurrence` returns."
        raise TraceError(msg)
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


def chosen(argument: str, wanted: slice, positions: np.ndarray[Any, Any]) -> list[int]:
    """Say which rows (or columns) a slice takes; positions are counted as in the whole run."""
    first, end = int(positions.min()), int(positions.max()) + 1
    has = f"This trace has {argument} {first} to {end - 1}: pass a slice within slice({first}, {end})."
    if not isinstance(wanted, slice):
        msg = f"`{argument}` must be a slice such as slice({first}, {end}), got {wanted!r}. {has}"
        raise ArgumentError(msg)
    try:
        bounds = [
            None if part is None else operator.index(part)
            for part in (wanted.start, wanted.stop, wanted.step)
        ]
    except TypeError:
        msg = f"`{argument}` must be a slice of whole numbers, got {wanted!r}. {has}"
        raise ArgumentError(msg) from None
    start, stop, step = bounds
    if step is not None and step < 1:
        msg = f"`{argument}` must go forward, with a step of at least 1, got {wanted!r}. {has}"
        raise ArgumentError(msg)
    # Bounds are Python's: a negative one counts from the end, one beyond the trace is its end.
    taken = range(*slice(first if start is None else start, stop, step).indices(end))
    rows = [row for row, position in enumerate(positions.tolist()) if position in taken]
    if not rows:
        msg = f"`{argument}` takes nothing: {wanted!r}. {has}"
        raise ArgumentError(msg)
    return rows

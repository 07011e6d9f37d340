"""Arrays of a store: those that all traces of a sweep share, and those of each trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.trace.kinds import KINDS, Variable

__all__ = ["RAGGED", "add_array", "empty_array", "own_variables", "shared_coordinates"]

#: Dimensions whose size differs from prompt to prompt.
RAGGED = ("token", "generated_token")
_FROM_IDS = ("token_text", "readout_text", "watched_text")  # restored from ids and the vocabulary
_FILL: dict[str, Any] = {"f": np.nan, "i": -1, "u": 0, "b": False}


def add_array(
    group: Any, name: str, values: np.ndarray[Any, Any], dims: Sequence[Any], *, attrs: Any = None
) -> None:
    """Add an array that is written once."""
    text = values.dtype.kind in "OUT"
    made = empty_array(
        group, name, values.shape, dims, dtype=str if text else values.dtype, chunks=values.shape, attrs=attrs
    )
    made[...] = values.astype(object) if text else values


def empty_array(
    group: Any,
    name: str,
    shape: Sequence[int],
    dims: Sequence[Any],
    *,
    dtype: Any,
    chunks: Any,
    attrs: Any = None,
) -> Any:
    """Add an empty array whose chunks are compressed and end with a checksum."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    text = dtype is str or np.dtype(dtype).kind in "OUT"
    return group.create_array(
        name,
        shape=tuple(shape),
        chunks=tuple(max(1, size) for size in chunks),
        dtype=str if text else dtype,
        fill_value="" if text else _FILL[np.dtype(dtype).kind],
        dimension_names=tuple(map(str, dims)),
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
        attributes=dict(attrs or {}),
    )


def shared_coordinates(trace: xr.Dataset) -> dict[str, np.ndarray[Any, Any]]:
    """Return the coordinates that every trace of the sweep has in common."""
    return {
        name: np.asarray(trace[name].values)
        for name, each in _known(trace).items()
        if each.coordinate and name not in _FROM_IDS and not set(RAGGED) & set(trace[name].dims)
    }


def own_variables(trace: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the variables that each trace has of its own."""
    shared = shared_coordinates(trace)
    return {
        name: trace[name]
        for name in _known(trace)
        if name not in shared and name not in _FROM_IDS and name not in trace.dims
    }


def _known(trace: xr.Dataset) -> dict[str, Variable]:
    table = KINDS[trace.attrs["kind"]].variables(trace.attrs)
    return {name: each for name, each in table.items() if name in trace.variables}

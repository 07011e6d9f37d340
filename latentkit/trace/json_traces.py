"""Traces as JSON, as the live page saves them; `open_trace` reads them."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import TraceError
from latentkit.trace.kinds import build_trace

__all__ = ["is_json", "read_json"]

_FORMAT = "latentkit trace"
_FLOATS = ("distance", "step_size", "step_cosine", "entropy", "kl")

Numbers = np.ndarray[Any, Any]


def is_json(data: bytes) -> bool:
    """Return whether the bytes of a file begin as a JSON object, which no netCDF file does."""
    return data[:64].lstrip()[:1] == b"{"


def read_json(data: bytes) -> xr.Dataset:
    """Return the trace of a JSON file.

    Parameters
    ----------
    data : bytes
        The whole file: sizes, attributes and texts in JSON, arrays of numbers as little-endian bytes in
        base64.

    Raises
    ------
    TraceError
        If it is not a trace of the live page, or is incomplete.
    """
    try:
        found = json.loads(data)
    except ValueError as error:
        raise TraceError(f"It is damaged or cut off ({error}). Save the trace again.") from error
    if found.get("format") != _FORMAT or found.get("version") != 1:
        raise TraceError("It is JSON of another origin; open a file that the live page saved.")
    sizes = found["sizes"]
    tokens, iterations, ranks = (_size(sizes, name) for name in ("token", "iteration", "rank"))
    cell = (tokens, iterations)
    ids = _array(found["readout_id"], "<i4", (*cell, ranks))
    arrays = {
        **{name: _array(found["floats"][name], "<f4", cell) for name in _FLOATS},
        "readout_id": ids,
        "readout_probability": _array(found["readout_probability"], "<f4", (*cell, ranks)),
        "readout_text": _texts(ids, {int(i): str(text) for i, text in found["readout_texts"].items()}),
        "token": np.arange(tokens),
        "token_id": np.array(found["token_id"], dtype=np.int64),
        "token_text": np.array([str(text) for text in found["token_text"]], dtype=object),
        "is_generated": np.arange(tokens) >= tokens - int(found["generated"]),
        "iteration": np.arange(iterations),
    }
    attrs = {str(name): _scalar(value) for name, value in found["attrs"].items() if name != "kind"}
    attrs["prompt"] = json.dumps(found["prompt"])
    return build_trace("recurrence", arrays, attrs)


def _size(sizes: dict[str, Any], name: str) -> int:
    size = sizes[name]
    if not isinstance(size, int) or not 0 < size < 10**6:
        raise TraceError(f"the size of {name} is {size!r}, not a number of {name}s")
    return size


def _scalar(value: object) -> object:
    if not isinstance(value, (str, int, float)):
        raise TraceError(f"an attribute is {value!r}, not a text or a number")
    return value


def _array(coded: str, dtype: str, shape: tuple[int, ...]) -> Numbers:
    values = np.frombuffer(base64.b64decode(coded, validate=True), dtype=dtype)
    if values.size != np.prod(shape):
        raise TraceError(f"an array has {values.size:,} numbers where {shape} are needed")
    return values.astype(dtype[1:]).reshape(shape)


def _texts(ids: Numbers, table: dict[int, str]) -> Numbers:
    """Return the texts of readouts; "" for -1, a readout that was not made."""
    distinct, place = np.unique(ids, return_inverse=True)
    texts = [table[int(i)] if i >= 0 else "" for i in distinct]
    return np.array(texts, dtype=object)[place.reshape(ids.shape)]

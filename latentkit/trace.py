"""What a trace is: its dimensions and variables; how it is checked, saved and opened.

A trace is a plain `xarray.Dataset`, so ``.sel``, ``.plot`` and ``.to_dataframe`` work as everywhere. This
module needs no torch: a trace made on a GPU opens on any laptop.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from latentkit.errors import TraceError

__all__ = [
    "COORDS",
    "DECODING",
    "LAYERS",
    "LENSES",
    "VARIABLES",
    "Variable",
    "check_trace",
    "coordinates_of",
    "need_dim",
    "open_trace",
    "save_trace",
]

Shape = tuple[str, ...]


class Variable(NamedTuple):
    """One variable of a trace: its dimensions, and the words that a plot takes for its axis."""

    dims: Shape
    long_name: str
    units: str | None = None

    @property
    def attrs(self) -> dict[str, str]:
        """The xarray attributes that say the same."""
        units = {} if self.units is None else {"units": self.units}
        return {"long_name": self.long_name, **units}


#: Coordinates of a trace.
COORDS: dict[str, Variable] = {
    "token": Variable(("token",), "position in the sequence"),
    "token_text": Variable(("token",), "token as decoded, unescaped"),
    "token_id": Variable(("token",), "number of the token in the vocabulary"),
    "is_generated": Variable(("token",), "whether the model wrote this token"),
    "iteration": Variable(("iteration",), "passes of the core block"),
}

#: Variables of a trace; `state` and the readouts are there when they were asked for.
VARIABLES: dict[str, Variable] = {
    "distance": Variable(("token", "iteration"), "‖s_i − s*‖"),
    "step_size": Variable(("token", "iteration"), "‖s_i − s_{i−1}‖"),
    "step_cosine": Variable(("token", "iteration"), "cosine of successive steps"),
    "readout_id": Variable(("token", "iteration", "rank"), "likeliest next token if stopped here"),
    "readout_text": Variable(("token", "iteration", "rank"), "likeliest next token if stopped here"),
    "readout_probability": Variable(("token", "iteration", "rank"), "probability of that token"),
    "entropy": Variable(("token", "iteration"), "entropy of the readout", "nats"),
    "kl": Variable(("token", "iteration"), "KL(readout at the limit ‖ readout at i)", "nats"),
    "state": Variable(("token", "iteration", "hidden"), "normalised latent state s_i"),
}

_TOKEN, _CELL = ("generated_token",), ("generated_token", "iteration")
_READ, _WATCHED = (*_CELL, "rank"), (*_CELL, "watched")

#: Coordinates and variables of a decoding: from `run_decoding`.
DECODING: dict[str, Variable] = {
    "generated_token": Variable(_TOKEN, "generated token"),
    "position": Variable(_TOKEN, "position in the sequence"),
    "token_text": Variable(_TOKEN, "token as decoded, unescaped"),
    "token_id": Variable(_TOKEN, "number of the token in the vocabulary"),
    "iteration": COORDS["iteration"],
    "criterion": Variable(("criterion",), "exit criterion"),
    "watched": Variable(("watched",), "number of the watched token in the vocabulary"),
    "watched_text": Variable(("watched",), "watched token as decoded, unescaped"),
    "iterations_used": Variable(_TOKEN, "iterations used"),
    "stop_reason": Variable(_TOKEN, "what ended the iterations"),
    "distance": Variable(_CELL, "‖s_i − s_last‖"),
    "readout_id": Variable(_READ, "likeliest token if stopped here"),
    "readout_text": Variable(_READ, "likeliest token if stopped here"),
    "readout_probability": Variable(_READ, "probability of that token"),
    "entropy": Variable(_CELL, "entropy of the readout", "nats"),
    "kl": Variable(_CELL, "KL(readout at the last iteration ‖ readout at i)", "nats"),
    "exit_value": Variable((*_CELL, "criterion"), "what the exit criterion compares with its threshold"),
    "watched_rank": Variable(_WATCHED, "rank of the watched token, 0 being the likeliest"),
    "watched_probability": Variable(_WATCHED, "probability of the watched token"),
}

_BLOCK = ("lens", "iteration", "block")

#: Coordinates and variables of a look through lenses: from `run_lens`.
LENSES: dict[str, Variable] = {
    "lens": Variable(("lens",), "how a state is read out"),
    "iteration": COORDS["iteration"],
    "block": Variable(("block",), "block of the core"),
    "watched": DECODING["watched"],
    "watched_text": DECODING["watched_text"],
    "readout_id": Variable((*_BLOCK, "rank"), "likeliest next token if read out here"),
    "readout_text": Variable((*_BLOCK, "rank"), "likeliest next token if read out here"),
    "readout_probability": Variable((*_BLOCK, "rank"), "probability of that token"),
    "entropy": Variable(_BLOCK, "entropy of the readout", "nats"),
    "kl": Variable(_BLOCK, "KL(readout at the last iteration ‖ readout here)", "nats"),
    "watched_rank": Variable((*_BLOCK, "watched"), "rank of the watched token, 0 being the likeliest"),
    "watched_probability": Variable((*_BLOCK, "watched"), "probability of the watched token"),
}

_LAYER = ("layer",)

#: Coordinates of a comparison of layers, from a ``run_layer_*`` function. Its variables lie over (layer,
#: generated_token); for several prompts, over (prompt, layer, generated_token).
LAYERS: dict[str, Variable] = {
    "layer": Variable(_LAYER, "Layer"),
    "stack": Variable(_LAYER, "stack of blocks"),
    "iteration": Variable(_LAYER, "repetition of the stack"),
    "block": Variable(_LAYER, "block of the stack"),
    "lens": Variable(_LAYER, "how the layer's state is read out"),
    "generated_token": Variable(_TOKEN, "Generated Token"),
}

_COORDINATES = (
    *COORDS,
    *LAYERS,
    *("generated_token", "position", "criterion", "watched", "watched_text", "lens", "block", "seed"),
)

_REQUIRED = ("distance", "step_size", "token_text", "token_id")
_ADVICE = "Pass what `run_recurrence` returns."


def check_trace(trace: xr.Dataset) -> xr.Dataset:
    """Return the dataset unchanged if it is a trace, else say what is wrong with it.

    Parameters
    ----------
    trace : Dataset
        From a ``run_*`` function, or put together by hand.

    Returns
    -------
    Dataset
        The same object.

    Raises
    ------
    TraceError
        If it is no dataset, lacks a variable that every trace has, or has one over other dimensions.
    """
    if not isinstance(trace, xr.Dataset):
        msg = f"Expected a trace (an xarray.Dataset), got {type(trace).__name__}. {_ADVICE}"
        raise TraceError(msg)
    required, variables = _kind(trace)
    if missing := [name for name in required if name not in trace.variables]:
        msg = f"This dataset lacks {', '.join(missing)}, so it is not a trace. {_ADVICE}"
        raise TraceError(msg)
    for name, variable in variables.items():
        # A run with several seeds has them in front; all that a token has of its own they share.
        allowed = {variable.dims} | ({("seed", *variable.dims)} if name in VARIABLES else set())
        if name in trace.variables and trace[name].dims not in allowed:
            msg = (
                f"The variable {name} has the dimensions {trace[name].dims}; in a trace it has "
                f"{variable.dims}, with several seeds 'seed' in front. Transpose it, or select one prompt."
            )
            raise TraceError(msg)
    return trace


def coordinates_of(names: Iterable[str]) -> list[str]:
    """Return those names that are coordinates of a trace of any kind."""
    given = set(names)
    return [name for name in _COORDINATES if name in given]


def _kind(trace: xr.Dataset) -> tuple[Shape, dict[str, Variable]]:
    """Say what a trace of this kind must have, and the dimensions of all that it may have."""
    if "iterations_used" in trace.variables:
        return ("iterations_used", "token_text", "token_id"), DECODING
    if "layer" in trace.dims:
        return ("generated_token", "token_text", "token_id"), LAYERS
    if "lens" in trace.variables:
        return ("readout_id", "readout_probability"), LENSES
    return _REQUIRED, {**COORDS, **VARIABLES}


def need_dim(data: xr.Dataset | xr.DataArray, dim: str, advice: str) -> None:
    """Raise a `TraceError` that ends with ``advice`` unless ``data`` has the dimension ``dim``."""
    if dim not in data.dims:
        msg = f"Expected a dimension {dim!r}, got {tuple(data.dims)}. {advice}"
        raise TraceError(msg)


def save_trace(trace: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Save a trace as one compressed netCDF-4 file.

    Parameters
    ----------
    trace : Dataset
        What a ``run_*`` function returned.
    path : path
        For example ``"faust.nc"``. The file is written beside its place and moved there when it is whole, so
        a crash never leaves half a file and an earlier one is kept until then.

    Returns
    -------
    Path
        Where it was saved.

    Raises
    ------
    TraceError
        If ``trace`` is no trace, or the folder does not exist.

    See Also
    --------
    open_trace : reads the file back, identical.
    """
    path = Path(path)
    if not path.parent.is_dir():
        msg = f"There is no folder {path.parent} to save {path.name} in. Create it first."
        raise TraceError(msg)
    packed = _pack(check_trace(trace))
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        packed.to_netcdf(beside, engine="h5netcdf", encoding=_compression(packed))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def open_trace(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a trace that `save_trace` wrote. Needs neither torch nor the model.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Dataset
        Identical to what was saved, held in memory; the file is closed.

    Raises
    ------
    TraceError
        If there is no such file, it is damaged, or it is not a trace.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no file {path}. Pass the path that `save_trace` returned."
        raise TraceError(msg)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            packed = file.load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} is not a readable netCDF-4 file ({error}). Save the trace again with `save_trace`."
        raise TraceError(msg) from error
    try:
        return check_trace(_unpack(packed))
    except (TraceError, KeyError, TypeError, ValueError) as error:
        msg = f"{path} holds no trace: {error}"
        raise TraceError(msg) from error


def _pack(trace: xr.Dataset) -> xr.Dataset:
    """Write texts as ASCII JSON, which holds NUL and half a character; readouts as ids and one table."""
    packed = trace.copy()
    if {"readout_id", "readout_text"} <= set(packed.variables):
        ids, place = np.unique(packed.readout_id.values, return_index=True)
        packed["table_id"] = ("table", ids)
        packed["table_text"] = ("table", packed.readout_text.values.ravel()[place], packed.readout_text.attrs)
        packed = packed.drop_vars("readout_text")
    for name, variable in packed.variables.items():
        if variable.dtype.kind in "OUT":
            texts = [json.dumps(text) for text in variable.values.ravel()]
            coded = np.array(texts, dtype=object).reshape(variable.shape)
            packed[name] = (variable.dims, coded, {**variable.attrs, "texts": "json"})
    return packed


def _unpack(packed: xr.Dataset) -> xr.Dataset:
    """Undo `_pack`."""
    trace = packed.copy()
    for name, variable in packed.variables.items():
        attrs = dict(variable.attrs)
        if attrs.pop("texts", None) == "json":
            texts = _text_array([json.loads(text) for text in variable.values.ravel()])
            trace[name] = (variable.dims, texts.reshape(variable.shape), attrs)
    if "table" in trace.dims:
        place = np.searchsorted(trace.table_id.values, trace.readout_id.values)
        texts = trace.table_text.values[place]
        trace["readout_text"] = (trace.readout_id.dims, texts, trace.table_text.attrs)
        trace = trace.drop_vars(["table_id", "table_text"])
    return trace.drop_encoding().set_coords(coordinates_of(map(str, trace.variables)))


def _text_array(texts: list[str]) -> np.ndarray[Any, Any]:
    """Make an array of texts.

    One of objects keeps a NUL at the end of a text. Half a character cannot be in one: pandas, inside xarray,
    encodes it as UTF-8 where pyarrow is installed.
    """
    half = any("\ud800" <= character <= "\udfff" for text in texts for character in text)
    return np.array(texts, dtype=np.str_ if half else object)


def _compression(packed: xr.Dataset) -> Mapping[str, Mapping[str, Any]]:
    numbers = [name for name, v in packed.variables.items() if v.dtype.kind in "fiu" and v.ndim > 1]
    return {str(name): {"zlib": True, "complevel": 4, "shuffle": True} for name in numbers}

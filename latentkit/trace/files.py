"""Traces as files: one compressed netCDF-4 file each.

Texts are stored as ASCII JSON, which holds NUL and unpaired surrogates; readout texts as ids and one table
of distinct texts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from latentkit.arguments import file_path, new_file
from latentkit.errors import FileError, TraceError
from latentkit.files import write_file
from latentkit.netcdf import read_netcdf, to_netcdf
from latentkit.trace.checking import check_trace, trace_kind
from latentkit.trace.json_traces import is_json, read_json
from latentkit.trace.stores import is_store, open_store

__all__ = ["open_trace", "save_trace"]


def save_trace(trace: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Save a trace as one compressed netCDF-4 file.

    Parameters
    ----------
    trace : Dataset
        The result of any ``run_*`` function.
    path : path
        For example ``"faust.nc"``. The data are written to a temporary file in the same folder, which then
        replaces ``path``: a crash or a full disk leaves an earlier file as it was.

    Returns
    -------
    Path
        The path of the file.

    Raises
    ------
    TraceError
        If ``trace`` is not a trace, or an attribute holds the character U+0000.
    ArgumentError
        If the path is not one, or its folder does not exist.
    FileError
        If the file cannot be written.

    See Also
    --------
    open_trace : reads the file back, identical.
    """
    path = new_file("path", path, "faust.nc")
    if check_trace(trace).attrs["kind"] == "sweep":
        msg = (
            "A sweep is on disk already. Copy the folder of its store, or save one of its traces: "
            "select_prompt(sweep, 0)."
        )
        raise TraceError(msg)
    attributes = [trace.attrs, *(variable.attrs for variable in trace.variables.values())]
    if bad := [
        name for one in attributes for name, value in one.items() if isinstance(value, str) and "\0" in value
    ]:
        msg = f"The attribute {bad[0]!r} holds the character U+0000, which the file format cannot. Remove it."
        raise TraceError(msg)
    packed = _pack(trace)
    return write_file(path, to_netcdf(packed, _compression(packed)))


def open_trace(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a trace that `save_trace` or the live page wrote, or a store of `run_sweep`; torch is not needed.

    Parameters
    ----------
    path : path
        The file: netCDF-4, or JSON saved in a page of `save_live_html`; or the folder of a store.

    Returns
    -------
    Dataset
        Identical to what was saved, held in memory; the file is closed. The variables of a store are read
        when they are used.

    Raises
    ------
    TraceError
        If there is no such file, it is damaged, refers to other files, or is not a trace.

    Notes
    -----
    The checksum at the end of the file is compared first. Files of version 0.1 have none and open as well.
    """
    path = file_path("path", path, "faust.nc")
    if is_store(path):
        return open_store(path)
    if not path.is_file():
        msg = f"There is no file {path}. Pass the path that `save_trace` returned."
        raise TraceError(msg)
    try:
        data = path.read_bytes()
        packed = None if is_json(data) else read_netcdf(data)
    except OSError as error:  # FileError is one, too
        reason = error if isinstance(error, FileError) else f"It cannot be read ({error.strerror})."
        raise TraceError(f"{path} is not a readable trace. {reason} Save the trace again.") from error
    try:
        return check_trace(read_json(data) if packed is None else _unpack(_from_version_0_1(packed)))
    except Exception as error:  # a file without a checksum may hold anything
        raise TraceError(f"{path} is not a trace: {error}") from error


def _from_version_0_1(packed: xr.Dataset) -> xr.Dataset:
    """Translate a file of version 0.1: add the missing attribute ``kind``, replace a renamed definition."""
    if "kind" in packed.attrs or ("token_text" not in packed.variables and "lens" not in packed.variables):
        return packed
    if "iterations_used" in packed.variables:
        kind = "decoding"
    elif "layer" in packed.dims:
        kind = "layers"
    else:
        kind = "lens" if "lens" in packed.variables else "recurrence"
    renamed = {"definition": "difference"} if packed.attrs.get("definition") == "two_runs" else {}
    return packed.assign_attrs({"kind": kind, **packed.attrs, **renamed})


def _pack(trace: xr.Dataset) -> xr.Dataset:
    """Encode texts as JSON and readout texts as ids with a table."""
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
            texts = _text_array([_text(text) for text in variable.values.ravel()])
            trace[name] = (variable.dims, texts.reshape(variable.shape), attrs)
    if "table" in trace.dims:
        place = np.searchsorted(trace.table_id.values, trace.readout_id.values)
        texts = trace.table_text.values[place]
        trace["readout_text"] = (trace.readout_id.dims, texts, trace.table_text.attrs)
        trace = trace.drop_vars(["table_id", "table_text"])
    table = trace_kind(trace).variables(trace.attrs)
    coordinates = [name for name, each in table.items() if each.coordinate and name in trace.variables]
    return trace.drop_encoding().set_coords(coordinates)


def _text(coded: str) -> str:
    text = json.loads(coded)
    if not isinstance(text, str):
        raise TraceError(f"a text is stored as {coded[:40]}, which is not a JSON string")
    return text


def _text_array(texts: list[str]) -> np.ndarray[Any, Any]:
    """Return an array of texts.

    An object array keeps a NUL at the end of a text. It cannot hold an unpaired surrogate: pandas, inside
    xarray, encodes it as UTF-8 where pyarrow is installed.
    """
    unpaired = any("\ud800" <= character <= "\udfff" for text in texts for character in text)
    return np.array(texts, dtype=np.str_ if unpaired else object)


def _compression(packed: xr.Dataset) -> Mapping[str, Mapping[str, Any]]:
    numbers = [name for name, v in packed.variables.items() if v.dtype.kind in "fiu" and v.ndim > 1]
    return {str(name): {"zlib": True, "complevel": 4, "shuffle": True} for name in numbers}

"""Stores: the traces of many prompts in one Zarr folder, opened lazily as one dataset.

Every chunk of a variable holds one prompt and ends with a checksum; `SEAL` holds the digests of the files
that describe the arrays. `RECORD` is written last for each prompt: a prompt without a record has not run.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from latentkit.arguments import is_whole, shown_value
from latentkit.errors import TraceError
from latentkit.trace.kinds import KINDS, Variable

__all__ = ["RECORD", "SEAL", "VOCABULARY", "digests", "is_store", "open_store", "read_seal", "select_prompt"]

SEAL = "latentkit.json"
RECORD = "record"
VOCABULARY = "vocabulary_text"
FORMAT = 1
_TEXTS = {"token_text": "token_id", "readout_text": "readout_id", "watched_text": "watched"}
_AGAIN = "Run the sweep again with a new store."


def is_store(path: Path) -> bool:
    """Whether a folder looks like the store of a sweep."""
    return path.is_dir() and ((path / SEAL).is_file() or (path / "zarr.json").is_file())


def digests(path: Path) -> dict[str, str]:
    """Return the SHA-256 digests of the files that describe the group and its arrays."""
    found = [path / "zarr.json", *sorted(path.glob("*/zarr.json"))]
    return {
        file.parent.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in found
        if file.is_file()
    }


def read_seal(path: Path) -> dict[str, Any]:
    """Return what the seal says, after a comparison of the files that it names.

    Raises
    ------
    TraceError
        If there is no seal, it has another version, or a file differs from its digest.
    """
    try:
        seal = json.loads((path / SEAL).read_bytes())
    except FileNotFoundError:
        raise TraceError(f"{path} is not the store of a sweep: it has no {SEAL}.") from None
    except (OSError, ValueError) as error:
        raise TraceError(f"{path} is damaged: {SEAL} cannot be read ({error}). {_AGAIN}") from error
    if not isinstance(seal, dict) or seal.get("format") != FORMAT or not isinstance(seal.get("files"), dict):
        version = seal.get("format") if isinstance(seal, dict) else seal
        msg = f"{path} is a store of the format {version!r}; this version reads the format {FORMAT}. {_AGAIN}"
        raise TraceError(msg)
    found = digests(path)
    if wrong := [name for name, digest in seal["files"].items() if found.get(name) != digest]:
        raise TraceError(f"{path} is damaged: the description of {wrong[0]!r} was changed. {_AGAIN}")
    return seal


def open_store(path: Path) -> xr.Dataset:
    """Return the dataset of a store; its variables are read when they are used.

    Returns
    -------
    Dataset [prompt, ...]
        Of the kind "sweep". ``status`` ("done", "failed" or "missing"), ``error`` and ``length`` (the number
        of tokens of each prompt; what lies beyond is NaN, -1 or False) are coordinates, and so are the
        labels of the prompts.

    Raises
    ------
    TraceError
        If it is not a store or is damaged; for a damaged chunk when that is read.
    """
    import zarr

    seal = read_seal(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=f"Object at {SEAL}")
            data = xr.open_zarr(_checked(path), consolidated=False, chunks=None, zarr_format=3)
        drop = [name for name in data.variables if name not in seal["files"]]
        return _with_records(data.drop_vars(drop), path)
    except TraceError:
        raise
    except (OSError, ValueError, KeyError, TypeError, zarr.errors.BaseZarrError) as error:
        raise TraceError(f"{path} is damaged: {error}. {_AGAIN}") from error


def _checked(path: Path) -> Any:
    """Return a read-only store of Zarr that compares the checksum of every chunk before it is decoded."""
    import google_crc32c
    from zarr.storage import LocalStore, WrapperStore

    class CheckedStore(WrapperStore[Any]):
        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            found = await super().get(key, prototype, byte_range)
            if found is not None and "/c" in key and byte_range is None:
                data = found.to_bytes()
                if len(data) < 4 or google_crc32c.value(data[:-4]) != int.from_bytes(data[-4:], "little"):
                    raise TraceError(f"{path} is damaged: the checksum of {key} does not match. {_AGAIN}")
            return found

    return CheckedStore(LocalStore(path, read_only=True))


def _with_records(data: xr.Dataset, path: Path) -> xr.Dataset:
    records = [json.loads(text) if text else {"status": "missing"} for text in data[RECORD].values]
    dims = ("prompt",)
    coords = {
        "status": (dims, np.array([str(each["status"]) for each in records], dtype=object)),
        "error": (dims, np.array([str(each.get("error", "")) for each in records], dtype=object)),
        "length": (dims, np.array([int(each.get("length", 0)) for each in records])),
        "prompt_attrs": (
            dims,
            np.array([json.dumps(each.get("attrs", {})) for each in records], dtype=object),
        ),
    }
    of = KINDS.get(str(data.attrs.get("of")))
    if of is None:
        raise TraceError(f"{path} holds traces of the unknown kind {data.attrs.get('of')!r}.")
    table = of.variables(json.loads(data.attrs.get("trace_attrs", "{}")))
    names = [name for name, each in table.items() if each.coordinate and name in data.variables]
    names += [name for name in data.attrs["labels"] if name in data.variables]
    shared = json.loads(data.attrs.pop("trace_attrs", "{}"))
    return data.drop_vars(RECORD).assign_coords(coords).set_coords([*names, VOCABULARY]).assign_attrs(shared)


def select_prompt(sweep: xr.Dataset, number: int) -> xr.Dataset:
    """Return the trace of one prompt of a sweep, as the ``run_*`` function made it.

    Parameters
    ----------
    sweep : Dataset [prompt, ...]
        From `run_sweep` or `open_trace`.
    number : int
        The prompt's place, from 0.

    Returns
    -------
    Dataset
        A trace without the dimension ``prompt`` and without padding, held in memory, with the texts of its
        tokens: everything that takes a trace takes it.

    Raises
    ------
    TraceError
        If it is not a sweep, has no such prompt, or this prompt failed or has not run.
    """
    if getattr(sweep, "attrs", {}).get("kind") != "sweep":
        raise TraceError(
            "Expected a sweep. Pass the result of `run_sweep`, or a store that `open_trace` opened."
        )
    count = sweep.sizes.get("prompt", 0)
    if not is_whole(number) or not -count <= number < count:
        raise TraceError(
            f"number is {shown_value(number)}; pass the place of a prompt, from 0 to {count - 1}."
        )
    one = sweep.isel(prompt=int(number))
    if (status := str(one["status"].values)) != "done":
        reason = f" ({one['error'].values})" if str(one["error"].values) else ""
        raise TraceError(f"The prompt {number} has no trace, its status is {status!r}{reason}.")
    length = int(one["length"])
    ragged = {dim: slice(0, length) for dim in ("token", "generated_token") if dim in one.dims}
    known = KINDS[str(sweep.attrs["of"])].variables(sweep.attrs)
    dropped = [name for name in one.variables if name not in known]
    texts = np.array([*sweep[VOCABULARY].values, ""], dtype=object)
    trace = _with_texts(one.isel(ragged).drop_vars(dropped).load(), texts, known)
    trace = trace.assign_coords({dim: (dim, np.arange(length), known[dim].attrs) for dim in ragged})
    of_sweep = {"kind", "of", "labels", "run"}
    shared = {name: value for name, value in sweep.attrs.items() if name not in of_sweep}
    trace.attrs = {"kind": sweep.attrs["of"], **shared, **json.loads(str(one["prompt_attrs"].values))}
    return trace.drop_encoding()


def _with_texts(trace: xr.Dataset, texts: np.ndarray[Any, Any], known: Mapping[str, Variable]) -> xr.Dataset:
    """Add the texts of the ids; the last of ``texts`` is that of the id -1."""
    for text, number in _TEXTS.items():
        if number in trace.variables and text not in trace.variables:
            found = trace[number]
            values = xr.Variable(found.dims, texts[found.values], known[text].attrs)
            trace = (
                trace.assign({text: values})
                if text == "readout_text"
                else trace.assign_coords({text: values})
            )
    return trace

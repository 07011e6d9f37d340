"""Datasets as netCDF-4 bytes: written in memory, sealed with a checksum, inspected before they are read.

A file of HDF5, the underlying format, can refer to other files, and the library can crash or loop on damaged
files. So bytes are read in three steps: the checksum, the structure (`_inspect`), the values. Files without a
checksum (version 0.1) are first read in a separate process with limits on time and memory.
"""

from __future__ import annotations

import hashlib
import io
import math
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from latentkit.errors import FileError

if TYPE_CHECKING:
    import h5py

__all__ = ["read_netcdf", "seal", "to_netcdf"]

_MARK = b"latentkit-seal-1"
_SEALED_ATTRIBUTE = "latentkit_seal"  # a file that contains this name but no checksum is refused
_DIGEST = 32
_SEALED = len(_MARK) + _DIGEST
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = {1, 2}  # HDF5's numbers for deflate and shuffle, the only filters that this module uses
_RATIO = 1100  # deflate compresses by a factor of at most 1,032
_SLACK = 1 << 16
_SECONDS, _BYTES_PER_SECOND, _WALL_SECONDS = 8, 10_000_000, 60  # to read a file in a separate process
_OUT_OF_TIME = {getattr(signal, name, 0) for name in ("SIGXCPU", "SIGKILL")} - {0}
_MEMORY = 4 << 30  # address space of that process
# A dimension without labels is stored as an array that is not read.
_BARE_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"


def to_netcdf(dataset: xr.Dataset, encoding: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return a dataset as the bytes of a netCDF-4 file with a checksum at its end.

    Parameters
    ----------
    dataset : Dataset
        Numbers and texts in the root group.
    encoding : mapping
        Compression by variable, as for `xarray.Dataset.to_netcdf`.

    Returns
    -------
    bytes
        Readable by any netCDF-4 reader: HDF5 ignores bytes after the end of its data.
    """
    marked = dataset.assign_attrs({_SEALED_ATTRIBUTE: 1})
    return seal(bytes(marked.to_netcdf(engine="h5netcdf", encoding=encoding)))


def seal(data: bytes) -> bytes:
    """Append a mark and a digest of all bytes before it."""
    return data + _MARK + hashlib.blake2b(data, digest_size=_DIGEST).digest()


def read_netcdf(data: bytes) -> xr.Dataset:
    """Read a dataset from the bytes of a netCDF-4 file without trusting them.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    Dataset
        In memory.

    Raises
    ------
    FileError
        If the bytes are not a netCDF-4 file, are damaged, refer to other files, use a filter that this module
        does not write, or declare more data than they can contain.
    """
    body = _unsealed(data)
    if not body.startswith(_SIGNATURE):
        raise FileError("This is no netCDF-4 file.")
    if len(body) < _end_of_data(body):
        raise FileError(f"The file is cut off: it has {len(body):,} of {_end_of_data(body):,} bytes.")
    if len(body) == len(data):  # without a checksum
        _read_apart(body)
    try:
        dataset = _read(body)
    except FileError:
        raise
    except Exception as error:  # the libraries raise errors of many types on damaged files
        raise FileError(f"The file is damaged ({type(error).__name__}: {error}).") from error
    dataset.attrs.pop(_SEALED_ATTRIBUTE, None)
    return dataset


def _unsealed(data: bytes) -> bytes:
    """Check the digest and return the bytes without mark and digest; without a mark they are unchanged."""
    body, mark, digest = data[:-_SEALED], data[-_SEALED:-_DIGEST], data[-_DIGEST:]
    if mark != _MARK:
        if _SEALED_ATTRIBUTE.encode() in data:
            raise FileError("The file is damaged: the checksum at its end is missing.")
        return data
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise FileError("The file is damaged: its content does not have the checksum at its end.")
    return body


def _end_of_data(body: bytes) -> int:
    """Return the size that the file's first block states; 0 if it has an unknown version."""
    place = {0: 40, 1: 44, 2: 28, 3: 28}.get(body[8]) if len(body) > 8 else None
    return int.from_bytes(body[place : place + 8], "little") if place else 0


def _read(body: bytes) -> xr.Dataset:
    import h5py

    with h5py.File(io.BytesIO(body), "r") as file:
        _inspect(file, len(body))
    with xr.open_dataset(io.BytesIO(body), engine="h5netcdf") as dataset:
        return dataset.load()


def _inspect(file: h5py.File, size: int) -> None:
    """Refuse structures that latentkit does not write, before any value is read."""
    import h5py

    claimed = 0
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise FileError(f"'{name}' is a link to something else, which a trace never has. Refused.")
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            raise FileError(f"'{name}' is a group, which a trace never has. Refused.")
        claimed += _inspect_array(name, item)
    if claimed > _RATIO * size + _SLACK:
        raise FileError(f"The file claims {claimed:,} bytes of data and has {size:,}. Refused.")


def _inspect_array(name: str, item: h5py.Dataset) -> int:
    """Refuse an array in another file or of an impossible size; return its size in bytes."""
    properties = item.id.get_create_plist()
    if properties.get_external_count() or item.is_virtual:
        raise FileError(f"'{name}' takes its data from another file. Refused.")
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if filters - _FILTERS:
        raise FileError(f"'{name}' is compressed by HDF5 filter {min(filters - _FILTERS)}. Refused.")
    claimed: int = math.prod(map(int, item.shape or ())) * item.dtype.itemsize
    if bytes(item.attrs.get("NAME", b"")).startswith(_BARE_DIMENSION):
        return 0
    chunk: int = math.prod(map(int, item.chunks or ())) * item.dtype.itemsize
    held = int(item.id.get_storage_size()) * (_RATIO if filters else 1)
    if max(claimed, chunk) > held + _SLACK:
        raise FileError(f"'{name}' claims {claimed:,} bytes and the file holds at most {held:,}. Refused.")
    return claimed


# Without -P a file h5py.py in the current folder would be imported. The package itself may be anywhere.
_READER = "import sys; sys.path.append(sys.argv[1]); import latentkit.netcdf as n; n._read_limited()"


def _read_apart(body: bytes) -> None:
    """Read the file once in a separate process: a damaged file may loop, crash or use all memory."""
    package = str(Path(__file__).resolve().parents[1])
    try:
        done = subprocess.run(  # noqa: S603  (the command is a constant and the package's folder)
            [sys.executable, "-P", "-c", _READER, package],
            input=body,
            capture_output=True,
            timeout=_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileError(f"The file is damaged: reading it takes more than {_WALL_SECONDS} s.") from None
    if -done.returncode in _OUT_OF_TIME:
        raise FileError("The file is damaged: reading it does not end.")
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["the reader crashed"]
        raise FileError(f"The file is damaged ({last[0].removeprefix('latentkit.errors.FileError: ')}).")


def _read_limited(body: bytes | None = None) -> None:
    """Read a file, by default standard input, with limits; for a separate process."""
    body = sys.stdin.buffer.read() if body is None else body
    _limit_process(len(body))
    _read(body)


def _limit_process(size: int) -> None:
    """Limit the memory and the processor time of this process for reading a file of that size."""
    with suppress(ImportError):  # Windows has no such limits
        import resource

        seconds = math.ceil(time.process_time() + _SECONDS + size / _BYTES_PER_SECOND)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

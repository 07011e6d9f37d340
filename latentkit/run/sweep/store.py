"""The store of a sweep while it is written: created, locked, filled prompt by prompt."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError, FileError, TraceError
from latentkit.files import lock_file, write_file
from latentkit.run.sweep.arrays import RAGGED, add_array, empty_array, own_variables, shared_coordinates
from latentkit.run.sweep.work import Outcome
from latentkit.trace.stores import FORMAT, RECORD, SEAL, VOCABULARY, digests, read_seal

__all__ = ["SweepStore"]

_TOKENS_PER_CHUNK = 64


class SweepStore:
    """The store of one sweep, open for writing and locked against other sweeps.

    Parameters
    ----------
    path : Path
        The folder; created if there is none.
    asked : mapping
        Arguments of the sweep, as JSON values. A store that was begun with other values is refused.
    labels : mapping of str to array [prompt]
        Labels of the prompts.
    vocabulary : function
        Returns the texts of all tokens; called if the store is created.
    bounds : mapping of str to int
        Largest sizes of the dimensions ``token`` and ``generated_token``.

    Raises
    ------
    ArgumentError
        If the folder is something else or belongs to another sweep, or another process writes to it.
    FileError
        If it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        asked: Mapping[str, Any],
        *,
        labels: Mapping[str, np.ndarray[Any, Any]],
        vocabulary: Callable[[], Sequence[str]],
        bounds: Mapping[str, int],
    ) -> None:
        self._path, self._asked, self._bounds = path, dict(asked), bounds
        self._arrays: dict[str, Any] = {}
        self._coordinates: dict[str, Any] = {}
        with _as_file_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock: IO[Any] = _locked(path)
        try:
            with _as_file_errors(path):
                if not path.exists():
                    _create(path, self._asked, labels, vocabulary())
                _resume(path, self._asked)
                self._group = _open(path, "r+")
            self._shared: dict[str, Any] = json.loads(str(self._group.attrs.get("trace_attrs", "{}")))
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> SweepStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def recorded(self, *, failed: bool) -> set[int]:
        """Return the numbers of the prompts that are done; with ``failed`` also of those that failed."""
        wanted = {"done", "failed"} if failed else {"done"}
        with _as_file_errors(self._path):
            records = [json.loads(text) if text else {} for text in self._array(RECORD)[:]]
        return {number for number, record in enumerate(records) if record.get("status") in wanted}

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of some prompts; their records are written last.

        Raises
        ------
        FileError
            If the store cannot be written; the prompts are then not recorded.
        """
        with _as_file_errors(self._path):
            checked = [self._checked(each) for each in outcomes]
            traces = {each.number: each.trace for each in checked if each.trace is not None}
            if traces:
                self._write_traces(traces)
            for each in checked:
                self._array(RECORD)[each.number] = json.dumps(self._record(each), default=_plain)

    def _checked(self, outcome: Outcome) -> Outcome:
        """Create the arrays from the first trace; refuse a trace whose shared coordinates differ."""
        if outcome.trace is None:
            return outcome
        if not self._shared:
            self._create_arrays(outcome.trace)
        for name, values in shared_coordinates(outcome.trace).items():
            if not np.array_equal(self._coordinate(name), values):
                reason = f"TraceError: its {name} differs from that of the prompts before it."
                return Outcome(outcome.number, None, reason)
        return outcome

    def _array(self, name: str) -> Any:
        """Return an array of the store; its description is read once."""
        if name not in self._arrays:
            self._arrays[name] = self._group[name]
        return self._arrays[name]

    def _coordinate(self, name: str) -> Any:
        """Return a shared coordinate, which is read once."""
        if name not in self._coordinates:
            self._coordinates[name] = self._array(name)[...]
        return self._coordinates[name]

    def _record(self, outcome: Outcome) -> dict[str, Any]:
        if outcome.trace is None:
            return {"status": "failed", "error": outcome.error}
        attrs = {
            name: value for name, value in outcome.trace.attrs.items() if self._shared.get(name) != value
        }
        attrs.pop("kind", None)
        sizes = outcome.trace.sizes
        length = next((sizes[dim] for dim in RAGGED if dim in sizes), 0)
        return {"status": "done", "length": length, "attrs": attrs}

    def _write_traces(self, traces: Mapping[int, xr.Dataset]) -> None:
        """Write traces of one shape, each variable of all of them at once."""
        numbers = list(traces)
        for name in own_variables(next(iter(traces.values()))):
            values = np.stack([traces[number][name].values for number in numbers])
            places = tuple(slice(0, size) for size in values.shape[1:])
            self._array(name).set_orthogonal_selection((numbers, *places), values)

    def _create_arrays(self, trace: xr.Dataset) -> None:
        """Create the arrays of the variables, and write the coordinates that all traces share."""
        shared = {name: value for name, value in trace.attrs.items() if name not in {"kind", "prompt"}}
        for name, values in shared_coordinates(trace).items():
            add_array(self._group, name, values, trace[name].dims, attrs=trace[name].attrs)
        count = len(self._asked["prompts"])
        for name, variable in own_variables(trace).items():
            sizes = [max(size, self._bounds.get(str(dim), 0)) for dim, size in variable.sizes.items()]
            chunks = [
                min(size, _TOKENS_PER_CHUNK) if dim in RAGGED else size
                for dim, size in zip(variable.dims, sizes, strict=True)
            ]
            empty_array(
                self._group,
                name,
                (count, *sizes),
                ("prompt", *map(str, variable.dims)),
                dtype=variable.dtype,
                chunks=(1, *chunks),
                attrs=variable.attrs,
            )
        text = json.dumps(shared, default=_plain)
        self._group.attrs.update({"trace_attrs": text})
        _write_seal(self._path, self._asked)
        self._shared = json.loads(text)


def _create(
    path: Path,
    asked: Mapping[str, Any],
    labels: Mapping[str, np.ndarray[Any, Any]],
    vocabulary: Sequence[str],
) -> None:
    """Create the store beside its place and move it there, so that it is either complete or absent."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    count = len(asked["prompts"])
    try:
        group = _open(unfinished, "w")
        group.attrs.update({"kind": "sweep", "run": asked["run"], "of": asked["of"], "labels": list(labels)})
        empty_array(group, RECORD, (count,), ("prompt",), dtype=str, chunks=(1,))
        add_array(group, VOCABULARY, np.array(list(vocabulary), dtype=object), ("vocabulary",))
        for name, values in labels.items():
            add_array(group, name, values, ("prompt",))
        _write_seal(unfinished, asked)
        unfinished.replace(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _resume(path: Path, asked: Mapping[str, Any]) -> None:
    """Refuse the store of another sweep; remove arrays that were not sealed before a crash."""
    try:
        seal = read_seal(path)
    except TraceError as error:
        raise ArgumentError(f"{error} Pass the path of a new store.") from error
    for name, value in asked.items():
        if seal["asked"].get(name) != value:
            was = f" ({_short(seal['asked'].get(name))} there, {_short(value)} asked for)"
            msg = (
                f"The store {path} belongs to a sweep with another {name}{was}. Pass the path of a new store."
            )
            raise ArgumentError(msg)
    for part in path.iterdir():
        if part.is_dir() and part.name not in seal["files"]:
            shutil.rmtree(part)


def _write_seal(path: Path, asked: Mapping[str, Any]) -> None:
    write_file(path / SEAL, json.dumps({"format": FORMAT, "asked": asked, "files": digests(path)}))


def _open(path: Path, mode: Any) -> Any:
    import zarr

    return zarr.open_group(path, mode=mode, zarr_format=3)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _locked(path: Path) -> IO[Any]:
    lock = lock_file(path.with_name(f".{path.name}.lock"))
    if lock is None:
        msg = f"Another sweep is writing to {path}. Wait until it ends, or pass the path of another store."
        raise ArgumentError(msg)
    return lock


@contextmanager
def _as_file_errors(path: Path) -> Iterator[None]:
    """Convert errors of the operating system to `FileError`."""
    try:
        yield
    except (ArgumentError, TraceError, FileError):
        raise
    except OSError as error:
        msg = (
            f"The store {path} could not be written: {error.strerror or error}. The results "
            "recorded so far are complete. Free some space or choose another folder, and run the sweep again."
        )
        raise FileError(msg) from error

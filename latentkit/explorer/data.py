"""What the browser gets of a trace: one compressed block of bytes, the same for a widget and for a page.

A block is zlib's: four bytes of length, a header in JSON, then arrays one after the other. The bytes of an
array are sorted by significance, which compresses floats better. Texts are made visible here, so that nothing
in the header can act in a page; static/numbers.js reads it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit import criteria
from latentkit.errors import ArgumentError
from latentkit.view.kinds import Grid, grid_of
from latentkit.view.labels import visible_token

__all__ = ["COLOURMAPS", "pack", "unpack_header"]

Numbers = np.ndarray[Any, Any]

#: Colour maps of matplotlib that an explorer offers; the last one is that of the published layer figure.
COLOURMAPS = ("viridis", "cividis", "YlOrRd")

_HALF = 2.0**-10  # relative error up to which a number may be stored in 16 bits: three digits
_TINY = 1e-7  # and the size below which it counts as rounding


def pack(traces: Sequence[xr.Dataset], names: Sequence[str]) -> bytes:
    """Pack traces of one kind, which the explorer shows side by side.

    Parameters
    ----------
    traces : sequence of Dataset
        One or two, of the same kind.
    names : sequence of str
        What stands above each; not shown for a single one.

    Returns
    -------
    bytes
        Distances and the numbers of exit criteria in full precision, so that a threshold tells in the browser
        what it tells in `latentkit.measure`; the rest in 16 bits where that keeps three digits.

    Raises
    ------
    TraceError
        If a dataset is no trace, or holds what cannot be drawn as a picture of rows and columns.
    ArgumentError
        If the traces are of different kinds, or have no variable in common.
    """
    grids = [grid_of(trace) for trace in traces]
    if len({grid.name for grid in grids}) > 1:
        given = " and ".join(grid.name for grid in grids)
        msg = f"Two traces side by side must be of one kind, got {given}. Explore each by itself."
        raise ArgumentError(msg)
    arrays = _Arrays()
    panels = [
        _panel(grid, trace, visible_token(name), arrays)
        for grid, trace, name in zip(grids, traces, names, strict=True)
    ]
    variables, rules = (
        set.intersection(*(set(panel[part]) for panel in panels)) for part in ("variables", "exits")
    )
    if not variables:
        each = " and ".join(", ".join(panel["variables"]) or "nothing" for panel in panels)
        msg = f"There is nothing that all these traces can show; they hold {each}. Explore each by itself."
        raise ArgumentError(msg)
    header = {
        **grids[0].words(),
        "variables": [one for one in grids[0].variables(traces[0]) if one["name"] in variables],
        "maps": {name: arrays.add(_colours(name), "u1") for name in COLOURMAPS},
        "rules": [_rule(name) for name in panels[0]["exits"] if name in rules],
        "panels": panels,
        "arrays": arrays.described,
    }
    written = json.dumps(header, separators=(",", ":"), allow_nan=False).encode("ascii")
    return zlib.compress(len(written).to_bytes(4, "little") + written + b"".join(arrays.parts), 9)


def unpack_header(block: bytes) -> dict[str, Any]:
    """Read the header of a block, without its arrays."""
    raw = zlib.decompress(block)
    header: dict[str, Any] = json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])
    return header


class _Arrays:
    """Arrays of a block; the header names them by their place."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.described: list[tuple[str, int]] = []

    def add(self, values: Numbers, kind: str) -> int:
        flat = np.ascontiguousarray(values, dtype=f"<{kind}").ravel()
        sorted_bytes = flat.view(np.uint8).reshape(-1, flat.itemsize).T
        self.parts.append(sorted_bytes.tobytes())
        self.described.append((kind, flat.size))
        return len(self.parts) - 1

    def add_floats(self, values: Numbers, *, exact: bool) -> int:
        return self.add(values, "f4" if exact or not _fits_half(values) else "f2")


def _fits_half(values: Numbers) -> bool:
    wide = values[np.isfinite(values)].astype(np.float64)
    with np.errstate(over="ignore"):
        error = np.abs(wide.astype(np.float16).astype(np.float64) - wide)
    return bool((error <= np.maximum(_HALF * np.abs(wide), _TINY)).all())


def _panel(grid: Grid, trace: xr.Dataset, name: str, arrays: _Arrays) -> dict[str, Any]:
    rows, columns = grid.rows(trace), grid.columns(trace)
    panel = {
        "name": name,
        **rows,
        **columns,
        "limit": grid.limit_column(trace, columns["columns"]),
        "variables": {
            one["name"]: arrays.add_floats(grid.values(trace, one["name"]), exact=one["name"] == "distance")
            for one in grid.variables(trace)
        },
        "exits": {
            rule: arrays.add_floats(values, exact=True) for rule, values in grid.exit_values(trace).items()
        },
    }
    if {"readout_id", "readout_text", "readout_probability"} <= set(trace.variables):
        panel["readout"] = _readout(grid, trace, arrays)
    return panel


def _readout(grid: Grid, trace: xr.Dataset, arrays: _Arrays) -> dict[str, Any]:
    """Readouts as places in a table of distinct tokens, rank by rank: neighbours then resemble each other."""
    ids, texts, chances = (
        np.moveaxis(grid.ordered(trace, f"readout_{part}").values, -1, 0)
        for part in ("id", "text", "probability")
    )
    distinct, first, place = np.unique(ids, return_index=True, return_inverse=True)
    return {
        "ranks": ids.shape[0],
        "texts": [visible_token(str(text)) for text in texts.ravel()[first]],
        "missing": distinct.tolist().index(-1) if -1 in distinct else None,
        "place": arrays.add(place, "u2" if len(distinct) < 2**16 else "u4"),
        "probability": arrays.add_floats(chances, exact=False),
    }


def _rule(name: str) -> dict[str, Any]:
    rule = criteria.exit_rule(name)
    return {"name": name, "threshold": rule.threshold, "hits": rule.hits, "counts": rule.counts}


def _colours(name: str) -> Numbers:
    """Red, green and blue of 256 steps."""
    from matplotlib import colormaps

    return colormaps[name](np.arange(256), bytes=True)[:, :3]

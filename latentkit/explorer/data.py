"""The part of a trace that the browser needs, as one compressed block of bytes for widgets and pages.

A block is a zlib stream of four bytes of length, a header in JSON, and the arrays. The bytes of an array are
sorted by significance, which compresses floats better. Invisible characters of texts are replaced here.
static/trace/data.js reads the block.
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

#: Colour maps of matplotlib that an explorer offers; the published layer figure uses the last one.
COLOURMAPS = ("viridis", "cividis", "YlOrRd")

_HALF = 2.0**-10  # relative error up to which a number may be stored in 16 bits: three digits
_TINY = 1e-7  # absolute error that counts as rounding


def pack(traces: Sequence[xr.Dataset], names: Sequence[str]) -> bytes:
    """Pack one or two traces of one kind.

    Parameters
    ----------
    traces : sequence of Dataset
        One or two, of the same kind.
    names : sequence of str
        Titles; not shown for a single trace.

    Returns
    -------
    bytes
        Distances and the numbers of exit rules are stored in full precision, so that thresholds give the same
        results as in `latentkit.measure`; other numbers in 16 bits if that keeps three digits.

    Raises
    ------
    TraceError
        If a dataset is not a trace, or cannot be drawn as a picture of rows and columns.
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
        msg = f"These traces have no variable in common; they have {each}. Explore each by itself."
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
    """Arrays of a block; the header refers to them by index."""

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
        "untrained": grid.untrained_column(trace),
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
    """Return readouts as indices in a table of distinct tokens, ordered by rank, which compresses well."""
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
    """Return red, green and blue of 256 steps."""
    from matplotlib import colormaps

    return colormaps[name](np.arange(256), bytes=True)[:, :3]

"""Traces as grids of rows and columns: axes, labels and the variables that colour can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import TraceError
from latentkit.measure.exits import criterion_values, exit_criteria
from latentkit.measure.settling import limit_iteration
from latentkit.trace import check_trace, trace_kind
from latentkit.view.labels import visible_token
from latentkit.view.layers import bar_label, layer_names, select_layers
from latentkit.view.limits import SPAN
from latentkit.view.scale import choose_scale
from latentkit.view.selection import select_distance

__all__ = ["Grid", "grid_of"]

Numbers = np.ndarray[Any, Any]

_SHOWN = ("distance", "kl", "entropy", "step_size")
_LABELS = {"distance": "Distance", "kl": "KL", "entropy": "Entropy", "step_size": "Step size"}


@dataclass(frozen=True)
class Grid:
    """How traces of one kind are laid out as rows and columns.

    Attributes
    ----------
    name : str
        The kind, a key of `latentkit.trace.KINDS`.
    dims : (str, str)
        Rows and columns.
    texts : mapping
        Texts for the page: names of a row, a column and the axis; the initial colour map; and which token a
        readout predicts ("next", "own", or None without readouts).
    """

    name: str
    dims: tuple[str, str]
    texts: Mapping[str, Any]

    def words(self) -> dict[str, Any]:
        """Kind and texts of the axes."""
        return {"kind": self.name, **self.texts}

    def ordered(self, trace: xr.Dataset, name: str) -> xr.DataArray:
        """Return a variable with the rows first, then the columns."""
        return trace[name].transpose(*self.dims, ...)

    def rows(self, trace: xr.Dataset) -> dict[str, Any]:
        """Positions of the rows, their labels on the left and numbers on the right."""
        texts = [visible_token(str(text)) for text in trace["token_text"].values.tolist()]
        positions = trace[self.dims[0]].values.tolist()
        numbers = trace["position"].values.tolist() if "position" in trace.coords else positions
        return {"rows": positions, "labels": texts, "numbers": numbers}

    def columns(self, trace: xr.Dataset) -> dict[str, Any]:
        """Positions of the columns, with their labels where they are not numbers."""
        return {"columns": trace[self.dims[1]].values.tolist(), "columnLabels": None}

    def limit_column(self, trace: xr.Dataset, columns: list[int]) -> int | None:
        """Column of the limit, where the distance is 0 by construction."""
        limit = limit_iteration(trace)
        return columns.index(limit) if limit in columns and len(columns) > 1 else None

    def untrained_column(self, trace: xr.Dataset) -> int:
        """First column with more iterations than in training; -1 if there is none."""
        if "is_extrapolated" not in trace.variables or trace["is_extrapolated"].dims != (self.dims[1],):
            return -1
        beyond = trace["is_extrapolated"].values
        return int(beyond.argmax()) if beyond.any() else -1

    def variables(self, trace: xr.Dataset) -> list[dict[str, Any]]:
        """Variables that colour can show, with the label and units of their scale."""
        names = [name for name in _SHOWN if name in trace.variables]
        return [
            {
                "name": name,
                "label": _LABELS[name],
                "meaning": str(trace[name].attrs.get("long_name", "")),
                "units": str(trace[name].attrs.get("units", "")),
                "log": name != "entropy",
            }
            for name in names
        ]

    def values(self, trace: xr.Dataset, name: str) -> Numbers:
        """Numbers of one variable [row, column]."""
        values: Numbers = self.ordered(trace, name).values
        return values

    def exit_values(self, trace: xr.Dataset) -> dict[str, Numbers]:
        """Values of the exit criteria that the trace holds [row, column]."""
        return {
            name: criterion_values(trace, name).transpose(*self.dims).values for name in exit_criteria(trace)
        }


class _LayerGrid(Grid):
    """Layers as rows, generated tokens as columns."""

    def rows(self, trace: xr.Dataset) -> dict[str, Any]:
        layers, values = trace["layer"].values.tolist(), select_layers(trace)
        plain = not values["iteration"].values.any() and len(set(values["stack"].values.tolist())) == 1
        labels = [str(layer) for layer in layers] if plain else layer_names(values)
        return {"rows": layers, "labels": labels, "numbers": layers}

    def columns(self, trace: xr.Dataset) -> dict[str, Any]:
        count = trace.sizes["generated_token"]
        names = [f"Gen{column}" for column in range(count)]
        if trace["token_text"].ndim == 1:
            texts = [visible_token(str(text)) for text in trace["token_text"].values]
            names = [f"{name} “{text}”" for name, text in zip(names, texts, strict=True)]
        return {"columns": list(range(count)), "columnLabels": names}

    def variables(self, trace: xr.Dataset) -> list[dict[str, Any]]:
        name = str(trace.attrs.get("divergence", "kl"))
        units = str(trace.attrs.get("units", "nats"))
        units = "" if units == "1" else units
        meaning = str(trace.attrs.get("direction", ""))
        label = bar_label(trace).removesuffix(" (bits)")
        log = choose_scale(select_layers(trace).values) == "log"
        return [{"name": name, "label": label, "meaning": meaning, "units": units, "log": log, "span": SPAN}]

    def values(self, trace: xr.Dataset, name: str) -> Numbers:
        del name
        values: Numbers = select_layers(trace).values
        return values


_TRACE: dict[str, Any] = {
    "row": "Token", "rowPlural": "Tokens", "column": "Iteration", "axis": "Iterations at Test Time",
    "map": "viridis",
}  # fmt: skip
_RECURRENCE = Grid("recurrence", ("token", "iteration"), {**_TRACE, "predicts": "next"})
_DECODING = Grid("decoding", ("generated_token", "iteration"), {**_TRACE, "predicts": "own"})
_LAYERS = _LayerGrid(
    "layers",
    ("layer", "generated_token"),
    {
        "row": "Layer", "rowPlural": "Layers", "column": "Generated token", "axis": "Generated Token",
        "map": "YlOrRd", "predicts": None,
    },
)  # fmt: skip


_GRIDS = {grid.name: grid for grid in (_RECURRENCE, _DECODING, _LAYERS)}


def grid_of(trace: xr.Dataset) -> Grid:
    """Return the grid of a trace's kind.

    Raises
    ------
    TraceError
        If it is not a trace, is of a kind without a grid, is empty, or has more than two dimensions.
    """
    kind = trace_kind(check_trace(trace))
    if kind.name not in _GRIDS:
        msg = f"An explorer shows the kinds {', '.join(_GRIDS)}; this trace is of the kind {kind.name}."
        raise TraceError(msg)
    if kind.name == "layers":
        select_layers(trace)
    elif kind.name == "recurrence":
        select_distance(trace)
    elif 0 in (trace.sizes.get("generated_token", 0), trace.sizes.get("iteration", 0)):
        msg = f"This decoding is empty: {dict(trace.sizes)}. Run it again with at least one new token."
        raise TraceError(msg)
    return _GRIDS[kind.name]

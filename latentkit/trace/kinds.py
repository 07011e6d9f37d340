"""The kinds of traces: for each kind, its dimensions and variables in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

__all__ = ["KINDS", "Kind", "Variable", "build_trace"]

_FROM_ATTRS = {"divergence": "kl", "direction": "divergence", "units": "nats"}  # with their defaults


class Variable(NamedTuple):
    """One variable or coordinate of a trace.

    Attributes
    ----------
    dims : tuple of str
        Its dimensions.
    dtype : {"float", "int", "bool", "text"}
        Family of its dtype; numbers of any width.
    long_name : str
        Axis label in plots.
    units : str, optional
        Unit of its values.
    required : bool
        Whether every trace of the kind has it.
    coordinate : bool
        Whether it is a coordinate.
    leading : str, optional
        A dimension that precedes the others when there are several seeds or prompts.
    """

    dims: tuple[str, ...]
    dtype: str
    long_name: str
    units: str | None = None
    required: bool = False
    coordinate: bool = False
    leading: str | None = None

    @property
    def attrs(self) -> dict[str, str]:
        """The attributes ``long_name`` and ``units`` of an xarray variable."""
        units = {} if self.units is None else {"units": self.units}
        return {"long_name": self.long_name, **units}

    @property
    def all_dims(self) -> tuple[tuple[str, ...], ...]:
        """Every tuple of dimensions that it may have."""
        return (self.dims, *([(self.leading, *self.dims)] if self.leading else []))


class Kind(NamedTuple):
    """One kind of trace.

    Attributes
    ----------
    name : str
        The value of the attribute ``kind``.
    functions : tuple of str
        The functions that return such traces.
    table : mapping from str to Variable
        Its coordinates and variables. ``{divergence}``, ``{direction}`` and ``{units}`` stand for the values
        of these attributes of the trace.
    """

    name: str
    functions: tuple[str, ...]
    table: Mapping[str, Variable]

    @property
    def function(self) -> str:
        """The functions as words of a sentence."""
        *others, last = self.functions
        return f"{', '.join(others)} or {last}" if others else last

    def variables(self, attrs: Mapping[Any, Any]) -> dict[str, Variable]:
        """Return the table for a trace with these attributes."""

        def fill(text: str) -> str:
            for name, default in _FROM_ATTRS.items():
                text = text.replace(f"{{{name}}}", str(attrs.get(name, default)))
            return text

        return {
            fill(name): each._replace(long_name=fill(each.long_name), units=each.units and fill(each.units))
            for name, each in self.table.items()
        }


_TOKEN, _ITERATION, _NEW = ("token",), ("iteration",), ("generated_token",)
_CELL, _NEW_CELL, _BLOCK = (*_TOKEN, *_ITERATION), (*_NEW, *_ITERATION), ("lens", "iteration", "block")
_LAYER, _LAYER_CELL = ("layer",), ("layer", "generated_token")
_ENDS = ("start", "other_start", "token")


def _coordinate(dims: tuple[str, ...], dtype: str, long_name: str, **options: Any) -> Variable:
    return Variable(dims, dtype, long_name, coordinate=True, **options)


def _token_text(dims: tuple[str, ...], **options: Any) -> dict[str, Variable]:
    options["required"] = True
    return {
        "token_text": _coordinate(dims, "text", "token as decoded, unescaped", **options),
        "token_id": _coordinate(dims, "int", "number of the token in the vocabulary", **options),
    }


def _readout(cell: tuple[str, ...], what: str, reference: str, **options: Any) -> dict[str, Variable]:
    """Variables of a readout at every cell: the likeliest tokens, the entropy and the KL divergence."""
    needed = options.pop("required", False)
    return {
        "readout_id": Variable((*cell, "rank"), "int", what, required=needed, **options),
        "readout_text": Variable((*cell, "rank"), "text", what, **options),
        "readout_probability": Variable(
            (*cell, "rank"), "float", "probability of that token", required=needed, **options
        ),
        "entropy": Variable(cell, "float", "entropy of the readout", "nats", **options),
        "kl": Variable(cell, "float", f"KL({reference})", "nats", **options),
    }


def _watched(cell: tuple[str, ...]) -> dict[str, Variable]:
    """Coordinates and variables of the tokens given as ``watch``."""
    of = ("watched",)
    return {
        "watched": _coordinate(of, "int", "number of the watched token in the vocabulary"),
        "watched_text": _coordinate(of, "text", "watched token as decoded, unescaped"),
        "watched_rank": Variable((*cell, "watched"), "int", "rank of the watched token, from 0"),
        "watched_probability": Variable((*cell, "watched"), "float", "probability of the watched token"),
    }


_PASSES = _coordinate(_ITERATION, "int", "passes of the core block")
_POSITIONS = _coordinate(_TOKEN, "int", "position in the sequence")

_RECURRENCE = {
    "token": _POSITIONS,
    **_token_text(_TOKEN),
    "is_generated": _coordinate(_TOKEN, "bool", "whether the model wrote this token"),
    "iteration": _PASSES,
    "is_extrapolated": _coordinate(_ITERATION, "bool", "whether the model was trained at fewer iterations"),
    "seed": _coordinate(("seed",), "int", "seed of the initial state"),
    "distance": Variable(_CELL, "float", "‖s_i − s*‖", required=True, leading="seed"),
    "step_size": Variable(_CELL, "float", "‖s_i − s_{i−1}‖", required=True, leading="seed"),
    "step_cosine": Variable(_CELL, "float", "cosine of successive steps", leading="seed"),
    **_readout(
        _CELL, "likeliest next token if stopped here", "readout at the limit ‖ readout at i", leading="seed"
    ),
    "exit_probability": Variable(
        _CELL, "float", "probability that the loop ends here, if it has not ended before", leading="seed"
    ),
    "state": Variable((*_CELL, "hidden"), "float", "normalised latent state s_i", leading="seed"),
}

_DECODING = {
    "generated_token": _coordinate(_NEW, "int", "generated token"),
    "position": _coordinate(_NEW, "int", "position in the sequence"),
    **_token_text(_NEW),
    "iteration": _PASSES,
    "criterion": _coordinate(("criterion",), "text", "exit criterion"),
    "iterations_used": Variable(_NEW, "int", "iterations used", required=True),
    "stop_reason": Variable(_NEW, "text", "what ended the iterations"),
    "distance": Variable(_NEW_CELL, "float", "‖s_i − s_last‖"),
    **_readout(_NEW_CELL, "likeliest token if stopped here", "readout at the last iteration ‖ readout at i"),
    "exit_value": Variable(
        (*_NEW_CELL, "criterion"), "float", "what the exit criterion compares with its threshold"
    ),
    **_watched(_NEW_CELL),
}

_LENS = {
    "lens": _coordinate(("lens",), "text", "how a state is read out", required=True),
    "iteration": _PASSES,
    "block": _coordinate(("block",), "int", "block of the core"),
    **_readout(
        _BLOCK,
        "likeliest next token if read out here",
        "readout at the last iteration ‖ readout here",
        required=True,
    ),
    **_watched(_BLOCK),
}

# `long_name` and `units` of the divergence are the attributes `direction` and `units` of the trace.
_LAYERS = {
    "layer": _coordinate(_LAYER, "int", "Layer", required=True),
    "stack": _coordinate(_LAYER, "text", "stack of blocks"),
    "iteration": _coordinate(_LAYER, "int", "repetition of the stack"),
    "block": _coordinate(_LAYER, "int", "block of the stack"),
    "lens": _coordinate(_LAYER, "text", "how the layer's state is read out"),
    "generated_token": _coordinate(_NEW, "int", "Generated Token"),
    **_token_text(_NEW, leading="prompt"),
    "prompt": _coordinate(("prompt",), "int", "number of the prompt"),
    "{divergence}": Variable(_LAYER_CELL, "float", "{direction}", "{units}", required=True, leading="prompt"),
    "{divergence}_mean": Variable(_LAYER_CELL, "float", "{direction}", "{units}"),
    "{divergence}_low": Variable(_LAYER_CELL, "float", "{direction}", "{units}"),
    "{divergence}_high": Variable(_LAYER_CELL, "float", "{direction}", "{units}"),
}

_CONTRACTION = {
    "token": _POSITIONS,
    **_token_text(_TOKEN),
    "spectral_radius": Variable(
        _TOKEN, "float", "largest |eigenvalue| of the step at the limit", required=True
    ),
    "spread": Variable(_TOKEN, "float", "half the difference of two estimates"),
    "last_step": Variable(_TOKEN, "float", "‖s_n − s_{n−1}‖"),
}

_PATH_INDEPENDENCE = {
    "start": _coordinate(("start",), "text", "initial state"),
    "other_start": _coordinate(("other_start",), "text", "initial state it is compared with"),
    "token": _POSITIONS,
    **_token_text(_TOKEN),
    "cosine": Variable(_ENDS, "float", "cosine of the limits", required=True),
    "distance": Variable(_ENDS, "float", "distance of the limits", required=True),
    "alignment": Variable(_TOKEN, "float", "mean cosine of limits from different starts"),
    "last_step": Variable(("start", "token"), "float", "‖s_n − s_{n−1}‖"),
}

_TASK = ("task",)

_PROBLEMS = {
    "task": _coordinate(_TASK, "text", "kind of problem and number of steps"),
    "kind": _coordinate(_TASK, "text", "kind of problem"),
    "steps": _coordinate(_TASK, "int", "number of steps"),
    "iteration": _PASSES,
    "right": Variable((*_TASK, *_ITERATION), "int", "problems answered right", required=True),
    "problems": Variable(_TASK, "int", "number of problems", required=True),
    "commonest": Variable(_TASK, "int", "problems whose answer is the most common one"),
}

#: Every kind of trace by its name, the value of the attribute ``kind``.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("recurrence", ("run_recurrence",), _RECURRENCE),
        Kind("decoding", ("run_decoding",), _DECODING),
        Kind("lens", ("run_lens",), _LENS),
        Kind("layers", ("run_layer_effect", "run_layer_lens", "run_layer_difference"), _LAYERS),
        Kind("contraction", ("run_local_contraction",), _CONTRACTION),
        Kind("path_independence", ("run_path_independence",), _PATH_INDEPENDENCE),
        Kind("problems", ("run_problems",), _PROBLEMS),
        Kind("sweep", ("run_sweep",), {}),  # the table of the kind that its attribute ``of`` names
    )
}


def build_trace(kind: str, arrays: Mapping[str, Any], attrs: Mapping[str, Any]) -> xr.Dataset:
    """Return a trace of a kind from bare arrays.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    arrays : mapping from str to array
        Values by name; dimensions, order, ``long_name`` and ``units`` come from the kind's table. An array
        with one dimension more has the leading dimension of its variable.
    attrs : mapping
        Attributes of the trace beside ``kind``.

    Returns
    -------
    Dataset
        With the attribute ``kind``.
    """
    table = KINDS[kind].variables(attrs)
    assert arrays.keys() <= table.keys(), sorted(arrays.keys() - table.keys())
    parts: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for name, variable in table.items():
        if name in arrays:
            dims = next(dims for dims in variable.all_dims if len(dims) == np.ndim(arrays[name]))
            parts[variable.coordinate][name] = (dims, arrays[name], variable.attrs)
    return xr.Dataset(parts[False], coords=parts[True], attrs={"kind": kind, **attrs})

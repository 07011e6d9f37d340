"""The result of `run_layer_kl`: values in their unit, under their labels."""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ModelError
from latentkit.models.depth import UnrolledHuginn
from latentkit.models.unrolled import Layer, UnrolledModel
from latentkit.run.layers.arguments import Asked
from latentkit.run.layers.interval import mean_interval
from latentkit.run.prompting import token_texts
from latentkit.trace import COORDS, LAYERS

__all__ = ["describing_attrs", "finished_values", "layer_dataset"]


def finished_values(values: Tensor, asked: Asked, name: str, *, complete: bool) -> np.ndarray[Any, Any]:
    """Clamp what rounding made negative, refuse what is not finite, turn into units."""
    wrong = ~torch.isfinite(values)
    if asked.reference != "final" or not complete:
        wrong &= ~torch.isnan(values).all(1, keepdim=True)
    if wrong.any():
        msg = (
            f"The predictions of {name} are not finite. The weights hold NaN or overflow: load the model "
            "again, or with dtype='float32'."
        )
        raise ModelError(msg)
    found = np.asarray(values.clamp(min=0).numpy() / (math.log(2) if asked.units == "bits" else 1.0))
    return found.astype(np.float32)


def describing_attrs(asked: Asked, unrolled: UnrolledModel) -> dict[str, str | int]:
    """Say in the attributes which of the three definitions, in which direction and unit, this is."""
    p, q = {
        "effect": ("clean", "intervened"),
        "lens": (asked.reference.replace("_", " "), "layer"),
        "two_runs": ("this run", "other run"),
    }[asked.definition]
    measured = criteria.DIVERGENCES[asked.divergence]
    name = asked.do if isinstance(asked.do, str) else getattr(asked.do, "__name__", "function")
    words: dict[str, str | int] = {
        "definition": asked.definition,
        "divergence": asked.divergence,
        "direction": measured.formula.format(p=p, q=q),
        "units": asked.units if measured.logarithmic else "1",
        "layers_of_model": str(len(unrolled.layers)),
    }
    if asked.definition == "effect":
        words["do"] = name
    elif asked.definition == "lens":
        words["reference"] = asked.reference
    if isinstance(unrolled, UnrolledHuginn):
        words["iterations"] = unrolled.iterations
    return words


def layer_dataset(
    values: np.ndarray[Any, Any],
    *,
    tokenizer: Any,
    layers: list[Layer],
    sequences: list[list[int]],
    asked: Asked,
    attrs: dict[str, Any],
    several: bool,
) -> xr.Dataset:
    """Label everything."""
    tokens = ("prompt", "generated_token") if several else ("generated_token",)
    texts = np.array([token_texts(tokenizer, new) for new in sequences], dtype=object)
    ids = np.array(sequences, dtype=np.int64)
    columns = [np.array(column) for column in zip(*map(astuple, layers), strict=True)]
    names = ("layer", "stack", "iteration", "block", "lens")
    coords: dict[str, Any] = {
        name: (("layer",), column.astype(object) if column.dtype.kind == "U" else column, LAYERS[name].attrs)
        for name, column in zip(names, columns, strict=True)
    }
    if asked.definition == "effect":
        del coords["lens"]
    coords["generated_token"] = (
        ("generated_token",),
        np.arange(ids.shape[1]),
        LAYERS["generated_token"].attrs,
    )
    coords["token_text"] = (tokens, texts if several else texts[0], COORDS["token_text"].attrs)
    coords["token_id"] = (tokens, ids if several else ids[0], COORDS["token_id"].attrs)
    name, about = asked.divergence, {"long_name": attrs["direction"], "units": attrs["units"]}
    cell = ("layer", "generated_token")
    if not several:
        return xr.Dataset({name: (cell, values[0], about)}, coords=coords, attrs=attrs)
    mean, low, high = mean_interval(values)
    summary = {f"{name}_mean": mean, f"{name}_low": low, f"{name}_high": high}
    variables: dict[str, Any] = {name: (("prompt", *cell), values, about)}
    variables |= {key: (cell, part, about) for key, part in summary.items()}
    coords["prompt"] = np.arange(len(values))
    return xr.Dataset(variables, coords=coords, attrs=attrs)

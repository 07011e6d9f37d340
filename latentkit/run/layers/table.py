"""The dataset of a comparison of layers: values in their unit, with labels and attributes."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ModelError
from latentkit.measure import mean_interval
from latentkit.models.layered.unrolled import Layer
from latentkit.run.prompting import token_texts
from latentkit.trace import build_trace

__all__ = ["Definition", "finished_values", "layer_dataset"]


@dataclass(frozen=True)
class Definition:
    """Which question a comparison answers.

    Attributes
    ----------
    name : str
        "effect", "lens" or "difference".
    reference, approximation : str
        Words for the two predictions, in the order KL(reference ‖ approximation).
    attrs : dict
        Arguments that only this definition has.
    blank_rows : bool
        Whether a layer may have no value: its row is then NaN.
    """

    name: str
    reference: str
    approximation: str
    attrs: dict[str, str] = field(default_factory=dict)
    blank_rows: bool = False

    def describe(self, divergence: str, units: str) -> dict[str, str]:
        """Return the attributes that state definition, direction and unit."""
        measured = criteria.DIVERGENCES[divergence]
        return {
            "definition": self.name,
            "divergence": divergence,
            "direction": measured.formula.format(p=self.reference, q=self.approximation),
            "units": units if measured.logarithmic else "1",
            **self.attrs,
        }


def finished_values(values: Tensor, units: str, name: str, *, blank_rows: bool) -> np.ndarray[Any, Any]:
    """Set what rounding made negative to 0, refuse what is not finite, convert to the unit."""
    wrong = ~torch.isfinite(values)
    if blank_rows:
        wrong &= ~torch.isnan(values).all(1, keepdim=True)
    if wrong.any():
        msg = (
            f"The predictions of {name} are not finite. The weights hold NaN or overflow: load the model "
            "again, or with dtype='float32'."
        )
        raise ModelError(msg)
    found = np.asarray(values.clamp(min=0).numpy() / (math.log(2) if units == "bits" else 1.0))
    return found.astype(np.float32)


def layer_dataset(
    values: np.ndarray[Any, Any],
    *,
    tokenizer: Any,
    layers: list[Layer],
    sequences: list[list[int]],
    attrs: dict[str, Any],
    several: bool,
) -> xr.Dataset:
    """Build the dataset from values [prompt, layer, generated_token]."""
    arrays = {**_layer_coords(layers), **_token_coords(tokenizer, sequences, several=several)}
    if attrs["definition"] == "effect":
        del arrays["lens"]
    name = attrs["divergence"]
    arrays[name] = values if several else values[0]
    if several:
        found = mean_interval(xr.DataArray(values, dims=("prompt", "layer", "generated_token")), "prompt")
        arrays |= {f"{name}_{part}": found[part].values for part in ("mean", "low", "high")}
        arrays["prompt"] = np.arange(len(values))
    return build_trace("layers", arrays, attrs)


def _layer_coords(layers: list[Layer]) -> dict[str, Any]:
    columns = [np.array(column) for column in zip(*map(astuple, layers), strict=True)]
    names = ("layer", "stack", "iteration", "block", "lens")
    return {
        name: column.astype(object) if column.dtype.kind == "U" else column
        for name, column in zip(names, columns, strict=True)
    }


def _token_coords(tokenizer: Any, sequences: list[list[int]], *, several: bool) -> dict[str, Any]:
    texts = np.array([token_texts(tokenizer, new) for new in sequences], dtype=object)
    ids = np.array(sequences, dtype=np.int64)
    return {
        "generated_token": np.arange(ids.shape[1]),
        "token_text": texts if several else texts[0],
        "token_id": ids if several else ids[0],
    }

"""Pictures of layers: their values in a row order, the label of their colour scale, and their alt text."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError, TraceError
from latentkit.view.labels import quoted
from latentkit.view.selection import need_kind

__all__ = [
    "bar_label",
    "describe_layer_kl",
    "describe_layer_profile",
    "in_order",
    "layer_names",
    "select_layers",
]

_RUNS = "`run_layer_effect`, `run_layer_lens` or `run_layer_difference`"
_NAMES = {"kl": "KL", "reverse_kl": "Reverse KL", "js": "JS", "total_variation": "TV", "entropy": "Entropy"}


def select_layers(result: xr.Dataset, *, mask_zero: bool = False) -> xr.DataArray:
    """Select the values that a picture shows [layer, generated_token]; for several prompts their mean.

    Raises
    ------
    TraceError
        If the dataset is not a comparison of layers.
    ArgumentError
        If ``mask_zero`` is True and the dataset has no intervals.
    """
    if not isinstance(result, xr.Dataset):
        msg = f"Expected a result (an xarray.Dataset) from {_RUNS}, got {type(result).__name__}."
        raise TraceError(msg)
    need_kind(result, "layers")
    name = str(result.attrs.get("divergence", "kl"))
    needed = (name, "layer", "iteration", "generated_token", "token_text")
    if missing := [part for part in needed if part not in result.variables]:
        msg = (
            f"The dataset has no {missing[0]!r}; it has {sorted(map(str, result.variables))}. "
            f"Pass a dataset from {_RUNS}."
        )
        raise TraceError(msg)
    shown = f"{name}_mean" if "prompt" in result[name].dims else name
    values = result[shown]
    if set(values.dims) != {"layer", "generated_token"} or 0 in values.shape:
        msg = (
            f"Expected {shown!r} over ('layer', 'generated_token') with at least one of each, got "
            f"{dict(values.sizes)}. Keep these two dimensions, as in `result.isel(layer=[0])`."
        )
        raise TraceError(msg)
    if mask_zero:
        if f"{name}_low" not in result:
            msg = "`mask_zero` needs intervals over prompts. Pass several prompts to the run."
            raise ArgumentError(msg)
        values = values.where(result[f"{name}_low"] > 0)
    return values.transpose("layer", "generated_token").astype(float)


def in_order(values: xr.DataArray, sort: str | None) -> xr.DataArray:
    """Sort the rows by layer ("layer") or by decreasing mean ("score"); None keeps their order."""
    if sort == "layer":
        return values.isel(layer=np.argsort(values["layer"].values, kind="stable"))
    if sort == "score":
        known = np.isfinite(values.values)
        total = np.where(known, values.values, 0.0).sum(1)
        score = np.where(known.any(1), total / np.maximum(known.sum(1), 1), -np.inf)
        return values.isel(layer=np.argsort(-score, kind="stable"))
    return values


def layer_names(values: xr.DataArray) -> list[str]:
    """Return the stack, iteration and block of each layer, as in "core 3.1".

    Examples
    --------
    >>> layer = {"stack": ["prelude", "core"], "iteration": [0, 3], "block": [0, 1]}
    >>> layer_names(xr.DataArray([0, 6], dims="layer", coords={k: ("layer", v) for k, v in layer.items()}))
    ['prelude', 'core 3.1']
    """
    columns = [values[name].values.tolist() for name in ("stack", "iteration", "block")]
    rows = list(zip(*columns, strict=True))
    several = {stack for stack, _, block in rows if block > 0}
    names = []
    for stack, iteration, block in rows:
        number = ".".join(
            [*([str(iteration)] if iteration else []), *([str(block)] if stack in several else [])]
        )
        names.append(f"{stack} {number}".strip())
    return names


def bar_label(result: xr.Dataset) -> str:
    """Return the label of the colour scale: "KL" as in the published figure, with the unit if it is bits."""
    name = str(result.attrs.get("divergence", "kl"))
    label = _NAMES.get(name, name)
    return f"{label} (bits)" if result.attrs.get("units") == "bits" else label


def describe_layer_kl(
    result: xr.Dataset, *, sort: str | None = None, mask_zero: bool = False, scale: str = "linear"
) -> str:
    """Return the alt text of `plot_layer_kl`.

    Parameters
    ----------
    result : Dataset
        From ``run_layer_effect``, ``run_layer_lens`` or ``run_layer_difference``.
    sort, mask_zero, scale
        As for `plot_layer_kl`; the scale is mentioned if it is logarithmic.

    Returns
    -------
    str
        The type of figure, the order of the rows, the range of the values, and the cell of the largest.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_layer_kl`.
    """
    values = in_order(select_layers(result, mask_zero=mask_zero), sort)
    colour = ", colour on a logarithmic scale" if scale == "log" else ""
    return (
        f"Heatmap of {_quantity(result)}: {_layers(values)} from top to bottom, generated tokens "
        f"{_tokens(values)} from left to right{colour}. {_range(result, values)}"
    )


def describe_layer_profile(result: xr.Dataset) -> str:
    """Return the alt text of `plot_layer_profile`."""
    values = in_order(select_layers(result), "layer")
    return (
        f"Lines of {_quantity(result)} over {_layers(values)}, one line for each generated token "
        f"{_tokens(values)}. {_range(result, values)}"
    )


def _quantity(result: xr.Dataset) -> str:
    units = str(result.attrs.get("units", "nats")).replace("1", "no unit")
    return f"{result.attrs.get('direction', bar_label(result))} in {units}"


def _layers(values: xr.DataArray) -> str:
    layers = values["layer"].values.tolist()
    order = ", ".join(map(str, layers)) if len(layers) <= 12 else f"{layers[0]} … {layers[-1]}"
    return f"{len(layers)} layers {order}" if len(layers) > 1 else f"layer {order}"


def _tokens(values: xr.DataArray) -> str:
    numbers = values["generated_token"].values.tolist()
    return f"Gen{numbers[0]} to Gen{numbers[-1]}" if len(numbers) > 1 else f"Gen{numbers[0]}"


def _range(result: xr.Dataset, values: xr.DataArray) -> str:
    """Return the range of the values and the cell of the largest."""
    known = values.values[np.isfinite(values.values)]
    if not known.size:
        return "No value is known."
    row, column = np.unravel_index(np.nanargmax(values.values), values.shape)
    where = f"layer {values['layer'].values[row]} at Gen{values['generated_token'].values[column]}"
    if result["token_text"].ndim == 1:
        where += f" {quoted(str(result['token_text'].values[column]))}"
    return f"Values range from {known.min():.3g} to {known.max():.3g}; the largest is {where}."

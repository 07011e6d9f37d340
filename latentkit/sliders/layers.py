"""Sliders over comparisons of layers: iterations of the model, layers, and generated tokens."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.plot.layers import plot_layer_kl
from latentkit.sliders.controls import image, range_slider, stacked, wide
from latentkit.view.layers import select_layers
from latentkit.view.scale import ScaleName, colour_scale

__all__ = ["layer_sliders"]


def layer_sliders(
    results: list[xr.Dataset],
    *,
    scale: ScaleName | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> widgets.VBox:
    """Return `plot_layer_kl` below two sliders; several results add the slider "Iterations"."""
    by_iterations = _by_iterations(results)
    results = list(by_iterations.values())
    values = np.concatenate([select_layers(result).values.ravel() for result in results])
    colours = colour_scale(values, scale, vmin=vmin, vmax=vmax)
    depth = widgets.SelectionSlider(
        options=list(by_iterations), value=max(by_iterations), description="Iterations", layout=wide()
    )
    layers, tokens = _span("Layers", results, "layer"), _span("Tokens", results, "generated_token")

    def draw() -> str:
        whole = by_iterations[depth.value]
        rows = _between(whole, "layer", layers.value)
        if not rows.any():
            return _no_layer(whole, depth.value, layers.value)
        columns = _between(whole, "generated_token", tokens.value)
        part = whole.isel(layer=np.flatnonzero(rows), generated_token=np.flatnonzero(columns))
        return image(plot_layer_kl(part, scale=colours.name, vmin=colours.low, vmax=colours.high))

    sliders = [depth, layers, tokens] if len(results) > 1 else [layers, tokens]
    return stacked(draw, *sliders)


def _by_iterations(results: list[xr.Dataset]) -> dict[int, xr.Dataset]:
    """Return results by their model's number of iterations; a single one need not have it."""
    if len(results) == 1:
        return {int(results[0].attrs.get("iterations", 0)): results[0]}
    for name in ("model", "direction", "units"):
        found = list(dict.fromkeys(str(result.attrs.get(name)) for result in results))
        if len(found) > 1:
            msg = (
                f"The results differ in {name!r}: {' and '.join(map(repr, found))}. Pass results that differ "
                "only in iterations=."
            )
            raise ArgumentError(msg)
    counts = [result.attrs.get("iterations", 0) for result in results]
    if 0 in counts or len(set(counts)) < len(counts):
        msg = (
            f"Each of several results needs another number of iterations; got {counts}. Run a "
            "recurrent-depth model with different iterations=, or pass one result."
        )
        raise ArgumentError(msg)
    return dict(sorted(zip(counts, results, strict=True)))


def _span(name: str, results: list[xr.Dataset], dim: str) -> widgets.IntRangeSlider:
    """Return a range slider over the positions of all results."""
    first = min(int(result[dim].min()) for result in results)
    last = max(int(result[dim].max()) for result in results)
    return range_slider(name, (first, last), first, last)


def _no_layer(result: xr.Dataset, iterations: int, ends: tuple[int, int]) -> str:
    """Return a message for a range of layers that contains none."""
    first, last = ends
    layers = sorted(result["layer"].values.tolist())
    if first > layers[-1]:
        why = f"With {iterations} iterations the last layer is {layers[-1]}; "
        why += f"there is none from {first} to {last}."
    else:
        why = f"This result has no layer from {first} to {last}; it has {', '.join(map(str, layers))}."
    return f"<p>{why} Move the slider “Layers”.</p>"


def _between(result: xr.Dataset, dim: str, ends: tuple[int, int]) -> np.ndarray[Any, Any]:
    positions = result[dim].values
    return np.asarray((positions >= ends[0]) & (positions <= ends[1]))

"""Sliders over comparisons of layers: which layers, which generated tokens, and how deep the model runs."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.plot.layers import plot_layer_kl
from latentkit.sliders.controls import image, redrawn, wide
from latentkit.view.layers import layer_kl_limits, select_layers

__all__ = ["slide_layer_kl"]


def slide_layer_kl(
    results: xr.Dataset | Sequence[xr.Dataset], *, limits: tuple[float, float] | None = None
) -> widgets.VBox:
    """Draw `plot_layer_kl` with sliders: how many iterations the model runs, which layers, which tokens.

    Parameters
    ----------
    results : Dataset or sequence of Dataset
        From ``run_layer_effect`` and its relatives. Several of one recurrent-depth model, with other
        ``iterations=`` each,
        add the slider "Iterations".
    limits : (float, float), optional
        Values at the two ends of the colour scale; by default the smallest and the largest of all results. A
        colour means the same at every position of the sliders.

    Returns
    -------
    VBox
        The sliders, among them "Layers" and "Tokens", above the picture. All work with the arrow keys.

    Raises
    ------
    TraceError
        If a result is no comparison of layers.
    ArgumentError
        If there is none, or several that do not belong together.

    Notes
    -----
    Rows keep the order in which the layers were asked for. A notebook without a kernel shows no widget: end
    the next cell with `plot_layer_kl`.
    """
    by_iterations = _by_iterations([results] if isinstance(results, xr.Dataset) else list(results))
    every = list(by_iterations.values())
    low, high = limits if limits is not None else layer_kl_limits(*every)
    depth = widgets.SelectionSlider(
        options=list(by_iterations), value=max(by_iterations), description="Iterations", layout=wide()
    )
    layers = _span("Layers", every, "layer")
    tokens = _span("Tokens", every, "generated_token")

    def draw() -> str:
        whole = by_iterations[depth.value]
        rows = _between(whole, "layer", layers.value)
        if not rows.any():
            return _nothing_there(whole, depth.value, layers.value)
        columns = _between(whole, "generated_token", tokens.value)
        part = whole.isel(layer=np.flatnonzero(rows), generated_token=np.flatnonzero(columns))
        return image(plot_layer_kl(part, limits=(low, high)))

    sliders = [depth, layers, tokens] if len(every) > 1 else [layers, tokens]
    return redrawn(draw, *sliders)


def _by_iterations(results: list[xr.Dataset]) -> dict[int, xr.Dataset]:
    """Sort results by their model's iterations; one alone need not have any."""
    if not results:
        msg = "`slide_layer_kl` needs at least one comparison of layers, got none."
        raise ArgumentError(msg)
    for result in results:
        select_layers(result)
    if len(results) == 1:
        return {int(results[0].attrs.get("iterations", 0)): results[0]}
    for name in ("model", "direction", "units"):
        found = list(dict.fromkeys(str(result.attrs.get(name)) for result in results))
        if len(found) > 1:
            msg = (
                f"The results differ in {name!r}: {' and '.join(map(repr, found))}. Pass results that differ "
                "in iterations= alone."
            )
            raise ArgumentError(msg)
    counts = [result.attrs.get("iterations", 0) for result in results]
    if 0 in counts or len(set(counts)) < len(counts):
        msg = (
            f"Several results need a number of iterations each, all of them different; got {counts}. Run a "
            "recurrent-depth model with other iterations= for each, or pass one result."
        )
        raise ArgumentError(msg)
    return dict(sorted(zip(counts, results, strict=True)))


def _span(name: str, results: list[xr.Dataset], dim: str) -> widgets.IntRangeSlider:
    """Make a slider with two handles over all positions that any result has."""
    first = min(int(result[dim].min()) for result in results)
    last = max(int(result[dim].max()) for result in results)
    return widgets.IntRangeSlider(value=(first, last), min=first, max=last, description=name, layout=wide())


def _nothing_there(result: xr.Dataset, iterations: int, ends: tuple[int, int]) -> str:
    """Say why there is nothing to draw, and what to do."""
    first, last = ends
    there = sorted(result["layer"].values.tolist())
    if first > there[-1]:
        why = f"With {iterations} iterations there is no layer from {first} to {last}: the last one is layer "
        why += f"{there[-1]}."
    else:
        listed = ", ".join(map(str, there))
        why = f"Of layers {first} to {last} none is in this result; it has {listed}."
    return f"<p>{why} Move the slider “Layers”.</p>"


def _between(result: xr.Dataset, dim: str, ends: tuple[int, int]) -> np.ndarray:
    positions = result[dim].values
    return np.asarray((positions >= ends[0]) & (positions <= ends[1]))

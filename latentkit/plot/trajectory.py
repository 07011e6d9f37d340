"""Latent states on their way, in the two or three directions in which they vary most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from latentkit.errors import ArgumentError
from latentkit.measure import principal_components
from latentkit.plot.alt import AltFigure, set_alt_text
from latentkit.plot.rows import need_axes
from latentkit.view.labels import font_characters, led_label
from latentkit.view.selection import chosen

__all__ = ["plot_trajectory"]

_NAMED = 10


def plot_trajectory(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    iterations: slice | None = None,
    components: Sequence[int] = (1, 2),
    ax: Axes | None = None,
) -> Axes:
    """Draw the way of each token's latent state through two or three principal components.

    Parameters
    ----------
    trace : Dataset
        A trace run with ``keep_states=True``, or what `measure.principal_components` made of one (several
        figures then share one fit). They are fitted to all tokens and iterations, whatever is drawn.
    tokens, iterations : slice, optional
        As for `plot_convergence`.
    components : sequence of int, optional
        Two for a flat picture, three for one in space; 1 is PC1.
    ax : Axes, optional
        Where to draw; for three components axes with ``projection="3d"``. By default a new figure.

    Returns
    -------
    Axes
        One line and one set of points for each token (and seed); the colour of a point is its iteration, from
        dark to light, and the last one has a ring. Up to ten tokens have their texts beside the end.

    Raises
    ------
    TraceError
        If the trace has no states.
    ArgumentError
        If a slice takes nothing, or there are no such components.
    """
    need_axes(ax)
    wanted = _components(components)
    fitted = (
        trace
        if "score" in getattr(trace, "variables", ())
        else principal_components(trace, components=max(wanted))
    )
    if max(wanted) > fitted.sizes["component"]:
        msg = f"`components` asks for PC{max(wanted)}, but only {fitted.sizes['component']} were fitted."
        raise ArgumentError(msg)
    score = _selected(fitted, tokens, iterations).sel(component=wanted)
    if ax is None:
        ax = _new_axes(len(wanted))
    if len(wanted) == 3 and ax.name != "3d":
        msg = 'Three components need axes made with projection="3d". Pass such axes, or two components.'
        raise ArgumentError(msg)
    points, canvas = None, cast("Any", ax)  # axes in space take a third coordinate
    passes = score["iteration"].values
    colours: dict[str, Any] = {"cmap": "viridis", "vmin": passes[0], "vmax": passes[-1]}
    if len(wanted) == 3:
        colours["depthshade"] = False  # the colour says the iteration and nothing else
    for way in score.stack(
        way=[dim for dim in score.dims if dim not in ("iteration", "component")]
    ).transpose("way", "component", "iteration"):
        places: Any = list(way.values)
        canvas.plot(*places, color="0.75", linewidth=0.8, zorder=1)
        points = canvas.scatter(*places, c=passes, s=12, zorder=2, **colours)
        ends: Any = [[place[-1]] for place in places]
        canvas.scatter(*ends, c=passes[-1:], s=40, edgecolors="black", zorder=3, **colours)
    _name_ends(ax, score)
    if points is not None:
        ax.figure.colorbar(points, ax=ax, label="Iteration", pad=0.12 if len(wanted) == 3 else 0.03)
    for axis, number in zip("xyz", wanted, strict=False):
        share = float(fitted["explained"].sel(component=number))
        getattr(ax, f"set_{axis}label")(f"PC{number} ({100 * share:.0f} % of the variance)")
    set_alt_text(ax, _words(score, wanted, fitted))
    return ax


def _components(given: Any) -> list[int]:
    numbers = list(given) if isinstance(given, Sequence) else []
    whole = all(isinstance(number, (int, np.integer)) and number >= 1 for number in numbers)
    if len(numbers) not in (2, 3) or not whole or len(set(numbers)) < len(numbers):
        msg = f"`components` must be two or three different numbers from 1, such as (1, 2), got {given!r}."
        raise ArgumentError(msg)
    return numbers


def _selected(fitted: xr.Dataset, tokens: slice | None, iterations: slice | None) -> xr.DataArray:
    score = fitted["score"]
    for name, wanted in (("token", tokens), ("iteration", iterations)):
        if wanted is not None:
            score = score.isel({name: chosen(f"{name}s", wanted, score[name].values)})
    return score


def _new_axes(count: int) -> Axes:
    size = (7.0, 5.6) if count == 3 else (7.0, 4.8)
    figure = plt.figure(figsize=size, FigureClass=AltFigure, layout="constrained")
    # In space, too, the rings are drawn over the points: not by depth.
    space: dict[str, Any] = {"projection": "3d", "computed_zorder": False} if count == 3 else {}
    ax: Axes = figure.add_subplot(**space)
    return ax


def _name_ends(ax: Any, score: xr.DataArray) -> None:
    if score.sizes["token"] > _NAMED or "token_text" not in score.coords:
        return
    if ax.name != "3d":
        ax.margins(x=0.1)  # a text beside the rightmost end has its place too
    ends = score.isel(iteration=-1)
    ends = ends.isel(seed=0) if "seed" in ends.dims else ends
    characters = font_characters()
    for end in ends.transpose("token", "component"):
        label = led_label("  ", str(end["token_text"].item()), characters)
        text = ax.text(*end.values, label, fontsize=8)
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_clip_on(True)


def _words(score: xr.DataArray, components: list[int], fitted: xr.Dataset) -> str:
    names = " and ".join([", ".join(f"PC{number}" for number in components[:-1]), f"PC{components[-1]}"])
    first, last = score["iteration"].values[[0, -1]].tolist()
    share = 100 * float(fitted["explained"].sel(component=components).sum())
    steps = (score.diff("iteration") ** 2).sum("component") ** 0.5
    text = (
        f"Paths of the latent states of {score.sizes['token']} token{'s'[: score.sizes['token'] - 1]} over "
        f"{names}, which hold "
        f"{share:.0f} % of the variance; colour is the iteration, from {first} to {last}."
    )
    if first == last:
        return text
    begin, end = (float(steps.isel(iteration=i).median()) for i in (0, -1))
    return f"{text} The median step goes from {begin:.3g} at the beginning to {end:.3g} at the end."

"""Trajectories of latent states in the two or three directions in which they vary most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from latentkit.errors import ArgumentError
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.fonts import font_characters
from latentkit.plot.drawing.rows import as_data, need_axes
from latentkit.view.labels import prefixed_label
from latentkit.view.selection import select_tokens
from latentkit.view.trajectory import check_components, fit_components

__all__ = ["plot_trajectory"]

_MOST_NAMED = 10


def plot_trajectory(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    components: Sequence[int] = (1, 2),
    ax: Axes | None = None,
) -> Axes:
    """Draw the trajectory of each token's latent state in two or three principal components.

    Parameters
    ----------
    trace : Dataset
        A trace run with ``keep_states=True``, or its `measure.principal_components`, so that several figures
        share one fit. The components are fitted to all tokens and iterations of the trace.
    tokens : slice, optional
        As for `plot_convergence`.
    components : sequence of int, optional
        Two components, or three for a 3D plot; 1 is PC1.
    ax : Axes, optional
        Axes to draw in; for three components with ``projection="3d"``. By default a new figure.

    Returns
    -------
    Axes
        Axes with one line and one set of points per token (and seed). The colour of a point is its iteration,
        from dark to light, and the last point has a ring. Up to ten tokens have their text beside it.

    Raises
    ------
    TraceError
        If the trace has no states.
    ArgumentError
        If ``tokens`` selects nothing, or there are no such components.
    """
    need_axes(ax)
    numbers = check_components(components)
    fitted = fit_components(trace, numbers)
    score = select_tokens(fitted["score"], tokens).sel(component=numbers)
    if ax is None:
        ax = _new_axes(len(numbers))
    if len(numbers) == 3 and ax.name != "3d":
        msg = 'Three components need axes made with projection="3d". Pass such axes, or two components.'
        raise ArgumentError(msg)
    points = _draw(ax, score)
    _label_ends(ax, score)
    ax.figure.colorbar(points, ax=ax, label="Iteration", pad=0.12 if len(numbers) == 3 else 0.03)
    for axis, number in zip("xyz", numbers, strict=False):
        share = float(fitted["explained"].sel(component=number))
        getattr(ax, f"set_{axis}label")(f"PC{number} ({100 * share:.0f} % of the variance)")
    set_alt_text(ax, _describe(score, numbers, fitted))
    return ax


def _draw(ax: Axes, score: xr.DataArray) -> Any:
    canvas, points = cast("Any", ax), None  # 3D axes take a third coordinate
    iterations = score["iteration"].values
    style: dict[str, Any] = {"cmap": "viridis", "vmin": iterations[0], "vmax": iterations[-1]}
    if score.sizes["component"] == 3:
        style["depthshade"] = False  # it would change the colours
    paths = [dim for dim in score.dims if dim not in ("iteration", "component")]
    for path in score.stack(path=paths).transpose("path", "component", "iteration"):
        places: Any = list(path.values)
        canvas.plot(*places, color="0.75", linewidth=0.8, zorder=1)
        points = canvas.scatter(*places, c=iterations, s=12, zorder=2, **style)
        ends: Any = [[place[-1]] for place in places]
        canvas.scatter(*ends, c=iterations[-1:], s=40, edgecolors="black", zorder=3, **style)
    return points


def _new_axes(count: int) -> Axes:
    size = (7.0, 5.6) if count == 3 else (7.0, 4.8)
    figure = plt.figure(figsize=size, FigureClass=AltFigure, layout="constrained")
    # Without `computed_zorder` 3D axes, too, draw the rings over the points.
    options: dict[str, Any] = {"projection": "3d", "computed_zorder": False} if count == 3 else {}
    ax: Axes = figure.add_subplot(**options)
    return ax


def _label_ends(ax: Any, score: xr.DataArray) -> None:
    if score.sizes["token"] > _MOST_NAMED or "token_text" not in score.coords:
        return
    if ax.name != "3d":
        ax.margins(x=0.1)  # room for the text at the right end
    ends = score.isel(iteration=-1)
    ends = ends.isel(seed=0) if "seed" in ends.dims else ends
    characters = font_characters()
    for end in ends.transpose("token", "component"):
        label = prefixed_label("  ", str(end["token_text"].item()), characters)
        text = ax.text(*end.values, label, fontsize=8)
        as_data(text)
        text.set_clip_on(True)


def _describe(score: xr.DataArray, components: list[int], fitted: xr.Dataset) -> str:
    names = " and ".join([", ".join(f"PC{number}" for number in components[:-1]), f"PC{components[-1]}"])
    first, last = score["iteration"].values[[0, -1]].tolist()
    share = 100 * float(fitted["explained"].sel(component=components).sum())
    count = score.sizes["token"]
    text = (
        f"Trajectories of the latent states of {count} token{'' if count == 1 else 's'} in {names}, which "
        f"explain {share:.0f} % of the variance; colour is the iteration, from {first} to {last}."
    )
    if first == last:
        return text
    steps = (score.diff("iteration") ** 2).sum("component") ** 0.5
    begin, end = (float(steps.isel(iteration=i).median()) for i in (0, -1))
    return f"{text} The median step goes from {begin:.3g} at the beginning to {end:.3g} at the end."

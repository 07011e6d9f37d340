"""Several runs in one figure: the median distance of each, with the noise floor of its dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from latentkit.errors import ArgumentError
from latentkit.measure import measured_floor, median_distance
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.rows import add_note, as_data, label_iterations, need_axes
from latentkit.view.limits import visible_floor
from latentkit.view.selection import select_distance

__all__ = ["plot_runs"]

_MOST = 10  # distinguishable colours
_BAND = 0.8  # share of the tokens within the band


def plot_runs(runs: Mapping[str, xr.Dataset], *, tokens: slice | None = None, ax: Axes | None = None) -> Axes:
    """Draw the convergence of several runs, one curve for each: a model beside its controls.

    Parameters
    ----------
    runs : mapping from str to Dataset
        One to ten traces from ``run_recurrence``, each with one seed. They may differ in model, dtype or
        prompt; the names appear in the legend.
    tokens : slice, optional
        As for `plot_convergence`, the same for every run.
    ax : Axes, optional
        Axes to draw in. By default a new figure.

    Returns
    -------
    Axes
        Axes with one line per run, in their order: the median over the tokens, with a band of the middle
        80 %. A run in bfloat16 has two more lines in its colour: dashed the expected noise floor,
        0.004·√hidden, and dotted the measured one, the median over the tokens of `measured_floor`. Distances
        of 0 are gaps.

    Raises
    ------
    TraceError
        If a run is not a trace.
    ArgumentError
        If there is no run, or more than ten, or ``tokens`` selects nothing.
    """
    need_axes(ax)
    _check(runs)
    shown = {str(name): select_distance(run, tokens=tokens) for name, run in runs.items()}
    if ax is None:
        _, ax = plt.subplots(figsize=(8.0, 4.6), FigureClass=AltFigure, layout="constrained")
    drawn: dict[str, Line2D] = {}
    words = []
    for name, run in runs.items():
        line, description = _draw(ax, str(name), shown[str(name)])
        floors, floor_description = _draw_floors(ax, str(name), run, shown[str(name)], line.get_color())
        drawn |= {str(name): line, **floors}
        words += [description, floor_description]
    ax.set_yscale("log")
    ends = [int(end) for distance in shown.values() for end in distance["iteration"].values[[0, -1]]]
    label_iterations(ax, np.array([min(ends), max(ends)]))
    ax.set_ylabel("distance from the limit, median token")
    # Not by `label=`: matplotlib leaves out labels that begin with an underscore.
    as_data(*ax.legend(drawn.values(), drawn.keys(), fontsize="small").get_texts())
    add_note(ax, f"band: the middle {_BAND * 100:.0f} % of the tokens")
    figure = "Curves of the median distance of the latent states from their limit, on a logarithmic axis, for"
    set_alt_text(ax, " ".join(filter(None, [figure, f"{len(runs)} runs.", *words])))
    return ax


def _check(runs: object) -> None:
    if not isinstance(runs, Mapping) or not 0 < len(runs) <= _MOST:
        given = f"{len(runs)} runs" if isinstance(runs, Mapping) else type(runs).__name__
        msg = f'Expected one to {_MOST} runs by name, such as {{"nano": trace}}, got {given}.'
        raise ArgumentError(msg)


def _draw(ax: Axes, name: str, distance: xr.DataArray) -> tuple[Line2D, str]:
    """Draw one run; return its line and its description."""
    found = median_distance(distance.to_dataset(name="distance"), band=_BAND)
    median, iterations = found["median"].values, distance["iteration"].values
    shown = [found[name].where(found[name] > 0).values for name in ("median", "low", "high")]
    (line,) = ax.plot(iterations, shown[0], linewidth=1.8)
    ax.fill_between(iterations, shown[1], shown[2], color=line.get_color(), alpha=0.2, linewidth=0)
    return line, (
        f"{name}: the median goes from {median[0]:.3g} at iteration {iterations[0]} to {median[-1]:.3g} at "
        f"iteration {iterations[-1]}."
    )


def _draw_floors(
    ax: Axes, name: str, run: xr.Dataset, distance: xr.DataArray, colour: Any
) -> tuple[dict[str, Line2D], str]:
    """Draw the expected and the measured noise floor of a run in bfloat16; nothing for other dtypes."""
    expected = visible_floor(run)
    if expected is None:
        return {}, ""
    measured = float(measured_floor(distance.to_dataset(name="distance").assign_attrs(run.attrs)).median())
    dashed = ax.axhline(expected, color=colour, linewidth=1, linestyle="--")
    lines = {f"{name}: floor expected, {expected:.2g}": dashed}
    if measured > 0:
        dotted = ax.axhline(measured, color=colour, linewidth=1.2, linestyle=":")
        lines[f"{name}: floor measured, {measured:.2g}"] = dotted
    return lines, f"Its floor is {measured:.2g} as measured, where 0.004·√hidden is {expected:.2g}."

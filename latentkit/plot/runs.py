"""Several runs in one picture: the median distance of each, with the floor of its number format."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from latentkit.errors import ArgumentError
from latentkit.measure import measured_floor
from latentkit.plot.alt import AltFigure, set_alt_text
from latentkit.plot.colour import drawn_floor
from latentkit.plot.rows import add_note, label_iterations, need_axes
from latentkit.view.selection import select_distance

__all__ = ["plot_runs"]

_MOST = 10  # colours that can be told apart
_MIDDLE = (10, 90)  # percentiles of the tokens that the band holds


def plot_runs(
    runs: Mapping[str, xr.Dataset],
    *,
    tokens: slice | None = None,
    iterations: slice | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how several runs come to rest, one curve for each: a model beside its controls.

    Parameters
    ----------
    runs : mapping from name to Dataset
        One to ten traces from ``run_recurrence``, each with one seed. They may differ in the model, the
        number format or the prompt; the names stand in the legend.
    tokens, iterations : slice, optional
        As for `plot_convergence`, the same for every run.
    ax : Axes, optional
        Where to draw. By default a new figure.

    Returns
    -------
    Axes
        One line for each run, in their order: the median of its tokens' distances, and a band that holds
        the middle 80 % of them. A run in bfloat16 has two more lines, in its colour: dashed the floor that is
        expected of the format, 0.004·√hidden, and dotted the one that it came to, the median token's
        `measured_floor`. Distances of 0 have no place on the logarithmic axis and leave a gap.

    Raises
    ------
    TraceError
        If one of the runs is no trace.
    ArgumentError
        If there is no run, or more than ten, or a slice takes nothing.
    """
    need_axes(ax)
    _check(runs)
    shown = {
        str(name): select_distance(run, tokens=tokens, iterations=iterations) for name, run in runs.items()
    }
    if ax is None:
        _, ax = plt.subplots(figsize=(8.0, 4.6), FigureClass=AltFigure, layout="constrained")
    drawn, words = {}, []
    for row, (name, run) in enumerate(runs.items()):
        line, said = _draw(ax, str(name), shown[str(name)], f"C{row}")
        drawn[str(name)] = line
        floors, floor_said = _draw_floors(ax, str(name), run, shown[str(name)], f"C{row}")
        drawn |= floors
        words += [said, floor_said]
    ax.set_yscale("log")
    passes = [int(end) for distance in shown.values() for end in distance["iteration"].values[[0, -1]]]
    label_iterations(ax, np.array([min(passes), max(passes)]))
    ax.set_ylabel("distance from the limit, median token")
    # Labels by hand: a name that begins with an underscore would be left out.
    for text in ax.legend(drawn.values(), drawn.keys(), fontsize="small").get_texts():
        text.set_parse_math(False)
        text.set_usetex(False)
    add_note(ax, "band: the middle 80 % of the tokens")
    what = "Curves of the median distance of the latent states from their limit, on a logarithmic axis, for"
    set_alt_text(ax, " ".join(filter(None, [what, f"{len(runs)} runs.", *words])))
    return ax


def _check(runs: object) -> None:
    if not isinstance(runs, Mapping) or not 0 < len(runs) <= _MOST:
        given = f"{len(runs)} runs" if isinstance(runs, Mapping) else type(runs).__name__
        msg = f'Expected one to {_MOST} runs by name, such as {{"nano": trace}}, got {given}.'
        raise ArgumentError(msg)


def _draw(ax: Axes, name: str, distance: xr.DataArray, colour: str) -> tuple[Line2D, str]:
    """Draw one run; return its line, and what it shows in words."""
    known = distance.where(np.isfinite(distance)).values
    middle, low, high = np.percentile(known, [50, *_MIDDLE], axis=0)
    passes = distance["iteration"].values
    seen = [np.where(values > 0, values, np.nan) for values in (middle, low, high)]
    (line,) = ax.plot(passes, seen[0], color=colour, linewidth=1.8)
    ax.fill_between(passes, seen[1], seen[2], color=colour, alpha=0.2, linewidth=0)
    return line, (
        f"{name}: the median goes from {middle[0]:.3g} at iteration {passes[0]} to {middle[-1]:.3g} at "
        f"iteration {passes[-1]}."
    )


def _draw_floors(
    ax: Axes, name: str, run: xr.Dataset, distance: xr.DataArray, colour: str
) -> tuple[dict[str, Line2D], str]:
    """Draw the floor expected of bfloat16 and the one measured; nothing for other formats."""
    expected = drawn_floor(run)
    if expected is None:
        return {}, ""
    measured = float(measured_floor(distance.to_dataset(name="distance").assign_attrs(run.attrs)).median())
    lines = {
        f"{name}: floor expected, {expected:.2g}": ax.axhline(expected, color=colour, lw=1, linestyle="--")
    }
    if measured > 0:
        dotted = ax.axhline(measured, color=colour, linewidth=1.2, linestyle=":")
        lines[f"{name}: floor measured, {measured:.2g}"] = dotted
    return lines, f"Its floor is {measured:.2g} as measured, where 0.004·√hidden is {expected:.2g}."

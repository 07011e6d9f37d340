"""Share of problems answered right, against the number of iterations."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter, StrMethodFormatter

from latentkit.arguments import flag
from latentkit.errors import TraceError
from latentkit.measure import share_interval
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.rows import add_note, as_data, need_axes
from latentkit.view.selection import need_kind

__all__ = ["plot_accuracy"]

_APART = 1.04  # factor between neighbouring curves along x, so that their error bars do not overlap


def plot_accuracy(
    found: xr.Dataset, *, confidence: float = 0.95, legend: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw the share of problems answered right against the number of iterations, with intervals.

    Parameters
    ----------
    found : Dataset [task, iteration]
        From `run_problems`, or a part of it: ``right``, ``problems`` and, optionally, ``commonest``.
    confidence : float, optional
        Confidence level of Wilson's interval, drawn as error bars.
    legend : bool, optional
        Whether to add a legend with the number of problems of each task.
    ax : Axes, optional
        Axes to draw in. By default a new figure.

    Returns
    -------
    Axes
        Axes with one line per task over a logarithmic axis of iterations. A dotted line of the same colour is
        the most-common-answer baseline. If all tasks are of one kind, the kind is the title and the lines
        are named by their steps.

    Raises
    ------
    TraceError
        If a variable is missing, or there is nothing to draw.

    See Also
    --------
    latentkit.measure.share_interval : the numbers.
    """
    need_axes(ax)
    legend = flag("legend", legend)
    shares = share_interval(*_counts(found), confidence=confidence)
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.0), FigureClass=AltFigure, layout="constrained")
    iterations = found["iteration"].values.astype(float)
    names, title = _names(found)
    drawn: list[Any] = []
    for place in range(len(names)):
        share, low, high = (shares[part].isel(task=place).values for part in ("share", "low", "high"))
        x = iterations * _APART ** (place - (len(names) - 1) / 2)
        bars: Any = [share - low, high - share]
        curve = ax.errorbar(x, share, yerr=bars, marker="o", markersize=4, capsize=2.5, linewidth=1.4)
        drawn.append(curve)
        if "commonest" in found:
            level = float(found["commonest"].isel(task=place) / found["problems"].isel(task=place))
            ax.axhline(level, color=curve.lines[0].get_color(), linestyle=":", linewidth=1, alpha=0.7)
    _label(ax, iterations.tolist(), title)
    if legend:
        as_data(*ax.legend(drawn, names, fontsize="small").get_texts())
    add_note(
        ax, f"bars: {confidence:.0%} (Wilson)" + " · dotted: most common answer" * ("commonest" in found)
    )
    set_alt_text(ax, _describe(found, shares, confidence))
    return ax


def _label(ax: Axes, iterations: list[float], title: str) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(iterations))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("Iterations at Test Time")
    ax.set_ylabel("Problems answered right")
    ax.set_title(title)
    ax.grid(visible=True, alpha=0.3)


def _counts(found: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    need_kind(found, "problems")
    missing = [name for name in ("right", "problems") if name not in getattr(found, "variables", ())]
    if missing or set(found["right"].dims) != {"task", "iteration"} or not found["right"].size:
        msg = (
            "Expected counts of right answers over task and iteration, at least one of each. Pass what "
            "`run_problems` returns, or a part of it."
        )
        raise TraceError(msg)
    return found["right"].transpose("task", "iteration"), found["problems"]


def _names(found: xr.Dataset) -> tuple[list[str], str]:
    """Return a name for each curve and, if all tasks are of one kind, that kind as the title."""
    kinds = sorted(set(found["kind"].values.tolist())) if "kind" in found.variables else []
    labels, title = [str(task) for task in found["task"].values], ""
    if len(kinds) == 1 and "steps" in found.variables:
        labels, title = [_plural(int(steps), "step") for steps in found["steps"].values], str(kinds[0])
    counts = found["problems"].values.tolist()
    return [f"{label} (n = {count})" for label, count in zip(labels, counts, strict=True)], title


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _describe(found: xr.Dataset, shares: xr.Dataset, confidence: float) -> str:
    iterations = found["iteration"].values.tolist()
    parts = []
    for place, task in enumerate(found["task"].values):
        share = shares["share"].isel(task=place).values
        best = int(np.argmax(share))
        level = ""
        if "commonest" in found:
            rate = float(found["commonest"].isel(task=place) / found["problems"].isel(task=place))
            level = f"; the most-common-answer baseline gets {rate:.0%}"
        parts.append(
            f"{task} ({int(found['problems'].isel(task=place))} problems): {share[0]:.0%} at "
            f"{_plural(iterations[0], 'iteration')}, {share[-1]:.0%} at {iterations[-1]}, most at "
            f"{iterations[best]} with {share[best]:.0%}{level}"
        )
    return (
        "Lines of the share of held-out problems answered right against the number of iterations, on a "
        f"logarithmic axis, with {confidence:.0%} intervals. {'. '.join(parts)}."
    )

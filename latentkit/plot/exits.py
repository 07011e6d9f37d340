"""Iterations that early exits save, and their cost in KL, for a sweep of thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from latentkit.arguments import flag
from latentkit.errors import TraceError
from latentkit.measure import exit_iteration
from latentkit.plot.drawing.alt import AltFigure, set_alt_text
from latentkit.plot.drawing.rows import need_axes
from latentkit.view.exits import fixed_exits, mean_exits, select_criteria
from latentkit.view.selection import need_kind

__all__ = ["plot_exits"]

_LINEAR_BELOW = 1e-6  # nats; the axis is linear below, so that it contains 0


def plot_exits(
    trace: xr.Dataset,
    *,
    criteria: Sequence[str] | Mapping[str, Sequence[float]] | None = None,
    baseline: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw iterations saved against KL paid if each criterion had stopped the tokens of a full trace.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding`` without an exit, or from ``run_recurrence``; with readouts.
    criteria : sequence of str, or mapping from str to thresholds, optional
        Criteria, and their thresholds. By default all criteria that the trace has numbers for, each from a
        thousandth to a hundred times its default threshold.
    baseline : bool, optional
        Whether to add a dashed black line for the simplest rule, the same number of iterations for every
        token. A useful criterion lies below it.
    ax : Axes, optional
        Axes to draw in. By default a new figure.

    Returns
    -------
    Axes
        Axes with one line per criterion and one point per threshold, means over the tokens; a larger marker
        is the default threshold.

    Raises
    ------
    TraceError
        If the trace has no readouts, was itself run with exits, or has no numbers for a criterion.
    ArgumentError
        If there is no such criterion, or a threshold is invalid for it.

    See Also
    --------
    latentkit.measure.exit_iteration : the numbers of each token.
    """
    need_axes(ax)
    baseline = flag("baseline", baseline)
    need_kind(trace, "decoding", "recurrence")
    if "kl" not in getattr(trace, "variables", ()):
        msg = "The cost of an exit needs the variable 'kl', which is missing. Run it with readout_top=1."
        raise TraceError(msg)
    selected = select_criteria(trace, criteria)
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.2), FigureClass=AltFigure, layout="constrained")
    words = []
    for name, thresholds in selected.items():
        (line,) = ax.plot(
            *mean_exits(exit_iteration(trace, name, thresholds)), marker=".", markersize=5, linewidth=1.2,
            label=name,
        )  # fmt: skip
        saved, kl = mean_exits(exit_iteration(trace, name))
        ax.plot(saved, kl, marker="o", markersize=9, color=line.get_color(), markeredgecolor="black")
        words.append(f"{name} {float(saved):.0%} for {float(kl):.2g} nats")
    if baseline:
        fixed = fixed_exits(trace)
        saved = 1 - fixed["iteration"] / fixed["iteration"][-1]
        ax.plot(saved, fixed, "k--", linewidth=1.4, label="same for all")
    _label(ax)
    set_alt_text(ax, _describe(trace, words) + (_describe_baseline(trace) if baseline else ""))
    return ax


def _label(ax: Axes) -> None:
    ax.set_yscale("symlog", linthresh=_LINEAR_BELOW)
    ax.set_ylim(bottom=0)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("Iterations saved")
    ax.set_ylabel("KL paid (nats), mean over tokens")
    ax.grid(visible=True, alpha=0.3)
    ax.legend(fontsize="small", title="large marker: default", title_fontsize="small")


def _describe(trace: xr.Dataset, words: list[str]) -> str:
    dim = "generated_token" if "generated_token" in trace.dims else "token"
    return (
        "Lines of the mean Kullback-Leibler divergence paid, on a logarithmic scale, against the share of "
        f"iterations saved, one for each of {len(words)} exit criteria, along their thresholds; means over "
        f"{trace.sizes[dim]} tokens of {int(trace['iteration'][-1])} iterations. At the default thresholds: "
        f"{'; '.join(words)}."
    )


def _describe_baseline(trace: xr.Dataset) -> str:
    fixed = fixed_exits(trace)
    last = int(fixed["iteration"][-1])
    stops = sorted({max(round(part * last), 1) for part in (0.25, 0.125, 0.0625)}, reverse=True)
    parts = [f"{1 - i / last:.0%} for {fixed.sel(iteration=i).item():.2g} nats" for i in stops]
    return f" The same number of iterations for every token, a dashed line: {'; '.join(parts)}."

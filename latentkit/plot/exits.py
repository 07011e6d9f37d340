"""What early exits save and what they cost, for a sweep of thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from latentkit.criteria import EXIT_RULES
from latentkit.errors import TraceError
from latentkit.measure import exit_iteration
from latentkit.plot.alt import AltFigure, set_alt_text
from latentkit.plot.rows import need_axes

__all__ = ["plot_exits", "threshold_sweep"]

_FLOOR = 1e-6  # nats: below this the scale is linear, so that 0 has a place


def plot_exits(
    trace: xr.Dataset,
    *,
    criteria: Sequence[str] | Mapping[str, Sequence[float]] | None = None,
    baseline: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw compute saved against KL paid, had each criterion stopped the tokens of a full trace.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding`` without an exit, or from ``run_recurrence``; with readouts.
    criteria : sequence of str, or mapping from str to thresholds, optional
        Which criteria, and for which thresholds. By default all that can be told from the trace, each from
        a thousandth to a hundred times its default threshold.
    baseline : bool, optional
        Whether to add a broken black line for the simplest rule: the same number of iterations for every
        token, which a criterion must beat to be worth its while.
    ax : Axes, optional
        Where to draw. By default a new figure.

    Returns
    -------
    Axes
        With a line for each criterion, one point for each threshold, means over tokens; the larger marker
        is the default threshold.

    Raises
    ------
    TraceError
        If the trace has no readouts, was itself run with exits, or cannot tell a criterion that was named.
    ArgumentError
        If there is no such criterion, or a threshold has no meaning for it.

    See Also
    --------
    latentkit.measure.exit_iteration : the numbers, token by token.
    """
    need_axes(ax)
    if "kl" not in getattr(trace, "variables", ()):
        msg = "What an exit costs is told from 'kl', which this dataset lacks. Run it with readout_top=1."
        raise TraceError(msg)
    asked = _asked(trace, criteria)
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.2), FigureClass=AltFigure, layout="constrained")
    words = []
    for name, thresholds in asked.items():
        swept = exit_iteration(trace, name, thresholds)
        (line,) = ax.plot(*_means(swept), marker=".", markersize=5, linewidth=1.2, label=name)
        saved, kl = _means(exit_iteration(trace, name))
        ax.plot(saved, kl, marker="o", markersize=9, color=line.get_color(), markeredgecolor="black")
        words.append(f"{name} {float(saved):.0%} for {float(kl):.2g} nats")
    if baseline:
        fixed = _fixed(trace)
        ax.plot(
            1 - fixed["iteration"] / fixed["iteration"][-1], fixed, "k--", linewidth=1.4, label="same for all"
        )
    ax.set_yscale("symlog", linthresh=_FLOOR)
    ax.set_ylim(bottom=0)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_xlabel("Iterations saved")
    ax.set_ylabel("KL paid (nats), mean over tokens")
    ax.grid(visible=True, alpha=0.3)
    ax.legend(fontsize="small", title="large marker: default", title_fontsize="small")
    set_alt_text(ax, _describe(trace, words) + (_baseline_words(trace) if baseline else ""))
    return ax


def _asked(
    trace: xr.Dataset, wanted: Sequence[str] | Mapping[str, Sequence[float]] | None
) -> dict[str, list[float]]:
    """Return the criteria to draw, with their thresholds."""
    if isinstance(wanted, Mapping):
        return {name: list(thresholds) for name, thresholds in wanted.items()}
    if isinstance(wanted, str):
        wanted = [wanted]
    if wanted is not None:
        return {name: threshold_sweep(name) for name in wanted}
    found = {}
    for name in EXIT_RULES:
        try:
            exit_iteration(trace, name)
        except TraceError:
            continue  # not to be told from this kind of trace
        found[name] = threshold_sweep(name)
    if not found:
        exit_iteration(trace, "entropy-diff")  # says what is missing
    return found


def threshold_sweep(name: str) -> list[float]:
    """Return thresholds of a criterion from strict to lax, its default among them."""
    if name not in EXIT_RULES:
        return [1.0]  # `exit_iteration` says what is wrong
    rule = EXIT_RULES[name]
    if rule.counts:
        return [float(count) for count in range(1, 21)]
    return [rule.threshold * float(factor) for factor in np.logspace(-3, 2, 26)]


def _means(exits: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    over = [dim for dim in exits["saved"].dims if dim != "threshold"]
    return exits["saved"].mean(over), exits["kl"].mean(over)


def _fixed(trace: xr.Dataset) -> xr.DataArray:
    """Return the mean KL of stopping every token at the same iteration."""
    return trace["kl"].mean([dim for dim in trace["kl"].dims if dim != "iteration"])


def _baseline_words(trace: xr.Dataset) -> str:
    fixed = _fixed(trace)
    last = int(fixed["iteration"][-1])
    stops = sorted({max(round(part * last), 1) for part in (0.25, 0.125, 0.0625)}, reverse=True)
    parts = [f"{1 - i / last:.0%} for {fixed.sel(iteration=i).item():.2g} nats" for i in stops]
    return f" The same number of iterations for every token, a broken line: {'; '.join(parts)}."


def _describe(trace: xr.Dataset, words: list[str]) -> str:
    dim = "generated_token" if "generated_token" in trace.dims else "token"
    return (
        "Lines of the mean Kullback-Leibler divergence paid, on a logarithmic scale, against the share of "
        f"iterations saved, one for each of {len(words)} exit criteria, along their thresholds; means over "
        f"{trace.sizes[dim]} tokens of {int(trace['iteration'][-1])} iterations. At the default thresholds: "
        f"{'; '.join(words)}."
    )

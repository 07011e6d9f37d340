"""Settling iterations of the tokens, as bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from latentkit.errors import ArgumentError
from latentkit.measure import mean_interval, settling_iteration
from latentkit.measure.settling import RELATIVE
from latentkit.plot.drawing.alt import set_alt_text
from latentkit.plot.drawing.rows import (
    add_note,
    axes_size,
    label_iterations,
    label_tokens,
    need_axes,
    new_axes,
)
from latentkit.plot.groups import plot_groups
from latentkit.trace import trace_kind
from latentkit.view.convergence import describe_token
from latentkit.view.selection import select_seeds

__all__ = ["plot_settling"]

_HATCHED: dict[str, Any] = {"facecolor": "0.92", "edgecolor": "0.5", "hatch": "////"}


def plot_settling(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    relative: float = RELATIVE,
    threshold: float | None = None,
    by: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the settling iteration of each token as a bar, in the order of the text; of a sweep, by prompt.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``. With a dimension ``seed`` a bar is the mean over the seeds, with its
        95 % interval. Of a sweep each prompt is a point, the mean over its tokens, and each row shows the
        mean over prompts with its 95 % interval.
    tokens : slice, optional
        As for `plot_convergence`.
    relative, threshold : float, optional
        When a token counts as settled, as for `measure.settling_iteration`.
    by : str, optional
        For a sweep: the label of the prompts whose values are the rows. By default one row holds all.
    ax : Axes, optional
        Axes to draw in. By default a new figure, with a height that suits the number of tokens.

    Returns
    -------
    Axes
        Axes with row 0 at the top. A token that does not settle, or not with every seed, has a hatched grey
        bar over all iterations: its settling iteration is unknown.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence` and `measure.settling_iteration`.
    """
    need_axes(ax)
    if trace_kind(trace).name == "sweep":
        return plot_groups(trace, tokens=tokens, relative=relative, threshold=threshold, by=by, ax=ax)
    if by is not None:
        msg = f"by is {by!r}, which names a label of the prompts of a sweep; this is one trace. Pass by=None."
        raise ArgumentError(msg)
    shown = select_seeds(trace, tokens=tokens)
    settled = settling_iteration(
        shown.to_dataset(name="distance").assign_attrs(trace.attrs), relative=relative, threshold=threshold
    )
    found = mean_interval(settled if "seed" in settled.dims else settled.expand_dims("seed"))
    if ax is None:
        ax, height = new_axes(shown.sizes["token"])
    else:
        height = axes_size(ax)[1]
    known = np.isfinite(found["mean"].values)
    _draw_bars(ax, found, known, last=float(shown["iteration"].values[-1]))
    label_tokens(ax, shown, height / len(known))
    if not known.all():
        label = "not settled" if "seed" not in settled.dims else "not settled with every seed"
        patch = Patch(**_HATCHED, label=label)
        ax.legend(handles=[patch], fontsize="small", loc="lower right", bbox_to_anchor=(1, 1))
    add_note(ax, settled.attrs["rule"])
    set_alt_text(ax, _describe(shown, settled, found["mean"].values))
    return ax


def _draw_bars(ax: Axes, found: xr.Dataset, known: np.ndarray[Any, Any], *, last: float) -> None:
    mean, low, high = (found[name].values for name in ("mean", "low", "high"))
    rows = np.arange(len(mean))
    ax.barh(rows[known], mean[known], height=0.8, color="C0")
    if np.isfinite(low[known]).any():
        spread = np.stack([mean - low, high - mean])[:, known]
        ax.errorbar(mean[known], rows[known], xerr=spread, fmt="none", ecolor="0.2", elinewidth=1, capsize=2)
    ax.barh(rows[~known], last, height=0.8, linewidth=0.5, **_HATCHED)
    end = max(last, 1.0)
    if known.all():  # an unknown bar needs all iterations
        end = min(end, max(1.15 * float(np.nanmax([mean, np.nan_to_num(high)])), 1.0))
    ax.set_xlim(0, end)
    label_iterations(ax, np.array([0, int(end)]))
    ax.set_xlabel("Settled from iteration")


def _describe(shown: xr.DataArray, settled: xr.DataArray, means: np.ndarray[Any, Any]) -> str:
    known = np.isfinite(means)
    seeds = f", mean over {settled.sizes['seed']} seeds" if "seed" in settled.dims else ""
    figure = (
        f"Bars of the iteration from which each of {len(means)} tokens has settled{seeds}: its distance "
        f"{settled.attrs['rule']}."
    )
    parts = [figure]
    tokens = shown.isel(seed=0) if "seed" in shown.dims else shown
    if known.any():
        latest = int(np.nanargmax(means))
        parts.append(
            f"The median of those that settle is {np.median(means[known]):g}; the latest of them is "
            f"{describe_token(tokens[latest])} at {means[latest]:.3g}."
        )
    missing = np.flatnonzero(~known)
    if missing.size:
        names = ", ".join(describe_token(tokens[row]) for row in missing[:3])
        more = ", …" if missing.size > 3 else ""
        last = shown["iteration"].values[-1]
        parts.append(f"{missing.size} did not settle by iteration {last}: {names}{more}.")
    return " ".join(parts)

"""When each token settles, as bars."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from latentkit.measure import mean_interval, settling_iteration
from latentkit.measure.settling import RELATIVE
from latentkit.plot.alt import set_alt_text
from latentkit.plot.rows import add_note, label_iterations, label_rows, need_axes, new_axes, points
from latentkit.view.description import name_token
from latentkit.view.selection import select_seeds

__all__ = ["plot_settling"]


def plot_settling(
    trace: xr.Dataset,
    *,
    tokens: slice | None = None,
    relative: float = RELATIVE,
    threshold: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw from which iteration on each token has settled: a bar for each, in the order of the text.

    Parameters
    ----------
    trace : Dataset
        A trace from ``run_recurrence``. With a dimension ``seed`` a bar is the mean over the seeds,
        with Student's 95 % interval.
    tokens : slice, optional
        As for `plot_convergence`.
    relative, threshold : float, optional
        What counts as settled, as for `measure.settling_iteration`.
    ax : Axes, optional
        Where to draw. By default a new figure, as high as its rows need.

    Returns
    -------
    Axes
        Row 0 at the top. A token that never settles, or not with every seed, has a hatched grey bar over all
        iterations instead: how long it would take is not known.

    Raises
    ------
    TraceError, ArgumentError
        As `plot_convergence` and `measure.settling_iteration`.
    """
    need_axes(ax)
    shown = select_seeds(trace, tokens=tokens)
    settled = settling_iteration(
        shown.to_dataset(name="distance").assign_attrs(trace.attrs), relative=relative, threshold=threshold
    )
    found = mean_interval(settled if "seed" in settled.dims else settled.expand_dims("seed"))
    means = found["mean"].values
    last = float(shown["iteration"].values[-1])
    rows = np.arange(len(means))
    if ax is None:
        ax, room = new_axes(len(rows))
    else:
        room = points(ax)[1]
    known = np.isfinite(means)
    ax.barh(rows[known], means[known], height=0.8, color="C0")
    if known.any() and "seed" in settled.dims and settled.sizes["seed"] > 1:
        spread = np.stack([means - found.low.values, found.high.values - means])[:, known]
        ax.errorbar(means[known], rows[known], xerr=spread, fmt="none", ecolor="0.2", elinewidth=1, capsize=2)
    ax.barh(rows[~known], last, height=0.8, color="0.92", edgecolor="0.5", hatch="////", linewidth=0.5)
    end = max(last, 1.0)
    if known.all():  # room for what is there; a bar that is not known needs it all
        end = min(end, max(1.15 * np.nanmax([means, found.high.fillna(0).values]), 1.0))
    ax.set_xlim(0, end)
    label_iterations(ax, np.array([0, int(end)]))
    ax.set_xlabel("Settled from iteration")
    label_rows(ax, shown, room / len(rows))
    if not known.all():
        patch = Patch(facecolor="0.92", edgecolor="0.5", hatch="////", label=_never(settled))
        ax.legend(handles=[patch], fontsize="small", loc="lower right", bbox_to_anchor=(1, 1))
    add_note(ax, settled.attrs["rule"])
    set_alt_text(ax, _words(shown, settled, means))
    return ax


def _never(settled: xr.DataArray) -> str:
    return "not settled" if "seed" not in settled.dims else "not settled with every seed"


def _words(
    shown: xr.DataArray, settled: xr.DataArray, means: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> str:
    known = np.isfinite(means)
    seeds = f", mean over {settled.sizes['seed']} seeds" if "seed" in settled.dims else ""
    kind = (
        f"Bars of the iteration from which each of {len(means)} tokens has settled{seeds}: its distance "
        f"{settled.attrs['rule']}."
    )
    parts = [kind]
    named = shown.isel(seed=0) if "seed" in shown.dims else shown
    if known.any():
        latest = int(np.nanargmax(means))
        parts.append(
            f"The median of those that settle is {np.median(means[known]):g}; the latest of them is "
            f"{name_token(named[latest])} at {means[latest]:.3g}."
        )
    missing = np.flatnonzero(~known)
    if missing.size:
        names = ", ".join(name_token(named[row]) for row in missing[:3]) + (", …" if missing.size > 3 else "")
        parts.append(f"{missing.size} did not settle by iteration {shown['iteration'].values[-1]}: {names}.")
    return " ".join(parts)

"""The same study many times, with few and with many prompts: how often its interval excludes 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from latentkit.measure.interval import t_quantile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_studies", "repeated_studies"]

_SHOWN = 40


def repeated_studies(
    first: Any, second: Any, *, sizes: Sequence[int] = (5, 50, 200), repeats: int = 1000
) -> xr.Dataset:
    """Draw prompts from two groups again and again, and compare the means of each draw.

    Parameters
    ----------
    first, second : array [prompt]
        A number for each prompt of the two groups.
    sizes : sequence of int
        Numbers of prompts that are drawn from each group, with replacement.
    repeats : int
        Number of draws of each size.

    Returns
    -------
    Dataset [size, study]
        ``difference`` of the means, first less second; ``low`` and ``high``, its 95 % interval; ``decided``,
        whether the interval excludes 0.

    Examples
    --------
    >>> studies = repeated_studies([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], sizes=[5, 50], repeats=10)
    >>> dict(studies.sizes), bool(studies.decided.all())
    ({'size': 2, 'study': 10}, True)
    """
    random = np.random.default_rng(0)
    difference, half = (np.empty((len(sizes), repeats)) for _ in range(2))
    for row, size in enumerate(sizes):
        drawn = [random.choice(np.asarray(group), (repeats, size)) for group in (first, second)]
        difference[row] = drawn[0].mean(1) - drawn[1].mean(1)
        error = sum(each.var(1, ddof=1) for each in drawn) / size
        half[row] = t_quantile(0.975, 2 * size - 2) * np.sqrt(error)
    low, high = difference - half, difference + half
    dims = ("size", "study")
    return xr.Dataset(
        {
            "difference": (dims, difference),
            "low": (dims, low),
            "high": (dims, high),
            "decided": (dims, (low > 0) | (high < 0)),
        },
        coords={"size": list(sizes)},
    )


def plot_studies(studies: xr.Dataset) -> Figure:
    """Draw the intervals of the first 40 studies of each size, one panel for each size.

    Parameters
    ----------
    studies : Dataset [size, study]
        From `repeated_studies`.

    Returns
    -------
    Figure
        With alt text. An interval that excludes 0 is a thick line with a filled point.
    """
    from matplotlib import pyplot as plt

    from latentkit.plot.drawing.alt import set_alt_text

    count = studies.sizes["size"]
    figure, places = plt.subplots(
        1, count, figsize=(3.1 * count, 4), sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    sentences = []
    for ax, size in zip(places[0], studies["size"].values, strict=True):
        one = studies.sel(size=size)
        share = float(one["decided"].mean())
        for row in range(min(_SHOWN, one.sizes["study"])):
            chosen = one.isel(study=row)
            decided = bool(chosen["decided"])
            colour = "#31688e" if decided else "#d95f02"
            ax.plot(
                [chosen["low"], chosen["high"]], [row, row], color=colour, linewidth=2.2 if decided else 1
            )
            ax.plot(
                chosen["difference"],
                row,
                "o",
                color=colour,
                markersize=3,
                fillstyle="full" if decided else "none",
            )
        ax.axvline(0, color="0.4", linewidth=1, linestyle="--")
        ax.set_title(f"{size} prompts of each kind", fontsize="medium")
        ax.set_xlabel("difference (iterations)")
        sentences.append(f"With {size} prompts, {share:.0%} of all intervals exclude 0.")
    places[0][0].set_ylabel("study")
    set_alt_text(
        places[0][0],
        f"Intervals of {_SHOWN} studies of each size around the difference of two means. "
        + " ".join(sentences),
    )
    return figure

"""Settling of whole prompts: the mean of each, and the difference between two groups of prompts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import TraceError
from latentkit.measure.interval import t_quantile
from latentkit.measure.settling import RELATIVE, settling_iteration

__all__ = ["compare_groups", "prompt_settling"]

_PERMUTATIONS = 10_000


def prompt_settling(
    sweep: xr.Dataset, *, relative: float = RELATIVE, threshold: float | None = None
) -> xr.DataArray:
    """Mean settling iteration of each prompt's tokens.

    Parameters
    ----------
    sweep : Dataset [prompt, token, iteration]
        Of the kind "sweep", of `run_recurrence`.
    relative, threshold : float
        As for `settling_iteration`.

    Returns
    -------
    DataArray [prompt]
        Iterations, also averaged over seeds; NaN for a prompt that failed or has not run. A token that does
        not settle counts as settling one iteration after the last one in the trace, which is a lower bound;
        ``censored`` is a coordinate with the share of such tokens.

    Raises
    ------
    TraceError
        If it is not a sweep with distances.

    Examples
    --------
    >>> distance = 100 * np.array([0.5, 0.7])[:, None, None] ** np.arange(33) * np.ones((1, 2, 1))
    >>> sweep = xr.Dataset(
    ...     {"distance": (("prompt", "token", "iteration"), distance)},
    ...     coords={"length": ("prompt", [2, 2])},
    ...     attrs={"kind": "sweep", "of": "recurrence"},
    ... )
    >>> prompt_settling(sweep).values.tolist()
    [7.0, 13.0]
    """
    if sweep.attrs.get("kind") != "sweep" or "length" not in sweep.coords or "distance" not in sweep:
        msg = "Expected a sweep of run_recurrence. Pass the result of `run_sweep` or of `open_trace`."
        raise TraceError(msg)
    read = sweep[["distance"]].load()
    settled = settling_iteration(read, relative=relative, threshold=threshold)
    present = xr.DataArray(np.arange(sweep.sizes["token"]), dims="token") < sweep["length"].reset_coords(
        drop=True
    )
    unknown = settled.isnull() & present
    end = int(read["iteration"].values[-1]) + 1
    others = [dim for dim in settled.dims if dim != "prompt"]
    mean = settled.fillna(end).where(present).mean(others)
    censored = (unknown.sum(others) / (present.sum("token") * settled.sizes.get("seed", 1))).fillna(0)
    about = {"long_name": "mean settling iteration", "rule": settled.attrs["rule"]}
    return mean.assign_coords(censored=censored).assign_attrs(about).rename("prompt_settling")


def compare_groups(
    sweep: xr.Dataset, other: xr.Dataset, *, relative: float, threshold: float | None, confidence: float
) -> xr.Dataset:
    """Difference between the mean settling iterations of two groups of prompts.

    Parameters
    ----------
    sweep, other : Dataset [prompt, token, iteration]
        Two sweeps, or two selections of one.
    relative, threshold, confidence : float
        As for `compare_settling`.

    Returns
    -------
    Dataset
        ``mean_difference`` with ``mean_low`` and ``mean_high`` (Welch's interval over prompts); ``p_value``,
        the share of random exchanges of prompts between the groups that give at least as large a difference;
        ``prompts``, the number of prompts in each group, and ``censored``, the share of tokens in each group
        that never settle.

    Raises
    ------
    TraceError
        If a group has fewer than two prompts that are done.
    """
    groups = [prompt_settling(each, relative=relative, threshold=threshold) for each in (sweep, other)]
    means = [group.values[np.isfinite(group.values)] for group in groups]
    if min(map(len, means)) < 2:
        sizes = " and ".join(str(len(mean)) for mean in means)
        msg = f"The groups have {sizes} prompts that are done; pass at least 2 of each."
        raise TraceError(msg)
    difference = means[0].mean() - means[1].mean()
    half = _half_width(means, confidence)
    return xr.Dataset(
        {
            "mean_difference": difference,
            "mean_low": difference - half,
            "mean_high": difference + half,
            "p_value": _permuted(np.concatenate(means), len(means[0]), abs(difference)),
            "prompts": ("group", [len(mean) for mean in means]),
            "censored": ("group", [float(group["censored"].mean()) for group in groups]),
        },
        attrs={"confidence": confidence, "rule": groups[0].attrs["rule"], "permutations": _PERMUTATIONS},
    )


def _half_width(means: list[np.ndarray[Any, Any]], confidence: float) -> float:
    """Half of Welch's interval for the difference of two means."""
    errors = [float(mean.var(ddof=1)) / len(mean) for mean in means]
    total = sum(errors)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(error**2 / (len(mean) - 1) for error, mean in zip(errors, means, strict=True))
    return t_quantile((1 + confidence) / 2, max(1, math.floor(freedom))) * math.sqrt(total)


def _permuted(values: np.ndarray[Any, Any], first: int, observed: float) -> float:
    """Return the two-sided p-value of a permutation test, with the observed exchange counted in."""
    random = np.random.default_rng(0)
    sums = np.array([random.permutation(values)[:first].sum() for _ in range(_PERMUTATIONS)])
    found = np.abs(sums / first - (values.sum() - sums) / (len(values) - first))
    return float((1 + (found >= observed * (1 - 1e-12)).sum()) / (1 + _PERMUTATIONS))

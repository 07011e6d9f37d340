"""Compare two traces: differences of settling iterations, and distances between their states."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit import criteria
from latentkit.errors import TraceError
from latentkit.measure.components import states
from latentkit.measure.groups import compare_groups
from latentkit.measure.interval import mean_interval
from latentkit.measure.settling import RELATIVE, settling_iteration
from latentkit.trace.checking import need_dataset

__all__ = ["compare_settling", "trace_distance"]


def compare_settling(
    trace: xr.Dataset,
    other: xr.Dataset,
    *,
    relative: float = RELATIVE,
    threshold: float | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Which tokens settle later in one trace than in another, paired by position and seed.

    Parameters
    ----------
    trace, other : Dataset [seed, token, iteration]
        Traces with the same number of tokens and the same seeds: two prompts of the same shape, two models on
        one prompt, or a run with and without a perturbation. Without ``seed`` there is no interval. Or two
        sweeps, such as two groups of the prompts of one: `measure.groups.compare_groups` says what is
        returned for these, which are not paired.
    relative, threshold : float
        As for `settling_iteration`.
    confidence : float
        Of the paired interval over seeds.

    Returns
    -------
    Dataset [token]
        ``difference``, settling iteration in ``trace`` minus that in ``other``, mean over seeds, with ``low``
        and ``high``; ``later``, "first", "second" or "neither" (the interval contains 0, or there is none);
        ``censored``, the number of runs in which a token never settled; and over all tokens
        ``mean_difference``, ``mean_low``, ``mean_high``.

    Raises
    ------
    TraceError
        If tokens or seeds do not match.

    Notes
    -----
    A token that never settles counts as settling one iteration after the last one in the trace. That is a
    lower bound, so a difference with ``censored`` above 0 may be underestimated. Seeds are paired because
    both runs start from the same state at each position. With many tokens some intervals exclude 0 by
    chance: 1 in 20 at 0.95.

    Examples
    --------
    >>> def made(rates):
    ...     distance = 100 * np.array(rates)[:, None, None] ** np.arange(65)
    ...     return xr.Dataset({"distance": (("seed", "token", "iteration"), distance)})
    >>> found = compare_settling(made([0.8, 0.81, 0.82]), made([0.6, 0.61, 0.62]))
    >>> found.difference.values.round(1).tolist(), found.later.values.tolist()
    ([12.3], ['first'])
    """
    need_dataset(trace)
    need_dataset(other, name="other")
    if "sweep" in {each.attrs.get("kind") for each in (trace, other)}:
        return compare_groups(trace, other, relative=relative, threshold=threshold, confidence=confidence)
    both = [settling_iteration(each, relative=relative, threshold=threshold) for each in (trace, other)]
    _check_same(both[0], both[1])
    last = [int(each["distance"]["iteration"].values[-1]) for each in (trace, other)]
    counted = [each.fillna(end + 1) for each, end in zip(both, last, strict=True)]
    # Paired by place: the coordinates of two prompts (their texts) differ.
    difference = counted[0].copy(data=counted[0].values - counted[1].values)
    censored = both[0].copy(data=both[0].isnull().values.astype(int) + both[1].isnull().values)
    if "seed" not in difference.dims:
        difference, censored = difference.expand_dims("seed"), censored.expand_dims("seed")
    per_token = mean_interval(difference, confidence=confidence)
    overall = mean_interval(difference.mean("token"), confidence=confidence)
    later = np.select([per_token.low > 0, per_token.high < 0], ["first", "second"], "neither")
    return xr.Dataset(
        {
            "difference": per_token["mean"].assign_attrs(long_name="difference of settling iterations"),
            "low": per_token.low,
            "high": per_token.high,
            "later": per_token.low.copy(data=later),
            "censored": censored.sum("seed"),
            "mean_difference": overall["mean"],
            "mean_low": overall.low,
            "mean_high": overall.high,
        },
        attrs={"confidence": confidence, "rule": both[0].attrs["rule"]},
    )


def trace_distance(trace: xr.Dataset, other: xr.Dataset) -> xr.DataArray:
    """Distance between the states of two runs at each iteration: ‖s_i − s′_i‖, for each token.

    Shows whether a perturbed state returns, or how far a change of one token of the prompt spreads.

    Parameters
    ----------
    trace, other : Dataset [token, iteration, hidden]
        Runs with ``keep_states=True``, the same number of tokens and the same iterations.

    Returns
    -------
    DataArray [token, iteration]
        Distances of normalised states; with the coordinates of ``trace``.

    Raises
    ------
    TraceError
        If there are no states, or their shapes or iterations do not match.
    """
    need_dataset(other, name="other")
    one, two = states(trace), states(other)
    _check_same(one, two)
    iterations = [each["iteration"].values.tolist() for each in (one, two)]
    if iterations[0] != iterations[1]:
        msg = (
            f"The two traces have different iterations: {iterations[0]} and {iterations[1]}. Select the same "
            "iterations of both."
        )
        raise TraceError(msg)
    apart = criteria.distance(one.values, two.values)
    coords = {name: coord for name, coord in one.coords.items() if "hidden" not in coord.dims}
    about = {"long_name": "‖s_i − s′_i‖", "meaning": "the distance of each token's latent states in two runs"}
    return xr.DataArray(apart, dims=one.dims[:-1], coords=coords, name="distance", attrs=about)


def _check_same(one: xr.DataArray, two: xr.DataArray) -> None:
    seeds = [each["seed"].values.tolist() if "seed" in each.dims else None for each in (one, two)]
    if one.dims != two.dims or one.shape != two.shape or seeds[0] != seeds[1]:
        msg = (
            f"The two traces do not match: {dict(one.sizes)} with seeds {seeds[0]}, and {dict(two.sizes)} "
            f"with seeds {seeds[1]}. Pair runs of the same length and the same seeds."
        )
        raise TraceError(msg)

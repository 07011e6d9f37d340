"""Exits of a learned gate: from the probability of stopping at each iteration to a distribution."""

from __future__ import annotations

from array_api_compat import array_namespace

from latentkit.criteria.distances import Array

__all__ = ["exit_distribution", "exit_quantile"]


def exit_distribution(chances: Array) -> Array:
    """Probability that a token's iterations end at each of them.

    Parameters
    ----------
    chances : array [iteration, ...]
        Of stopping at iterations 1, 2, …, given that the token has not stopped before.

    Returns
    -------
    array [iteration, ...]
        Sums to 1: the last iteration takes what the earlier ones left, so its own chance is not used.

    Examples
    --------
    >>> import numpy as np
    >>> exit_distribution(np.array([0.5, 0.5, 0.9])).tolist()
    [0.5, 0.25, 0.25]
    """
    xp = array_namespace(chances)
    if chances.shape[0] == 0:
        return chances
    left = [xp.ones_like(chances[0])]
    for chance in chances[:-1]:
        left.append(left[-1] * (1 - chance))
    return xp.stack([*(p * q for p, q in zip(chances[:-1], left[:-1], strict=True)), left[-1]])


def exit_quantile(distribution: Array, threshold: float) -> Array:
    """First iteration, counted from 1, by which a token has stopped with this probability.

    Parameters
    ----------
    distribution : array [iteration, ...]
        From `exit_distribution`.
    threshold : float
        From 0 to 1.

    Returns
    -------
    array [...] of int
        The last iteration where rounding keeps the sum below the threshold.

    Examples
    --------
    >>> import numpy as np
    >>> exit_quantile(np.array([[0.5, 0.2], [0.25, 0.2], [0.25, 0.6]]), 0.7).tolist()
    [2, 3]
    """
    xp = array_namespace(distribution)
    reached = xp.cumulative_sum(distribution, axis=0) >= threshold
    first = xp.argmax(xp.astype(reached, xp.int8), axis=0) + 1
    return xp.where(xp.any(reached, axis=0), first, distribution.shape[0])

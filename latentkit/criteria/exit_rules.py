"""Exit rules by name: when to stop repeating the core."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from array_api_compat import array_namespace

from latentkit.criteria.distances import Array, cosine, distance
from latentkit.criteria.divergences import entropy, kl_divergence

__all__ = ["EXIT_RULES", "ExitRule", "minp_log_probs"]


class ExitRule(NamedTuple):
    """An exit rule: a value for each iteration, compared with a threshold.

    Attributes
    ----------
    reads : {"state", "readout"}
        Whether it needs the raw state x_i or the log-probabilities of the readout at i.
    threshold : float
        The default.
    change : callable
        The value at i, computed from the last ``width`` summaries.
    summary : callable
        The part of a state or readout that the rule needs.
    start : callable, optional
        Replaces the summary at iteration 0; None keeps it.
    width : int
        Number of iterations that one value depends on.
    hits : int
        Number of successive values that must be below the threshold.
    counts : bool
        ``change`` is whether something stayed the same; the value is the number of successive times, and
        the iterations end when it reaches the threshold.
    """

    reads: str
    threshold: float
    change: Callable[..., Array]
    summary: Callable[[Array], Array] = lambda values: values
    start: Callable[[Array], Array] | None = None
    width: int = 2
    hits: int = 1
    counts: bool = False


def minp_log_probs(log_probs: Array) -> Array:
    """Log-probabilities after every probability below a tenth of the largest is set to 1/vocab.

    Parameters
    ----------
    log_probs : array [..., vocab]
        Natural-log probabilities.

    Returns
    -------
    array [..., vocab]
        Nats, normalised again.
    """
    xp = array_namespace(log_probs)
    smallest = xp.max(log_probs, axis=-1, keepdims=True) + math.log(0.1)
    kept = xp.where(log_probs < smallest, -math.log(log_probs.shape[-1]), log_probs)
    return kept - xp.log(xp.sum(xp.exp(kept), axis=-1, keepdims=True))


def _relative_step(before: Array, after: Array) -> Array:
    return distance(after, before) / distance(after, 0 * after)


def _turn(before: Array, after: Array) -> Array:
    return 1 - cosine(before, after)


def _acceleration(first: Array, second: Array, third: Array) -> Array:
    return distance(third - second, second - first)


def _gap(before: Array, after: Array) -> Array:
    return abs(after - before)


def _likeliest(log_probs: Array) -> Array:
    return array_namespace(log_probs).argmax(log_probs, axis=-1)


def _stayed(before: Array, after: Array) -> Array:
    return before == after


def _filled(value: float) -> Callable[[Array], Array]:
    return lambda like: 0 * like + value


def _uniform(like: Array) -> Array:
    return array_namespace(like).full_like(like, -math.log(like.shape[-1]))


#: Exit rules by name. All but the last are those of the released code [1]_, with its thresholds and first
#: values; "acceleration" is the second difference of the state, small twice in a row [2]_; it is a
#: length, not a ratio, so no threshold suits every model; the default here is our choice.
#:
#: .. [1] Geiping et al. (2025), arXiv:2502.05171, section 6. .. [2] Pappone et al. (2025), arXiv:2509.23314.
EXIT_RULES: dict[str, ExitRule] = {
    "latent-diff": ExitRule("state", 0.03, _relative_step),
    "cosine": ExitRule("state", 1e-3, _turn),
    "entropy-diff": ExitRule("readout", 1e-3, _gap, entropy, _filled(100.0)),
    "kl": ExitRule("readout", 1e-3, kl_divergence, start=_uniform),
    "minp-kl": ExitRule("readout", 1e-5, kl_divergence, minp_log_probs, _uniform),
    "argmax-stability": ExitRule("readout", 5, _stayed, _likeliest, _filled(-1), counts=True),
    "acceleration": ExitRule("state", 1e-2, _acceleration, width=3, hits=2),
}

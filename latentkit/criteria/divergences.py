"""Divergences between distributions over tokens, and their entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from array_api_compat import array_namespace

from latentkit.criteria.distances import Array

__all__ = [
    "DIVERGENCES",
    "Divergence",
    "entropy",
    "js_divergence",
    "kl_divergence",
    "log_softmax",
    "reverse_kl",
    "total_variation",
]


def log_softmax(logits: Array) -> Array:
    """Natural-log probabilities, normalised over the last axis.

    Parameters
    ----------
    logits : array [..., vocab]
        Float32 or wider: a softmax in bfloat16 errs by up to half the value.

    Returns
    -------
    array [..., vocab]
        Nats.
    """
    xp = array_namespace(logits)
    shifted = logits - xp.max(logits, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def entropy(log_probs: Array) -> Array:
    """Entropy −Σ p log p; 0 · log 0 counts as 0.

    Parameters
    ----------
    log_probs : array [..., vocab]
        Natural-log probabilities.

    Returns
    -------
    array [...]
        Nats, between 0 and log(vocab).

    Examples
    --------
    >>> import numpy as np
    >>> round(float(entropy(np.log(np.array([0.5, 0.5])))), 3)
    0.693
    """
    xp = array_namespace(log_probs)
    probs = xp.exp(log_probs)
    return -xp.sum(xp.where(probs == 0, 0.0, probs * log_probs), axis=-1)


def kl_divergence(reference: Array, approximation: Array) -> Array:
    """KL(reference ‖ approximation) = Σ p (log p − log q); 0 · log 0 counts as 0.

    Parameters
    ----------
    reference, approximation : array [..., vocab]
        Natural-log probabilities of p and q.

    Returns
    -------
    array [...]
        Nats; zero where both agree, negative only by rounding, infinite where q is 0 and p is not.

    Examples
    --------
    >>> import numpy as np
    >>> p, q = np.log(np.array([0.9, 0.1])), np.log(np.array([0.5, 0.5]))
    >>> round(float(kl_divergence(p, q)), 3)
    0.368
    """
    xp = array_namespace(reference, approximation)
    probs = xp.exp(reference)
    return xp.sum(xp.where(probs == 0, 0.0, probs * (reference - approximation)), axis=-1)


def reverse_kl(reference: Array, approximation: Array) -> Array:
    """KL(approximation ‖ reference): what `kl_divergence` gives with its arguments exchanged.

    Parameters
    ----------
    reference, approximation : array [..., vocab]
        Natural-log probabilities.

    Returns
    -------
    array [...]
        Nats.
    """
    return kl_divergence(approximation, reference)


def js_divergence(reference: Array, approximation: Array) -> Array:
    """Jensen–Shannon divergence: the mean of the two KL to the even mixture of both.

    Not half the sum of KL and reverse KL (Jeffreys), which has no upper bound.

    Parameters
    ----------
    reference, approximation : array [..., vocab]
        Natural-log probabilities; exchanging them changes nothing.

    Returns
    -------
    array [...]
        Nats, between 0 and log 2.

    Examples
    --------
    >>> import numpy as np
    >>> with np.errstate(divide="ignore", invalid="ignore"):
    ...     p, q = np.log(np.array([1.0, 0.0])), np.log(np.array([0.0, 1.0]))
    ...     print(round(float(js_divergence(p, q)), 4), round(float(np.log(2)), 4))
    0.6931 0.6931
    """
    xp = array_namespace(reference, approximation)
    mixture = xp.log((xp.exp(reference) + xp.exp(approximation)) / 2)
    return (kl_divergence(reference, mixture) + kl_divergence(approximation, mixture)) / 2


def total_variation(reference: Array, approximation: Array) -> Array:
    """Total variation distance: half of Σ |p − q|, the largest difference in the probability of any event.

    Parameters
    ----------
    reference, approximation : array [..., vocab]
        Natural-log probabilities; exchanging them changes nothing.

    Returns
    -------
    array [...]
        Between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> p, q = np.log(np.array([0.4, 0.4, 0.1, 0.1])), np.log(np.array([0.1, 0.1, 0.4, 0.4]))
    >>> round(float(total_variation(p, q)), 3)
    0.6
    """
    xp = array_namespace(reference, approximation)
    return xp.sum(abs(xp.exp(reference) - xp.exp(approximation)), axis=-1) / 2


def _entropy_of_second(_reference: Array, approximation: Array) -> Array:
    return entropy(approximation)


class Divergence(NamedTuple):
    """A divergence of a distribution from a reference.

    Attributes
    ----------
    between : callable
        From log-probabilities of reference and approximation [..., vocab] to a number each.
    formula : str
        As text, with ``{p}`` and ``{q}`` for reference and approximation.
    logarithmic : bool
        Whether its unit is nats or bits.
    """

    between: Callable[[Array, Array], Array]
    formula: str
    logarithmic: bool = True


#: Divergences by name. To add one: a function of two arrays of log-probabilities, and a line here.
DIVERGENCES: dict[str, Divergence] = {
    "kl": Divergence(kl_divergence, "KL({p} ‖ {q})"),
    "reverse_kl": Divergence(reverse_kl, "KL({q} ‖ {p})"),
    "js": Divergence(js_divergence, "JS({p}, {q})"),
    "total_variation": Divergence(total_variation, "TV({p}, {q})", logarithmic=False),
    "entropy": Divergence(_entropy_of_second, "entropy of {q}"),
}

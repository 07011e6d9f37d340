"""Distances, divergences and entropy: one copy of each formula, for numpy and torch arrays alike.

The last axis is reduced; all others are kept. Nothing here knows about tokens or iterations.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

__all__ = ["cosine", "distance", "entropy", "kl_divergence", "log_softmax"]

Array = Any  # a numpy array or a torch tensor


def distance(a: Array, b: Array) -> Array:
    """Euclidean distance ‖a − b‖₂.

    Parameters
    ----------
    a, b : array [..., hidden]

    Returns
    -------
    array [...]

    Examples
    --------
    >>> import numpy as np
    >>> float(distance(np.array([0.0, 3.0]), np.array([4.0, 0.0])))
    5.0
    """
    return array_namespace(a, b).linalg.vector_norm(a - b, axis=-1)


def cosine(a: Array, b: Array) -> Array:
    """Cosine of the angle between a and b; NaN where one of them is zero.

    Parameters
    ----------
    a, b : array [..., hidden]

    Returns
    -------
    array [...]
        Between -1 and 1.
    """
    xp = array_namespace(a, b)
    lengths = xp.linalg.vector_norm(a, axis=-1) * xp.linalg.vector_norm(b, axis=-1)
    ratio = xp.sum(a * b, axis=-1) / xp.where(lengths > 0, lengths, xp.nan)
    return xp.clip(ratio, -1.0, 1.0)


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
    return -xp.sum(xp.where(probs > 0, probs * log_probs, 0.0), axis=-1)


def kl_divergence(reference: Array, approximation: Array) -> Array:
    """KL(reference ‖ approximation) = Σ p (log p − log q); 0 · log 0 counts as 0.

    Parameters
    ----------
    reference, approximation : array [..., vocab]
        Natural-log probabilities of p and q.

    Returns
    -------
    array [...]
        Nats; zero where both agree, negative only by rounding, infinite where q rules out what p allows.

    Examples
    --------
    >>> import numpy as np
    >>> p, q = np.log(np.array([0.9, 0.1])), np.log(np.array([0.5, 0.5]))
    >>> round(float(kl_divergence(p, q)), 3)
    0.368
    """
    xp = array_namespace(reference, approximation)
    probs = xp.exp(reference)
    return xp.sum(xp.where(probs > 0, probs * (reference - approximation), 0.0), axis=-1)

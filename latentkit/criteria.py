"""Distances, divergences and entropy: one copy of each formula, for numpy and torch arrays alike.

The last axis is reduced; all others are kept. Nothing here knows about tokens or iterations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from array_api_compat import array_namespace, device

from latentkit.errors import ArgumentError, nearest

__all__ = [
    "DIVERGENCES",
    "EXIT_RULES",
    "Divergence",
    "ExitRule",
    "cosine",
    "distance",
    "entropy",
    "exit_rule",
    "exit_threshold",
    "exit_values",
    "first_exit",
    "js_divergence",
    "kl_divergence",
    "log_softmax",
    "minp_log_probs",
    "reverse_kl",
    "total_variation",
]

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
    >>> p, q = np.log(np.array([0.5, 0.3, 0.2])), np.log(np.array([0.2, 0.3, 0.5]))
    >>> round(float(total_variation(p, q)), 3)
    0.3
    """
    xp = array_namespace(reference, approximation)
    return xp.sum(abs(xp.exp(reference) - xp.exp(approximation)), axis=-1) / 2


def _entropy_of_second(_reference: Array, approximation: Array) -> Array:
    return entropy(approximation)


class Divergence(NamedTuple):
    """How far a distribution is from a reference.

    Attributes
    ----------
    between : callable
        From log-probabilities of reference and approximation [..., vocab] to a number each.
    formula : str
        In words, with ``{p}`` and ``{q}`` for reference and approximation.
    logarithmic : bool
        Whether it has nats or bits.
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


class ExitRule(NamedTuple):
    """When to stop repeating the core: a number for each iteration, held against a threshold.

    Attributes
    ----------
    reads : {"state", "readout"}
        Whether it needs the raw state x_i or the log-probabilities of the readout at i.
    threshold : float
        The default.
    change : callable
        The number at i, from the last ``width`` summaries.
    summary : callable
        What is kept of a state or readout.
    start : callable, optional
        What stands for the summary at iteration 0; None: the one that is there.
    width : int
        How many iterations one number looks at.
    hits : int
        How many times in a row the number must be below the threshold.
    counts : bool
        ``change`` tells whether something stayed; the number counts how often in a row it did, and the
        iterations end when it reaches the threshold.
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
    """Log-probabilities after those below a tenth of the largest were all set to 1/vocab.

    Parameters
    ----------
    log_probs : array [..., vocab]
        Natural-log probabilities.

    Returns
    -------
    array [..., vocab]
        Nats, normalised anew.
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
#: values; "acceleration" is the second difference of the state, small twice in a row [2]_; being a length
#: and no ratio it has no threshold that suits every model, and the default here is a choice of ours.
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


def exit_rule(name: str) -> ExitRule:
    """Return the exit rule of that name.

    Raises
    ------
    ArgumentError
        If there is none.
    """
    if name not in EXIT_RULES:
        msg = f"No exit criterion named {name!r}. {nearest(str(name), EXIT_RULES)}"
        raise ArgumentError(msg)
    return EXIT_RULES[name]


def exit_threshold(name: str, threshold: Any = None) -> float:
    """Return the threshold of an exit rule, the default for None.

    Raises
    ------
    ArgumentError
        If the rule is not known, or nothing could be below (or count up to) such a threshold.
    """
    rule = exit_rule(name)
    if threshold is None:
        return rule.threshold
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if rule.counts and not (number and threshold >= 1 and threshold == int(threshold)):
        msg = (
            f"threshold is {threshold!r}; {name!r} counts iterations without a change, so pass a whole "
            f"number of at least 1 (default {rule.threshold:g})."
        )
        raise ArgumentError(msg)
    if not (number and 0 < threshold < math.inf):
        msg = (
            f"threshold is {threshold!r}; {name!r} is never negative and stops when it falls below the "
            f"threshold, so pass a number above 0 (default {rule.threshold:g})."
        )
        raise ArgumentError(msg)
    return float(threshold)


def exit_values(name: str, summaries: Array, *, begins: bool = True) -> Array:
    """The numbers that an exit rule compares with its threshold, for a whole trajectory.

    Parameters
    ----------
    name : str
        A key of `EXIT_RULES`.
    summaries : array [iteration, ...]
        The rule's summary at iterations 0, 1, …: see `ExitRule`.
    begins : bool
        Whether the first one is that of iteration 0; False where it comes from the middle.

    Returns
    -------
    array [iteration, ...]
        NaN where too few iterations lie behind.

    Examples
    --------
    >>> import numpy as np
    >>> exit_values("argmax-stability", np.array([7, 7, 4, 4, 4])).tolist()
    [nan, 0.0, 0.0, 1.0, 2.0]
    """
    rule = exit_rule(name)
    xp = array_namespace(summaries)
    if begins and rule.start is not None:
        summaries = xp.concat([rule.start(summaries[:1]), summaries[1:]])
    count = summaries.shape[0] - rule.width + 1
    values = rule.change(*(summaries[k : max(k + count, k)] for k in range(rule.width)))
    if rule.counts:
        values = xp.stack(_run_lengths(values)) if len(values) else values
    wide = values if xp.isdtype(values.dtype, "real floating") else xp.astype(values, xp.float32)
    missing = (min(rule.width - 1, summaries.shape[0]), *wide.shape[1:])
    unknown = xp.full(missing, xp.nan, dtype=wide.dtype, device=device(wide))
    return xp.concat([unknown, wide])


def first_exit(name: str, values: Array, threshold: float | None = None) -> Array:
    """The iteration at which a rule would have stopped; -1 where it never would.

    Parameters
    ----------
    name : str
        A key of `EXIT_RULES`.
    values : numpy array [iteration, ...]
        From `exit_values`, iteration 0 first. NaN never stops anything.
    threshold : float, optional
        None: the rule's default.

    Returns
    -------
    numpy array [...] of int

    Examples
    --------
    >>> import numpy as np
    >>> int(first_exit("kl", np.array([np.nan, 0.3, 2e-3, 8e-4, 1e-3])))
    3
    """
    rule, limit = exit_rule(name), exit_threshold(name, threshold)
    xp = array_namespace(values)
    hit = values >= limit if rule.counts else values < limit
    for _ in range(rule.hits - 1):
        hit = xp.concat([hit[:1] & False, hit[1:] & hit[:-1]])
    first = xp.argmax(xp.astype(hit, xp.int8), axis=0)
    return xp.where(xp.any(hit, axis=0), first, -1)


def _run_lengths(stayed: Array) -> list[Array]:
    """How many of the last entries in a row were true."""
    lengths: list[Array] = []
    for now in stayed:
        lengths.append((lengths[-1] + 1) * now if lengths else 1 * now)
    return lengths

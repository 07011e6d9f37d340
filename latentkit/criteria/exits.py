"""Exit rules evaluated on a whole trajectory."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from array_api_compat import array_namespace, device

from latentkit.arguments import is_name_of
from latentkit.criteria.distances import Array
from latentkit.criteria.exit_rules import EXIT_RULES, ExitRule
from latentkit.errors import ArgumentError, nearest

__all__ = ["exit_rule", "exit_threshold", "exit_values", "first_exit", "is_number"]


def exit_rule(name: str) -> ExitRule:
    """Return the exit rule of that name.

    Raises
    ------
    ArgumentError
        If there is none.
    """
    if not is_name_of(name, EXIT_RULES):
        msg = f"No exit criterion named {name!r}. {nearest(str(name), EXIT_RULES)}"
        raise ArgumentError(msg)
    return EXIT_RULES[name]


def is_number(value: object) -> bool:
    """Whether a value is a real number, of Python or numpy, and not a Boolean."""
    return isinstance(value, Real) and not isinstance(value, bool)


def exit_threshold(name: str, threshold: Any = None) -> float:
    """Return the threshold of an exit rule, the default for None.

    Raises
    ------
    ArgumentError
        If the rule is not known, or the threshold is outside its range.
    """
    rule = exit_rule(name)
    if threshold is None:
        return rule.threshold
    number = is_number(threshold)
    if rule.counts and not (number and 1 <= threshold < math.inf and threshold == int(threshold)):
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
    """Values that an exit rule compares with its threshold, for a whole trajectory.

    Parameters
    ----------
    name : str
        A key of `EXIT_RULES`.
    summaries : array [iteration, ...]
        The rule's summary at iterations 0, 1, …: see `ExitRule`.
    begins : bool
        Whether the first summary is that of iteration 0.

    Returns
    -------
    array [iteration, ...]
        NaN where the rule needs more iterations before this one.

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
    """Iteration at which a rule would have stopped; -1 where it would not have.

    Parameters
    ----------
    name : str
        A key of `EXIT_RULES`.
    values : numpy array [iteration, ...]
        From `exit_values`, iteration 0 first. NaN never stops.
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
    """Number of successive true entries up to each place."""
    lengths: list[Array] = []
    for now in stayed:
        lengths.append((lengths[-1] + 1) * now if lengths else 1 * now)
    return lengths

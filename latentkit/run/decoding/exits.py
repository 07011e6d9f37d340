"""When to stop repeating the core: an exit rule at work, iteration by iteration."""

from __future__ import annotations

import math
from collections import deque

from torch import Tensor

from latentkit import criteria

__all__ = ["ExitWatch"]


class ExitWatch:
    """Follows one call's iterations and says when a rule is met.

    Parameters
    ----------
    name : str
        A key of `latentkit.criteria.EXIT_RULES`.
    threshold : float, optional
        None: the rule's default.
    """

    def __init__(self, name: str, threshold: float | None = None) -> None:
        self.name = name
        self.rule = criteria.exit_rule(name)
        self.threshold = criteria.exit_threshold(name, threshold)
        self._window: deque[Tensor] = deque(maxlen=self.rule.width)
        self._run = 0

    def begin(self, what: Tensor) -> None:
        """Take the raw state or the log-probabilities [position, hidden or vocab] of iteration 0."""
        summary = self.rule.summary(what)
        self._window.clear()
        self._window.append(summary if self.rule.start is None else self.rule.start(summary))
        self._run = 0

    def value(self, what: Tensor) -> float:
        """Return the rule's number at the next iteration: the mean over the positions of the call."""
        self._window.append(self.rule.summary(what))
        if len(self._window) < self.rule.width:
            return math.nan
        change = self.rule.change(*self._window)
        if not self.rule.counts:
            return float(change.mean())
        self._run = self._run + 1 if bool(change.all()) else 0
        return float(self._run)

    def met(self, value: float) -> bool:
        """Say whether the iterations end here; to be asked once for each value."""
        if self.rule.counts:
            return value >= self.threshold
        self._run = self._run + 1 if value < self.threshold else 0
        return self._run >= self.rule.hits

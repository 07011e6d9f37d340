"""Early exits while decoding: an exit rule evaluated iteration by iteration."""

from __future__ import annotations

import math
from collections import deque

from torch import Tensor

from latentkit import criteria

__all__ = ["ExitTest"]


class ExitTest:
    """Evaluates an exit rule on the iterations of one token.

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

    def start(self, values: Tensor) -> None:
        """Start a token with the states or log-probabilities [position, hidden | vocab] at iteration 0."""
        summary = self.rule.summary(values)
        self._window.clear()
        self._window.append(summary if self.rule.start is None else self.rule.start(summary))
        self._run = 0

    def value(self, values: Tensor) -> float:
        """Return the rule's number at the next iteration, the mean over the positions."""
        self._window.append(self.rule.summary(values))
        if len(self._window) < self.rule.width:
            return math.nan
        change = self.rule.change(*self._window)
        if not self.rule.counts:
            return float(change.mean())
        self._run = self._run + 1 if bool(change.all()) else 0
        return float(self._run)

    def met(self, value: float) -> bool:
        """Return whether the iterations end at this value; call it once for each value, in order."""
        if self.rule.counts:
            return value >= self.threshold
        self._run = self._run + 1 if value < self.threshold else 0
        return self._run >= self.rule.hits

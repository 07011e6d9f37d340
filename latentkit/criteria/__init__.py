"""Distances, divergences and entropy: one copy of each formula, for numpy and torch arrays alike.

The last axis is reduced; all others are kept. The functions do not depend on tokens or iterations.
"""

from __future__ import annotations

from latentkit.criteria.distances import cosine, distance
from latentkit.criteria.divergences import (
    DIVERGENCES,
    Divergence,
    entropy,
    js_divergence,
    kl_divergence,
    log_softmax,
    reverse_kl,
    total_variation,
)
from latentkit.criteria.exit_rules import EXIT_RULES, ExitRule, minp_log_probs
from latentkit.criteria.exits import exit_rule, exit_threshold, exit_values, first_exit, is_number
from latentkit.criteria.gates import exit_distribution, exit_quantile

__all__ = [
    "DIVERGENCES",
    "EXIT_RULES",
    "Divergence",
    "ExitRule",
    "cosine",
    "distance",
    "entropy",
    "exit_distribution",
    "exit_quantile",
    "exit_rule",
    "exit_threshold",
    "exit_values",
    "first_exit",
    "is_number",
    "js_divergence",
    "kl_divergence",
    "log_softmax",
    "minp_log_probs",
    "reverse_kl",
    "total_variation",
]

"""Runs: functions that turn a model and a prompt into a trace."""

from latentkit.run.decoding import run_decoding
from latentkit.run.estimation import Estimate, estimate
from latentkit.run.layers import (
    INTERVENTIONS,
    Intervention,
    InterventionTarget,
    run_layer_difference,
    run_layer_effect,
    run_layer_lens,
)
from latentkit.run.recurrence import run_lens, run_local_contraction, run_path_independence, run_recurrence
from latentkit.run.sweep import run_sweep

__all__ = [
    "INTERVENTIONS",
    "Estimate",
    "Intervention",
    "InterventionTarget",
    "estimate",
    "run_decoding",
    "run_layer_difference",
    "run_layer_effect",
    "run_layer_lens",
    "run_lens",
    "run_local_contraction",
    "run_path_independence",
    "run_recurrence",
    "run_sweep",
]

"""Comparisons of layers for any model: effect, lens and difference."""

from latentkit.run.layers.difference import run_layer_difference
from latentkit.run.layers.effect import run_layer_effect
from latentkit.run.layers.interventions import INTERVENTIONS, Intervention, InterventionTarget
from latentkit.run.layers.lens import run_layer_lens

__all__ = [
    "INTERVENTIONS",
    "Intervention",
    "InterventionTarget",
    "run_layer_difference",
    "run_layer_effect",
    "run_layer_lens",
]

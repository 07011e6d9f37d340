"""Comparisons of layers for any causal language model."""

from latentkit.run.layers.interventions import INTERVENTIONS, Intervened, Intervention
from latentkit.run.layers.tracing import run_layer_kl

__all__ = ["INTERVENTIONS", "Intervened", "Intervention", "run_layer_kl"]

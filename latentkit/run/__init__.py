"""What is done with a model: runs that turn a prompt into a trace."""

from __future__ import annotations

from latentkit.run.decoding import run_decoding
from latentkit.run.interventions import INTERVENTIONS, Intervened, Intervention
from latentkit.run.layers import run_layer_kl
from latentkit.run.lenses import run_lens
from latentkit.run.local_contraction import run_local_contraction
from latentkit.run.path_independence import run_path_independence
from latentkit.run.recurrence import run_recurrence

__all__ = [
    "INTERVENTIONS",
    "Intervened",
    "Intervention",
    "run_decoding",
    "run_layer_kl",
    "run_lens",
    "run_local_contraction",
    "run_path_independence",
    "run_recurrence",
]

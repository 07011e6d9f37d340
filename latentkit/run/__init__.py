"""What is done with a model: runs that turn a prompt into a trace."""

from latentkit.run.decoding import run_decoding
from latentkit.run.layers import INTERVENTIONS, Intervened, Intervention, run_layer_kl
from latentkit.run.recurrence import run_lens, run_local_contraction, run_path_independence, run_recurrence

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

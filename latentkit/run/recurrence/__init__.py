"""Runs of one prompt through a recurrent-depth model, iteration by iteration."""

from latentkit.run.recurrence.contraction import run_local_contraction
from latentkit.run.recurrence.lens import run_lens
from latentkit.run.recurrence.path_independence import run_path_independence
from latentkit.run.recurrence.tracing import run_recurrence

__all__ = ["run_lens", "run_local_contraction", "run_path_independence", "run_recurrence"]

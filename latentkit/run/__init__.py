"""What is done with a model: runs that turn a prompt into a trace."""

from __future__ import annotations

from latentkit.run.decoding import run_decoding
from latentkit.run.lenses import run_lens
from latentkit.run.recurrence import run_recurrence

__all__ = ["run_decoding", "run_lens", "run_recurrence"]

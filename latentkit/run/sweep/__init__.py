"""The same run on many prompts, into one store."""

from latentkit.run.sweep.sweep import run_sweep

__all__ = ["run_sweep"]

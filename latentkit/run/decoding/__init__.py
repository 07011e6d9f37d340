"""Text generation with a readout of every iteration of every token."""

from latentkit.run.decoding.tracing import run_decoding

__all__ = ["run_decoding"]

"""Text generation in which every iteration of every token is read out."""

from latentkit.run.decoding.tracing import run_decoding

__all__ = ["run_decoding"]

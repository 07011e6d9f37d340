"""Base class of the networks of all families: context, loop and forward pass."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.errors import ArgumentError
from latentkit.models.cache import IterationCache
from latentkit.models.huginn import ForwardOutput

__all__ = ["LoopContext", "LoopSizes", "LoopedNetwork"]


@dataclass(frozen=True)
class LoopSizes:
    """Sizes of a network.

    Attributes
    ----------
    state, hidden : int
        Number of channels of the state and of the head's input.
    vocab, context : int
        Number of logits and maximum sequence length.
    cached : int
        Number of key channels per position of one attention call.
    prelude, core, coda : int
        Number of attention calls before the loop, in one iteration and after the loop.
    """

    state: int
    hidden: int
    vocab: int
    context: int
    cached: int = 0
    prelude: int = 0
    core: int = 1
    coda: int = 0


@dataclass(frozen=True)
class LoopContext:
    """Output of the prelude, used at every iteration."""

    embedding: Float[Tensor, "batch token state"]
    positions: Int[Tensor, " token"]
    token_ids: Int[Tensor, "batch token"]
    rope: Tensor
    cache: IterationCache | None = None
    mask: Tensor | None = None


class LoopedNetwork(nn.Module):
    """Network with a loop; each family implements the methods below and shares `forward`.

    ``seeded`` is False if the loop starts from the input. ``trained_iterations`` is None if the network was
    trained with a varying number of iterations.
    """

    sizes: LoopSizes
    seeded = False
    trained_iterations: int | None = None
    lm_head: nn.Module

    def rope(self, positions: Int[Tensor, " token"]) -> Tensor:
        """Return the rotary table of the positions."""
        raise NotImplementedError

    def read_in(
        self, token_ids: Int[Tensor, "batch token"], rope: Tensor, cache: IterationCache | None
    ) -> Float[Tensor, "batch token state"]:
        """Embed the tokens and run the prelude."""
        raise NotImplementedError

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Fill a tensor with a random initial state; only for families that start from noise."""
        raise NotImplementedError

    def iterate_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> list[Float[Tensor, "batch token state"]]:
        """Return the state after each block of one iteration; ``iteration`` only sets the cache keys."""
        raise NotImplementedError

    def iterate(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> Float[Tensor, "batch token state"]:
        """Run one iteration and return the state."""
        return self.iterate_blocks(state, context, iteration)[-1]

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return the normalised latent state, on which distances are computed."""
        raise NotImplementedError

    def read_out(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch token hidden"]:
        """Return the input of the head."""
        raise NotImplementedError

    def core_blocks(self) -> list[nn.Module]:
        """Return the blocks in the order of their calls in one iteration."""
        raise NotImplementedError

    def outer_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the blocks before and after the loop."""
        return [], []

    def optional_tensors(self) -> dict[str, tuple[int, ...] | None]:
        """Return the shapes of tensors that a checkpoint may contain besides the weights; None: any shape."""
        return {}

    def recomputed(self, name: str) -> Tensor | None:  # noqa: ARG002 (most families have none)
        """Return the values of an optional tensor if the config determines them, else None."""
        return None

    def tie(self) -> LoopedNetwork:
        """Tie the weights that the family shares, and return the module."""
        return self

    def context(
        self, token_ids: Int[Tensor, "batch token"], cache: IterationCache | None = None
    ) -> LoopContext:
        """Run the prelude on new tokens, which follow those in the cache, and return the context."""
        start = 0
        if cache is not None:
            cache.begin(token_ids.shape[1])
            start = cache.start
        positions = torch.arange(start, start + token_ids.shape[1], device=token_ids.device)
        rope = self.rope(positions)
        return LoopContext(self.read_in(token_ids, rope, cache), positions, token_ids, rope, cache)

    def forward(
        self,
        token_ids: Int[Tensor, "batch token"],
        *,
        iterations: int,
        grad_iterations: int = 0,
        initial_state: Float[Tensor, "batch token state"] | None = None,
        labels: Int[Tensor, "batch token"] | None = None,
    ) -> ForwardOutput:
        """Run the whole model, with gradients through the last ``grad_iterations`` iterations only.

        Parameters
        ----------
        token_ids : Tensor [batch, token]
        iterations, grad_iterations : int
            Number of core iterations, and number of final iterations with gradients.
        initial_state : Tensor [batch, token, state], optional
            None uses the embedding, or a draw from torch's global generator if the family starts from noise.
        labels : Tensor [batch, token], optional
            Target token at each position (already shifted); positions with -100 are ignored.
        """
        if not 0 <= grad_iterations <= iterations:
            raise ArgumentError(
                f"grad_iterations is {grad_iterations} and iterations is {iterations}; "
                "pass 0 <= grad_iterations <= iterations."
            )
        context = self.context(token_ids)
        state = initial_state
        if state is None:
            state = self.draw(torch.empty_like(context.embedding), None) if self.seeded else context.embedding
        for i in range(iterations):
            with torch.no_grad() if i < iterations - grad_iterations else nullcontext():
                state = self.iterate(state, context)
        logits: Tensor = self.lm_head(self.read_out(state, context)).float()
        if labels is None:
            return ForwardOutput(None, logits)
        return ForwardOutput(F.cross_entropy(logits.flatten(0, 1), labels.flatten()), logits)

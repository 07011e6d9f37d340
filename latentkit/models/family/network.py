"""What the networks of all families have in common: a context, a loop and a forward pass."""

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
        Channels of the state, and of what the head reads.
    vocab, context : int
        Number of logits, and the longest sequence.
    cached : int
        Channels of the keys of one attention call at one position.
    prelude, core, coda : int
        Attention calls before the loop, in one iteration and after the loop.
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
    """What the prelude leaves for the iterations."""

    embedding: Float[Tensor, "batch token state"]
    positions: Int[Tensor, " token"]
    token_ids: Int[Tensor, "batch token"]
    rope: Tensor
    cache: IterationCache | None = None
    mask: Tensor | None = None


class LoopedNetwork(nn.Module):
    """A network with a loop. A family implements the methods below; `forward` is shared.

    ``seeded`` is False where the loop starts from the input, and ``trained_iterations`` is None where the
    network was trained at many depths.
    """

    sizes: LoopSizes
    seeded = False
    trained_iterations: int | None = None
    lm_head: nn.Module

    def rope(self, positions: Int[Tensor, " token"]) -> Tensor:
        """Return the rotary angles of the positions."""
        raise NotImplementedError

    def read_in(
        self, token_ids: Int[Tensor, "batch token"], rope: Tensor, cache: IterationCache | None
    ) -> Float[Tensor, "batch token state"]:
        """Embed and run the prelude."""
        raise NotImplementedError

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Fill a tensor with a random start, where the family has one."""
        raise NotImplementedError

    def iterate_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> list[Float[Tensor, "batch token state"]]:
        """Return the state after each block of one iteration; ``iteration`` only names cache entries."""
        raise NotImplementedError

    def iterate(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> Float[Tensor, "batch token state"]:
        """Return the state after one iteration."""
        return self.iterate_blocks(state, context, iteration)[-1]

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return what distances compare."""
        raise NotImplementedError

    def read_out(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch token hidden"]:
        """Return what the head reads."""
        raise NotImplementedError

    def core_blocks(self) -> list[nn.Module]:
        """Return the blocks in the order in which one iteration calls them."""
        raise NotImplementedError

    def outer_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the blocks before and after the loop."""
        return [], []

    def optional_tensors(self) -> dict[str, tuple[int, ...] | None]:
        """Return what a checkpoint may hold beside the weights, with its shape; None: any shape."""
        return {}

    def recomputed(self, name: str) -> Tensor | None:  # noqa: ARG002 (most families have none)
        """Return what an optional tensor must hold, where that follows from the config."""
        return None

    def tie(self) -> LoopedNetwork:
        """Let parts share weights where the family does so; returns the module."""
        return self

    def context(
        self, token_ids: Int[Tensor, "batch token"], cache: IterationCache | None = None
    ) -> LoopContext:
        """Read new tokens in; they follow those in the cache."""
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
        """Run the whole model, with gradient through the last ``grad_iterations`` iterations only.

        Parameters
        ----------
        token_ids : Tensor [batch, token]
        iterations, grad_iterations : int
            How often the core runs, and how many of the last ones carry gradient.
        initial_state : Tensor [batch, token, state], optional
            None: the embedding, or a draw from torch's global generator where the family starts from noise.
        labels : Tensor [batch, token], optional
            The token wanted at each position (already shifted); -100 is left out.
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

"""Implements the methods of `latentkit.models.contract` for the networks of the families."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from latentkit.models.cache import IterationCache
from latentkit.models.family.network import LoopContext, LoopedNetwork
from latentkit.models.lookup import parse_lookup
from latentkit.models.verbs import position_seed

__all__ = ["LoopedDecoder", "LoopedModel"]


class LoopedModel:
    """Looped model of a family other than Huginn; see `latentkit.models.contract`.

    Parameters
    ----------
    module : LoopedNetwork
        The network; it is set to evaluation mode.
    tokenizer : PreTrainedTokenizerFast, optional
        None if the model folder has no tokenizer; prompts must then be lists of token ids.
    name, revision : str
        Name and revision of the model, stored in the attributes of a trace.
    """

    causal = True

    def __init__(
        self, module: Any, tokenizer: Any = None, *, name: str = "looped", revision: str | None = None
    ) -> None:
        self.module: Any = module.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.revision = revision

    def __repr__(self) -> str:
        network: LoopedNetwork = self.module
        outer = [len(blocks) for blocks in network.outer_blocks()]
        stacks = f"{outer[0]}+{len(network.core_blocks())}×r+{outer[1]}"
        dtype = str(self.dtype).removeprefix("torch.")
        sizes = f"state {self.hidden_size}, vocab {self.vocab_size}"
        return f"<{self.name}: {stacks} blocks, {sizes}, {dtype} on {self.device}>"

    @property
    def seeded(self) -> bool:
        """Whether the initial state depends on the seed."""
        return bool(self.module.seeded)

    @property
    def trained_iterations(self) -> int | None:
        """Fixed number of iterations in training; None if the number varied."""
        trained: int | None = self.module.trained_iterations
        return trained

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of weights and states."""
        weight: Tensor = next(iter(self.module.parameters()))
        return weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        weight: Tensor = next(iter(self.module.parameters()))
        return weight.device

    @property
    def hidden_size(self) -> int:
        """Number of channels of a state."""
        return int(self.module.sizes.state)

    @property
    def vocab_size(self) -> int:
        """Number of logits."""
        return int(self.module.sizes.vocab)

    @property
    def context_length(self) -> int:
        """Maximum sequence length of the model."""
        return int(self.module.sizes.context)

    @torch.no_grad()
    def embed(
        self, token_ids: Int[Tensor, "batch token"], *, cache: IterationCache | None = None
    ) -> LoopContext:
        """Run the prelude on new tokens; they follow those in the cache."""
        context: LoopContext = self.module.context(token_ids.to(self.device), cache)
        return context

    @torch.no_grad()
    def initial_state(self, context: LoopContext, seed: int | None) -> Float[Tensor, "batch token state"]:
        """Return the initial state.

        A model without a seed starts from the embedding. For other models, the state of each position is
        drawn from a separate generator; seed None gives zeros.
        """
        like = context.embedding
        if not self.seeded:
            return like.clone()
        if seed is None:
            return torch.zeros_like(like)
        row = torch.empty(self.hidden_size)
        rows = [
            self.module.draw(row.clone(), torch.Generator().manual_seed(position_seed(seed, position)))
            for position in context.positions.tolist()
        ]
        start = torch.stack(rows).to(device=like.device, dtype=like.dtype)
        return start.expand(like.shape[0], -1, -1).contiguous()

    @torch.no_grad()
    def step(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch token state"]:
        """Run one iteration of the core."""
        iteration = 0
        if context.cache is not None:
            iteration, context.cache.iteration = context.cache.iteration, context.cache.iteration + 1
        after: Tensor = self.module.iterate(state, context, iteration)
        return after

    @torch.no_grad()
    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return the normalised latent state, on which distances are computed."""
        latent: Tensor = self.module.normalise(state)
        return latent

    @torch.no_grad()
    def readout(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch token vocab"]:
        """Return the float32 logits of a state."""
        logits: Tensor = self.module.lm_head(self.module.read_out(state, context))
        return logits.float()


class LoopedDecoder(LoopedModel):
    """Looped next-token model with all optional methods of the contract except `exit_probability`."""

    def new_cache(self, lookup: str = "full", *, room: int = 0) -> IterationCache:
        """Return an empty cache for `embed`, with which each token is processed only once.

        Parameters
        ----------
        lookup : str
            Which entries a token reads at positions that stopped earlier; see `latentkit.models.lookup`.
        room : int
            Number of positions for which memory is reserved at once.
        """
        sizes = self.module.sizes
        return IterationCache(prelude=sizes.prelude, core=sizes.core, lookup=parse_lookup(lookup), room=room)

    def cache_bytes(self, lookup: str, *, tokens: int, iterations: int) -> int:
        """Return the size in bytes of a cache for ``tokens`` positions and ``iterations`` iterations."""
        sizes = self.module.sizes
        kept = parse_lookup(lookup).iterations_kept(iterations, sizes.core)
        calls = sizes.prelude + kept * sizes.core + sizes.coda
        return int(tokens * calls * 2 * sizes.cached * self.dtype.itemsize)

    @torch.no_grad()
    def last_hidden(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch state"]:
        """Return the input of the head at the last position; ``head(last_hidden(…))`` gives its logits."""
        hidden: Tensor = self.module.read_out(state, context)[:, -1]
        return hidden

    @torch.no_grad()
    def head(self, hidden: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch vocab"]:
        """Return the float32 logits of hidden vectors; for a normalised latent state, the logit lens."""
        logits: Tensor = self.module.lm_head(hidden)
        return logits.float()

    @torch.no_grad()
    def step_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> list[Float[Tensor, "batch token state"]]:
        """Run one iteration and return the state after each block; the last one equals `step`'s result.

        If a norm ends each iteration, it is applied to each of these states, as if the iteration ended
        there. The context must have no cache.
        """
        assert context.cache is None, "a cache counts the iterations that `step` runs"
        states: list[Tensor] = self.module.iterate_blocks(state, context)
        return states

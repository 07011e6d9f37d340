"""Implements the methods of `latentkit.models.contract` for Huginn's architecture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from latentkit.models.cache import IterationCache
from latentkit.models.huginn import Huginn, HuginnConfig, random_state, rope_table
from latentkit.models.lookup import parse_lookup
from latentkit.models.stored.checkpoint import read_module

__all__ = ["HuginnContext", "HuginnModel", "load", "position_seed"]


@dataclass(frozen=True)
class HuginnContext:
    """Output of the prelude, used at every iteration."""

    embedding: Float[Tensor, "batch token hidden"]
    positions: Int[Tensor, " token"]
    rope: Float[Tensor, "token pair 2"]
    cache: IterationCache | None = None


class HuginnModel:
    """Recurrent-depth model with the methods of `latentkit.models.contract`.

    Parameters
    ----------
    module : Huginn
        The network; it is set to evaluation mode.
    tokenizer : PreTrainedTokenizerFast, optional
        None if the model folder has no tokenizer; prompts must then be lists of token ids.
    name, revision : str
        Name and revision of the model, stored in the attributes of a trace.
    """

    seeded = True
    causal = True
    trained_iterations: int | None = None

    def __init__(
        self, module: Huginn, tokenizer: Any = None, *, name: str = "huginn", revision: str | None = None
    ) -> None:
        self.module = module.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.revision = revision

    def __repr__(self) -> str:
        c = self.config
        stacks = f"{c.n_layers_in_prelude}+{c.n_layers_in_recurrent_block}×r+{c.n_layers_in_coda}"
        dtype = str(self.dtype).removeprefix("torch.")
        sizes = f"hidden {c.n_embd}, vocab {c.vocab_size}"
        return f"<{self.name}: {stacks} blocks, {sizes}, {dtype} on {self.device}>"

    @property
    def config(self) -> HuginnConfig:
        """Configuration of the network."""
        return self.module.config

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of weights and states."""
        return self.module.transformer.wte.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.module.transformer.wte.weight.device

    @property
    def hidden_size(self) -> int:
        """Number of channels of a state."""
        return self.config.n_embd

    @property
    def vocab_size(self) -> int:
        """Number of logits."""
        return self.config.vocab_size

    @property
    def context_length(self) -> int:
        """Maximum sequence length of the model."""
        return self.config.block_size

    def new_cache(self, lookup: str = "full", *, room: int = 0) -> IterationCache:
        """Return an empty cache for `embed`, with which each token is processed only once.

        Parameters
        ----------
        lookup : str
            Which entries a token reads at positions that stopped earlier; see `latentkit.models.lookup`.
        room : int
            Number of positions for which memory is reserved at once.
        """
        c = self.config
        return IterationCache(
            prelude=c.n_layers_in_prelude,
            core=c.n_layers_in_recurrent_block,
            lookup=parse_lookup(lookup),
            room=room,
        )

    def cache_bytes(self, lookup: str, *, tokens: int, iterations: int) -> int:
        """Return the size in bytes of a cache for ``tokens`` positions and ``iterations`` iterations."""
        c = self.config
        kept = parse_lookup(lookup).iterations_kept(iterations, c.n_layers_in_recurrent_block)
        blocks = c.n_layers_in_prelude + kept * c.n_layers_in_recurrent_block + c.n_layers_in_coda
        return int(tokens * blocks * 2 * self.hidden_size * self.dtype.itemsize)

    @torch.no_grad()
    def embed(
        self, token_ids: Int[Tensor, "batch token"], *, cache: IterationCache | None = None
    ) -> HuginnContext:
        """Run the prelude on new tokens; they follow those in the cache."""
        token_ids = token_ids.to(self.device)
        start = 0
        if cache is not None:
            cache.begin(token_ids.shape[1])
            start = cache.start
        positions = torch.arange(start, start + token_ids.shape[1], device=self.device)
        rope = rope_table(self.config, positions)
        return HuginnContext(self.module.read_in(token_ids, rope, cache), positions, rope, cache)

    @torch.no_grad()
    def initial_state(self, context: HuginnContext, seed: int | None) -> Float[Tensor, "batch token hidden"]:
        """Draw the initial state of each position from a separate generator; zeros if ``seed`` is None.

        The initial state at position p depends only on (seed, p), so the trace of a prefix equals the
        corresponding part of the trace of the whole sequence.
        """
        like = context.embedding
        if seed is None:
            return torch.zeros_like(like, dtype=self.dtype)
        row = torch.empty(self.hidden_size)
        rows = [
            random_state(self.config, row, torch.Generator().manual_seed(position_seed(seed, position)))
            for position in context.positions.tolist()
        ]
        start = torch.stack(rows).to(device=like.device, dtype=self.dtype)
        return start.expand(like.shape[0], -1, -1).contiguous()

    @torch.no_grad()
    def step(
        self, state: Float[Tensor, "batch token hidden"], context: HuginnContext
    ) -> Float[Tensor, "batch token hidden"]:
        """Run one iteration of the core."""
        if context.cache is None:
            return self.module.iterate(state, context.embedding, context.rope)
        iteration, context.cache.iteration = context.cache.iteration, context.cache.iteration + 1
        return self.module.iterate(state, context.embedding, context.rope, context.cache, iteration)

    @torch.no_grad()
    def normalise(self, state: Float[Tensor, "... hidden"]) -> Float[Tensor, "... hidden"]:
        """Return the normalised latent state s = ln_f(x), on which distances are computed."""
        latent: Tensor = self.module.transformer.ln_f(state)
        return latent

    @torch.no_grad()
    def readout(
        self, state: Float[Tensor, "batch token hidden"], context: HuginnContext
    ) -> Float[Tensor, "batch token vocab"]:
        """Return the float32 logits of a state, after final norm, coda, final norm and head."""
        hidden = self.module.read_out(state, context.rope, context.cache)
        logits: Tensor = self.module.lm_head(hidden)
        return logits.float()

    @torch.no_grad()
    def last_hidden(
        self, state: Float[Tensor, "batch token hidden"], context: HuginnContext
    ) -> Float[Tensor, "batch hidden"]:
        """Return the input of the head at the last position; ``head(last_hidden(…))`` gives its logits."""
        return self.module.read_out(state, context.rope, context.cache)[:, -1]

    @torch.no_grad()
    def head(self, hidden: Float[Tensor, "... hidden"]) -> Float[Tensor, "... vocab"]:
        """Return the float32 logits of hidden vectors; for a normalised latent state, the logit lens."""
        logits: Tensor = self.module.lm_head(hidden)
        return logits.float()

    @torch.no_grad()
    def step_blocks(
        self, state: Float[Tensor, "batch token hidden"], context: HuginnContext
    ) -> list[Float[Tensor, "batch token hidden"]]:
        """Run one iteration and return the state after each block; the last one equals `step`'s result.

        The context must have no cache.
        """
        assert context.cache is None, "a cache counts the iterations that `step` runs"
        x = self.module.inject(state, context.embedding)
        states = []
        for block in self.module.transformer.core_block:
            x = block(x, context.rope)
            states.append(x)
        return states


def load(
    folder: Path,
    *,
    tokenizer: Any,
    name: str,
    revision: str | None,
    dtype: torch.dtype | None,
    device: torch.device,
) -> HuginnModel:
    """Load a folder in the released layout; see `latentkit.models.registry.Loader`."""
    return HuginnModel(read_module(folder, dtype, device), tokenizer, name=name, revision=revision)


def position_seed(seed: int, position: int) -> int:
    """Combine seed and position into a 32-bit seed for torch's CPU generator."""
    return int(np.random.SeedSequence((seed, position)).generate_state(1)[0])

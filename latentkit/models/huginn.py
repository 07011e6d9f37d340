"""Architecture of Huginn, a transformer that repeats its middle stack of blocks.

Differences from a standard decoder:

* three stacks of blocks: the *prelude* runs once, the *core* is repeated, the *coda* runs before the head;
* every iteration of the core takes the prelude's output as a second input (the *injection*);
* the core has no iteration index as input: the state follows x_{i+1} = F(x_i ; e);
* "sandwich" blocks: norms 2 and 4 follow the residual sums, so the residual stream itself is normalised,
  and the raw state is fed back;
* the final norm ``ln_f`` has a single weight and is applied twice, before and after the coda;
* rotary embeddings rotate interleaved pairs of channels, not the two halves of a head.

The parameters have the names of the released weights [1]_, so a checkpoint needs no renaming.

References
----------
.. [1] Geiping et al. (2025), *Scaling up Test-Time Compute with Latent Reasoning: A Recurrent Depth
   Approach*, arXiv:2502.05171; weights ``tomg-group-umd/huginn-0125``.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.errors import ArgumentError
from latentkit.models.blocks import (
    Embedding,
    GatedMLP,
    KeyValueCache,
    Linear,
    RMSNorm,
    SandwichBlock,
    rope_table,
)
from latentkit.models.config import HuginnConfig

__all__ = ["ForwardOutput", "Huginn", "HuginnConfig", "init_weights", "random_state", "rope_table"]


class ForwardOutput(NamedTuple):
    """Output of `Huginn.forward`: the loss (None without labels) and the logits."""

    loss: Float[Tensor, ""] | None
    logits: Float[Tensor, "batch token vocab"]


class Stacks(nn.Module):
    """All modules except the head, with the parameter names of the released weights."""

    def __init__(self, config: HuginnConfig) -> None:
        super().__init__()
        h = config.n_embd
        self.wte = Embedding(config.vocab_size, h)
        self.adapter: nn.Module | None = None  # injections `add` and `gate` have no weights
        if config.injection_type == "linear":
            self.adapter = Linear(2 * h, h, bias=config.bias)
        elif config.injection_type == "ffn":
            self.adapter = GatedMLP(2 * h, config.intermediate_size, h)
        self.prelude = _stack(config, config.n_layers_in_prelude)
        self.core_block = _stack(config, config.n_layers_in_recurrent_block)
        self.coda = _stack(config, config.n_layers_in_coda)
        self.ln_f = RMSNorm(h, config.norm_eps)


def _stack(config: HuginnConfig, count: int) -> nn.ModuleList:
    return nn.ModuleList(SandwichBlock(config) for _ in range(count))


class Huginn(nn.Module):
    """Network with embedding, prelude, repeated core, coda and head.

    Parameters
    ----------
    config : HuginnConfig
        Configuration of the model.

    Notes
    -----
    The weights are uninitialised. Load a checkpoint, or call `init_weights` before training.
    """

    def __init__(self, config: HuginnConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Stacks(config)
        self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)
        self.tie()

    def tie(self) -> Huginn:
        """Tie the head to the embedding if ``tie_embeddings`` is set, and return the module."""
        if self.config.tie_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
        return self

    @property
    def injected_norm(self) -> RMSNorm:
        """Last norm of the prelude; its weight sets the magnitude of the injected signal."""
        last = self.transformer.prelude[-1]
        assert isinstance(last, SandwichBlock)
        return last.norm_4

    def read_in(
        self, token_ids: Int[Tensor, "batch token"], rope: Tensor, cache: KeyValueCache | None = None
    ) -> Float[Tensor, "batch token hidden"]:
        """Embed the tokens, run the prelude (cache keys 0, 1, …) and return the injected signal e."""
        x: Tensor = self.transformer.wte(token_ids) * math.sqrt(self.config.n_embd)
        for i, block in enumerate(self.transformer.prelude):
            x = block(x, rope, cache, i)
        return x

    def inject(self, state: Tensor, embedding: Tensor) -> Tensor:
        """Combine the state with the prelude's output; the state comes first in the concatenation."""
        adapter = self.transformer.adapter
        if adapter is None:
            return state + embedding if self.config.injection_type == "add" else state * embedding
        mixed: Tensor = adapter(torch.cat((state, embedding), dim=-1))
        return mixed

    def iterate(
        self,
        state: Float[Tensor, "batch token hidden"],
        embedding: Float[Tensor, "batch token hidden"],
        rope: Tensor,
        cache: KeyValueCache | None = None,
        iteration: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Run one iteration; ``iteration``, counted from 0, only determines the cache keys."""
        x = self.inject(state, embedding)
        core = self.transformer.core_block
        first = self.config.n_layers_in_prelude + iteration * len(core)
        for i, block in enumerate(core):
            x = block(x, rope, cache, first + i)
        return x

    def read_out(
        self, state: Float[Tensor, "batch token hidden"], rope: Tensor, cache: KeyValueCache | None = None
    ) -> Float[Tensor, "batch token hidden"]:
        """Apply final norm, coda (cache keys -1, -2, …) and final norm; return the input of `lm_head`."""
        x: Tensor = self.transformer.ln_f(state)
        for i, block in enumerate(self.transformer.coda):
            x = block(x, rope, cache, -(i + 1))
        hidden: Tensor = self.transformer.ln_f(x)
        return hidden

    def forward(
        self,
        token_ids: Int[Tensor, "batch token"],
        *,
        iterations: int,
        grad_iterations: int = 0,
        initial_state: Float[Tensor, "batch token hidden"] | None = None,
        labels: Int[Tensor, "batch token"] | None = None,
    ) -> ForwardOutput:
        """Run the whole model, with gradients through the last iterations only.

        Parameters
        ----------
        token_ids : Tensor [batch, token]
            Token ids without padding.
        iterations : int
            Total number of core iterations.
        grad_iterations : int
            Number of final iterations with gradients (truncated backpropagation).
        initial_state : Tensor [batch, token, hidden], optional
            Initial state. None draws one from torch's global generator.
        labels : Tensor [batch, token], optional
            Next token at each position (already shifted); positions with -100 are ignored.

        Returns
        -------
        ForwardOutput
            Mean cross-entropy in nats (None without labels) and logits [batch, token, vocab], float32.
        """
        latent = self.latent(
            token_ids, iterations=iterations, grad_iterations=grad_iterations, initial_state=initial_state
        )
        logits = self.lm_head(latent).float()
        if labels is None:
            return ForwardOutput(None, logits)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        return ForwardOutput(loss, logits)

    def latent(
        self,
        token_ids: Int[Tensor, "batch token"],
        *,
        iterations: int,
        grad_iterations: int = 0,
        initial_state: Float[Tensor, "batch token hidden"] | None = None,
    ) -> Float[Tensor, "batch token hidden"]:
        """Run prelude, core and coda as `forward` does; return the input of the head."""
        if not 0 <= grad_iterations <= iterations:
            raise ArgumentError(
                f"grad_iterations is {grad_iterations} and iterations is {iterations}; "
                "pass 0 <= grad_iterations <= iterations."
            )
        rope = rope_table(self.config, torch.arange(token_ids.shape[1], device=token_ids.device))
        embedding = self.read_in(token_ids, rope)
        state = random_state(self.config, embedding) if initial_state is None else initial_state
        for i in range(iterations):
            with torch.no_grad() if i < iterations - grad_iterations else nullcontext():
                state = self.iterate(state, embedding, rope)
        return self.read_out(state, rope)


def random_state(config: HuginnConfig, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw an initial state from a normal with variance 2/5, truncated at three standard deviations.

    Parameters
    ----------
    config : HuginnConfig
        Determines the scale.
    like : Tensor
        Sets shape, dtype and device of the result.
    generator : torch.Generator, optional
        Source of random numbers; None uses torch's global generator.
    """
    scale = math.sqrt(config.n_embd) * config.init_std
    state = torch.empty_like(like)
    return nn.init.trunc_normal_(state, std=scale, a=-3 * scale, b=3 * scale, generator=generator)


def init_weights(module: Huginn, generator: torch.Generator | None = None) -> Huginn:
    """Initialise all weights in place, by the "takase" scheme of the paper.

    Matrices and the embedding are truncated normal with standard deviation sqrt(2 / (5 h)). For projections
    into the residual stream it is divided by sqrt(2 · depth), where depth is the number of blocks applied at
    the mean number of iterations. Norm weights are 1, except for the prelude's last norm, whose weights are
    ``injection_scale``. Biases are 0.
    """
    std = module.config.init_std
    residual_std = std / math.sqrt(2 * module.config.effective_depth)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "norm_" in name or "ln_f" in name:
                weight.fill_(1.0)
            elif name.endswith("bias"):
                weight.zero_()
            else:
                size = residual_std if name.endswith(("attn.proj.weight", "mlp.proj.weight")) else std
                nn.init.trunc_normal_(weight, std=size, a=-3 * size, b=3 * size, generator=generator)
        module.injected_norm.weight.fill_(module.config.injection_scale)
    return module

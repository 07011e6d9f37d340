"""Huginn's architecture: a transformer that repeats its middle block.

What is unusual, compared with an ordinary decoder:

* three stacks: a *prelude* read once, a *core* that is repeated, a *coda* that reads out;
* the core gets the prelude's output anew at every iteration (the *injection*), beside its own state;
* nothing tells the core which iteration it is in: the state follows x_{i+1} = F(x_i ; e);
* "sandwich" blocks: norms 2 and 4 stand after the residual sums, so the residual stream itself is
  normalised and the raw state is what is fed back;
* the final norm ``ln_f`` is one weight used twice: before the coda and after it;
* rotary embeddings turn interleaved pairs of channels, not halves.

The names of the parameters are those of the released weights [1]_, so a checkpoint needs no renaming.

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
    """What `Huginn.forward` returns: the loss where labels were given, and the logits."""

    loss: Float[Tensor, ""] | None
    logits: Float[Tensor, "batch token vocab"]


class Stacks(nn.Module):
    """Everything but the head, under the names of the released weights."""

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
    """The network: embedding, prelude, repeated core, coda, head.

    Parameters
    ----------
    config : HuginnConfig
        Sizes and switches.

    Notes
    -----
    Weights have no values yet: load a checkpoint, or call `init_weights` for a model to train.
    """

    def __init__(self, config: HuginnConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Stacks(config)
        self.lm_head = Linear(config.n_embd, config.vocab_size, bias=False)
        self.tie()

    def tie(self) -> Huginn:
        """Let the head share the embedding's weights, where the config says so; returns the module."""
        if self.config.tie_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
        return self

    @property
    def injected_norm(self) -> RMSNorm:
        """The prelude's last norm: its weight decides how loud the injected signal is."""
        last = self.transformer.prelude[-1]
        assert isinstance(last, SandwichBlock)
        return last.norm_4

    def read_in(
        self, token_ids: Int[Tensor, "batch token"], rope: Tensor, cache: KeyValueCache | None = None
    ) -> Float[Tensor, "batch token hidden"]:
        """Embed and run the prelude: the signal e that every iteration gets (cache keys 0, 1, …)."""
        x: Tensor = self.transformer.wte(token_ids) * math.sqrt(self.config.n_embd)
        for i, block in enumerate(self.transformer.prelude):
            x = block(x, rope, cache, i)
        return x

    def inject(self, state: Tensor, embedding: Tensor) -> Tensor:
        """Combine the state with the prelude's output, the state first."""
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
        """Run one iteration; ``iteration``, counted from 0, only names its entries in the cache."""
        x = self.inject(state, embedding)
        core = self.transformer.core_block
        first = self.config.n_layers_in_prelude + iteration * len(core)
        for i, block in enumerate(core):
            x = block(x, rope, cache, first + i)
        return x

    def read_out(
        self, state: Float[Tensor, "batch token hidden"], rope: Tensor, cache: KeyValueCache | None = None
    ) -> Float[Tensor, "batch token hidden"]:
        """Run final norm, coda and final norm again (cache keys -1, -2, …); `lm_head` comes after."""
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
        """Run the whole model, with gradient through the last iterations only.

        Parameters
        ----------
        token_ids : Tensor [batch, token]
            Token numbers, no padding.
        iterations : int
            How often the core runs in all.
        grad_iterations : int
            How many of these, the last ones, carry gradient (truncated backpropagation).
        initial_state : Tensor [batch, token, hidden], optional
            Where the state starts; else a fresh draw from torch's global generator.
        labels : Tensor [batch, token], optional
            The token that follows at each position (already shifted); -100 is left out.

        Returns
        -------
        ForwardOutput
            Mean cross-entropy in nats (None without labels) and logits [batch, token, vocab], float32.
        """
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
        logits = self.lm_head(self.read_out(state, rope)).float()
        if labels is None:
            return ForwardOutput(None, logits)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        return ForwardOutput(loss, logits)


def random_state(config: HuginnConfig, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw an initial state: normal with variance 2/5, cut at three standard deviations.

    Parameters
    ----------
    config : HuginnConfig
        Gives the scale.
    like : Tensor
        Shape, dtype and device of the result.
    generator : torch.Generator, optional
        Where the numbers come from; torch's global generator by default.
    """
    scale = math.sqrt(config.n_embd) * config.init_std
    state = torch.empty_like(like)
    return nn.init.trunc_normal_(state, std=scale, a=-3 * scale, b=3 * scale, generator=generator)


def init_weights(module: Huginn, generator: torch.Generator | None = None) -> Huginn:
    """Give every weight its starting value, in place: the "takase" scheme of the paper.

    Matrices and embedding are truncated normal with standard deviation sqrt(2 / (5 h)); what writes into
    the residual stream is smaller by sqrt(2 · depth), depth being the blocks passed at the mean number
    of iterations; norms are 1 (the prelude's last one `injection_scale`), biases 0.
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

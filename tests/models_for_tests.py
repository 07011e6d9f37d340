"""Small models for tests: one that counts, random ones, and ones whose weights need no generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from latentkit.models.huginn import ForwardOutput, Huginn, HuginnConfig, init_weights
from latentkit.models.verbs import HuginnModel


def tiny_config(**changes: Any) -> HuginnConfig:
    sizes: dict[str, Any] = {
        "n_embd": 32,
        "n_heads": 2,
        "n_layers_in_prelude": 1,
        "n_layers_in_recurrent_block": 2,
        "n_layers_in_coda": 1,
        "intermediate_size": 48,
        "vocab_size": 64,
        "block_size": 64,
        "mean_recurrence": 8,
    }
    return HuginnConfig(**{**sizes, **changes})


def tiny_model(tokenizer: Any = None, *, seed: int = 0, **changes: Any) -> HuginnModel:
    """Random weights, with norms and biases that are not their neutral values."""
    generator = torch.Generator().manual_seed(seed)
    module = init_weights(Huginn(tiny_config(**changes)), generator)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "norm_" in name or "ln_f" in name or "bias" in name:
                weight.add_(torch.empty_like(weight).uniform_(-0.3, 0.3, generator=generator))
    return HuginnModel(module, tokenizer, name="tiny")


def plain_model(**changes: Any) -> HuginnModel:
    """Weights from a formula, the same on every machine and with every version of torch."""
    module = Huginn(tiny_config(**changes))
    with torch.no_grad():
        for i, weight in enumerate(module.parameters()):
            place = torch.arange(weight.numel(), dtype=torch.float64)
            values = torch.sin(place * 12.9898 + i * 78.233) * (0.2 if weight.dim() > 1 else 0.3)
            weight.copy_((values + (1.0 if weight.dim() == 1 else 0.0)).view_as(weight))
    return HuginnModel(module, name="plain")


@dataclass(frozen=True)
class CounterContext:
    embedding: Tensor
    positions: Tensor


class CounterModule(nn.Module):
    def forward(
        self, token_ids: Tensor, *, iterations: int, initial_state: Tensor | None = None, **_: Any
    ) -> ForwardOutput:
        state = torch.zeros(*token_ids.shape, 2) if initial_state is None else initial_state
        return ForwardOutput(None, _counter_logits(state + iterations, token_ids))


def _counter_logits(state: Tensor, token_ids: Tensor) -> Tensor:
    """The likeliest next token is the iteration count plus the token's number, modulo 8."""
    wanted = (state[..., 0].round().long() + token_ids) % 8
    return 5.0 * nn.functional.one_hot(wanted, 8).float()


class Counter:
    """A model whose step adds one, so that any slip in a loop shows."""

    name = "counter"
    revision = None
    tokenizer = None
    dtype = torch.float32
    device = torch.device("cpu")
    hidden_size = 2
    vocab_size = 8
    context_length = 32

    def __init__(self) -> None:
        self.module = CounterModule()

    def embed(self, token_ids: Tensor, *, cache: Any = None) -> CounterContext:
        assert cache is None
        return CounterContext(token_ids[..., None].repeat(1, 1, 2).float(), torch.arange(token_ids.shape[1]))

    def initial_state(self, context: CounterContext, seed: int | None) -> Tensor:
        return torch.full_like(context.embedding, float(seed or 0))

    def step(self, state: Tensor, context: CounterContext) -> Tensor:
        return state + 1 + 0 * context.embedding

    def normalise(self, state: Tensor) -> Tensor:
        return state

    def readout(self, state: Tensor, context: CounterContext) -> Tensor:
        return _counter_logits(state, context.embedding[..., 0].long())

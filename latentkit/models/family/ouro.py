"""Ouro (LoopLM, arXiv:2510.25741), which runs all layers four times and can exit the loop per token.

Properties in addition to those in `latentkit.models.family.stack`:

* each layer has a norm before and after both of its parts; the residual stream itself is not normalised;
* a gate maps each state to the probability of stopping there, conditional on not having stopped before;
* the model was trained with exactly ``total_ut_steps`` iterations; more iterations are extrapolation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentkit.models.blocks import KeyValueCache, Linear, RMSNorm
from latentkit.models.family.model import LoopedDecoder
from latentkit.models.family.network import LoopContext
from latentkit.models.family.parts import LlamaAttention, LlamaMLP
from latentkit.models.family.settings import refuse_others, whole_fields
from latentkit.models.family.stack import StackNetwork, stack_sizes

__all__ = ["OuroModel", "OuroNetwork"]


class OuroLayer(nn.Module):
    """Attention and MLP, each with one norm on its input and one on its output."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        h, eps = found["hidden_size"], found["rms_norm_eps"]
        heads, groups = found["num_attention_heads"], found["num_key_value_heads"]
        self.self_attn = LlamaAttention(h, heads, groups, found["head_dim"])
        self.mlp = LlamaMLP(h, found["intermediate_size"])
        self.input_layernorm, self.input_layernorm_2 = RMSNorm(h, eps), RMSNorm(h, eps)
        self.post_attention_layernorm, self.post_attention_layernorm_2 = RMSNorm(h, eps), RMSNorm(h, eps)

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the layer and return the residual stream."""
        x = x + self.input_layernorm_2(self.self_attn(self.input_layernorm(x), rope, cache, key))
        out: Tensor = x + self.post_attention_layernorm_2(self.mlp(self.post_attention_layernorm(x)))
        return out


class OuroNetwork(StackNetwork):
    """Ouro network, built from a config in the released layout."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        found = stack_sizes(config, "Ouro")
        refuse_others(config, "Ouro", {"use_sliding_window": (False, None)})
        super().__init__(found, [OuroLayer(found) for _ in range(found["num_hidden_layers"])])
        self.trained_iterations = whole_fields(config, "Ouro", ("total_ut_steps",))["total_ut_steps"]
        self.model.early_exit_gate = Linear(found["hidden_size"], 1, bias=True)


class OuroModel(LoopedDecoder):
    """Ouro model with all methods of the contract, including the optional ones."""

    @torch.no_grad()
    def exit_probability(
        self,
        state: Float[Tensor, "batch token state"],
        context: LoopContext,  # noqa: ARG002 (other gates may need it)
    ) -> Float[Tensor, "batch token"]:
        """Return the probability of stopping at this state, conditional on not having stopped before."""
        gate: Any = self.module.model.early_exit_gate
        return torch.sigmoid(gate(state).float())[..., 0]

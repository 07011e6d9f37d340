"""Nanbeige 4.2 (arXiv:2607.22083), which runs all layers twice, with grouped heads and pre-norm layers.

Unlike Ouro, it has pre-norm layers and no exit gate. If its config sets ``skip_loop_final_norm``, the raw
state is fed back, and the final norm is applied only before the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.blocks import KeyValueCache, RMSNorm
from latentkit.models.family.parts import LlamaAttention, LlamaMLP
from latentkit.models.family.settings import refuse_others, whole_fields
from latentkit.models.family.stack import StackNetwork, stack_sizes

__all__ = ["NanbeigeNetwork"]

_OFF: dict[str, tuple[Any, ...]] = {
    name: (False, None, 0, [])
    for name in (
        "attention_bias",
        "mlp_bias",
        "qk_layernorm",
        "enable_double_loop_split",
        "enable_hyper_connection",
        "enable_mhc",
        "enable_depth_attention",
        "emb_neighbor_num",
    )
}


class NanbeigeLayer(nn.Module):
    """Attention and MLP, each after a norm."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        h, eps = found["hidden_size"], found["rms_norm_eps"]
        heads, groups = found["num_attention_heads"], found["num_key_value_heads"]
        self.self_attn = LlamaAttention(h, heads, groups, found["head_dim"])
        self.mlp = LlamaMLP(h, found["intermediate_size"])
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(h, eps), RMSNorm(h, eps)

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the layer and return the residual stream."""
        x = x + self.self_attn(self.input_layernorm(x), rope, cache, key)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class NanbeigeNetwork(StackNetwork):
    """Nanbeige network, built from a config in the released layout."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        found = stack_sizes(config, "Nanbeige")
        refuse_others(config, "Nanbeige", _OFF)
        skip = config.get("skip_loop_final_norm", False)
        if not isinstance(skip, bool):
            raise ModelError(f"The config says skip_loop_final_norm = {skip!r}; it must be true or false.")
        layers: list[nn.Module] = [NanbeigeLayer(found) for _ in range(found["num_hidden_layers"])]
        super().__init__(found, layers, norm_fed_back=not skip)
        self.trained_iterations = _loops(config)

    def optional_tensors(self) -> dict[str, tuple[int, ...] | None]:
        """Return the rotary buffers that saved copies of the release may contain."""
        return {
            f"model.layers.{i}.self_attn.rotary_emb.inv_freq": None for i in range(len(self.model.layers))
        }


def _loops(config: Mapping[str, Any]) -> int:
    weights = config.get("loop_loss_weights") or []
    return len(weights) + 1 if weights else whole_fields(config, "Nanbeige", ("num_loops",))["num_loops"]

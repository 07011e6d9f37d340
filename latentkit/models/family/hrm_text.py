"""HRM-Text (arXiv:2605.20613), a model with two alternating stacks: a fast one L and a slow one H.

Differences from Huginn's loop:

* the state is a pair, z_H and z_L, stored in one tensor ``[z_H, z_L]`` with twice the hidden size;
* one iteration is one H-cycle: z_L ← L(z_L + z_H) ``L_cycles`` times, then z_H ← H(z_H + z_L);
* the input is the initial z_H (the initial z_L is a stored vector) and is not injected again;
* norms have no weights, each stack ends with a norm, and z_H is the input of the head, without a further
  norm;
* each attention head has a gate: its output is multiplied by sigmoid(g);
* the model was trained with bidirectional attention within the prompt: `HrmTextModel.with_prefix`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.models.blocks import Embedding, KeyValueCache, Linear
from latentkit.models.cache import IterationCache
from latentkit.models.family.model import LoopedDecoder
from latentkit.models.family.network import LoopContext, LoopedNetwork, LoopSizes
from latentkit.models.family.parts import (
    attend_grouped,
    inverse_frequencies,
    rms,
    rotary_table,
    rotate_halves,
)
from latentkit.models.family.settings import real_fields, refuse_others, whole_fields

__all__ = ["HrmTextModel", "HrmTextNetwork"]

_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "head_dim")
_CYCLES = ("H_cycles", "L_cycles", "max_position_embeddings")


class GatedAttention(nn.Module):
    """Rotary attention with gated heads; the rows of the fused matrix are gate, query, key, value."""

    def __init__(self, hidden: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.gqkv_proj = Linear(hidden, 4 * heads * head_dim, bias=False)
        self.o_proj = Linear(heads * head_dim, hidden, bias=False)

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
        mask: Tensor | None = None,
    ) -> Float[Tensor, "batch token hidden"]:
        """Attend to the positions where ``mask`` is True; None means the same and all earlier positions."""
        gate, q, k, v = self.gqkv_proj(x).unflatten(-1, (4, self.heads, -1)).unbind(2)
        q, k = rotate_halves(q, rope), rotate_halves(k, rope)
        read = attend_grouped(q, k, v, cache, key, mask=mask)
        out: Tensor = self.o_proj(torch.sigmoid(gate).flatten(2) * read)
        return out


class FusedMLP(nn.Module):
    """SiLU-gated feed-forward layer; the first half of ``gate_up_proj`` is the gate."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.gate_up_proj = Linear(hidden, 2 * inner, bias=False)
        self.down_proj = Linear(inner, hidden, bias=False)

    def forward(self, x: Float[Tensor, "... hidden"]) -> Float[Tensor, "... hidden"]:
        """Return down(SiLU(gate) · up)."""
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        out: Tensor = self.down_proj(F.silu(gate) * up)
        return out


class HrmTextLayer(nn.Module):
    """Attention and MLP, each after a norm without weights."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        h = found["hidden_size"]
        self.eps = found["rms_norm_eps"]
        self.attn = GatedAttention(h, found["num_attention_heads"], found["head_dim"])
        self.mlp = FusedMLP(h, found["intermediate_size"])

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
        mask: Tensor | None = None,
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the layer and return the residual stream."""
        x = x + self.attn(rms(x, self.eps), rope, cache, key, mask)
        out: Tensor = x + self.mlp(rms(x, self.eps))
        return out


class HrmStack(nn.Module):
    """Stack of layers, with the parameter names of the released weights."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)


class HrmStacks(nn.Module):
    """All modules except the head."""

    def __init__(self, found: Mapping[str, Any], layers: int) -> None:
        super().__init__()
        self.embed_tokens = Embedding(found["vocab_size"], found["hidden_size"])
        self.z_L_init = nn.Parameter(torch.empty(found["hidden_size"]))
        self.L_module = HrmStack([HrmTextLayer(found) for _ in range(layers)])
        self.H_module = HrmStack([HrmTextLayer(found) for _ in range(layers)])


class HrmTextNetwork(LoopedNetwork):
    """HRM-Text network, built from a config in the released layout."""

    prefix = 0

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        found: dict[str, Any] = dict(whole_fields(config, "HRM-Text", (*_SIZES, *_CYCLES)))
        found |= real_fields(config, "HRM-Text", ("rms_norm_eps",))
        refuse_others(config, "HRM-Text", {"tie_word_embeddings": (False,), "hidden_act": ("silu",)})
        per_stack = "num_layers_per_stack" if config.get("num_layers_per_stack") else "num_hidden_layers"
        self.layers = whole_fields(config, "HRM-Text", (per_stack,))[per_stack]
        self.model = HrmStacks(found, self.layers)
        h = found["hidden_size"]
        self.lm_head = Linear(h, found["vocab_size"], bias=False)
        self.eps = found["rms_norm_eps"]
        self.scale = _embedding_scale(config)
        self.cycles, self.trained_iterations = found["L_cycles"], found["H_cycles"]
        self.frequencies = inverse_frequencies(found["head_dim"], _theta(config))
        self.sizes = LoopSizes(
            state=2 * h,
            hidden=h,
            vocab=found["vocab_size"],
            context=found["max_position_embeddings"],
            cached=found["num_attention_heads"] * found["head_dim"],
            core=self.layers * (self.cycles + 1),
        )

    def rope(self, positions: Int[Tensor, " token"]) -> Tensor:
        """Return cosine and sine of the rotary angles; they are the same in every cycle."""
        return rotary_table(self.frequencies, positions)

    def read_in(
        self,
        token_ids: Int[Tensor, "batch token"],
        rope: Tensor,  # noqa: ARG002 (other families need it)
        cache: IterationCache | None,  # noqa: ARG002
    ) -> Float[Tensor, "batch token state"]:
        """Return the initial state: the scaled embedding as z_H, and the stored vector as z_L."""
        slow: Tensor = self.model.embed_tokens(token_ids) * self.scale
        return torch.cat((slow, self.model.z_L_init.expand_as(slow)), dim=-1)

    def iterate_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> list[Float[Tensor, "batch token state"]]:
        """Run one H-cycle and return the pair after each call of a stack: L (``L_cycles`` times), then H."""
        return list(self._calls(state, context, iteration))

    def context(
        self, token_ids: Int[Tensor, "batch token"], cache: IterationCache | None = None
    ) -> LoopContext:
        """Embed new tokens; with a cache, the first call must contain the whole prefix."""
        context = super().context(token_ids, cache)
        if not self.prefix or (cache is not None and cache.start):
            return context
        inside = context.positions < self.prefix
        earlier = context.positions[:, None] >= context.positions
        return replace(context, mask=earlier | (inside[:, None] & inside))

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return the pair unchanged; both stacks end with a norm."""
        return state

    def read_out(
        self,
        state: Float[Tensor, "batch token state"],
        context: LoopContext,  # noqa: ARG002
    ) -> Float[Tensor, "batch token hidden"]:
        """Return the input of the head, z_H."""
        return state[..., : self.sizes.hidden]

    def core_blocks(self) -> list[nn.Module]:
        """Return the layers in the order of one H-cycle."""
        return [*self.model.L_module.layers] * self.cycles + [*self.model.H_module.layers]

    def _calls(self, state: Tensor, context: LoopContext, iteration: int) -> Iterator[Tensor]:
        slow, fast = state.chunk(2, dim=-1)
        first = iteration * self.sizes.core
        for call in range(self.cycles):
            fast = self._stack(self.model.L_module, fast + slow, context, first + call * self.layers)
            yield torch.cat((slow, fast), dim=-1)
        slow = self._stack(self.model.H_module, slow + fast, context, first + self.cycles * self.layers)
        yield torch.cat((slow, fast), dim=-1)

    def _stack(self, stack: HrmStack, x: Tensor, context: LoopContext, first: int) -> Tensor:
        for i, layer in enumerate(stack.layers):
            x = layer(x, context.rope, context.cache, first + i, context.mask)
        return rms(x, self.eps)


class HrmTextModel(LoopedDecoder):
    """HRM-Text model with the methods of the contract; causal unless it is created by `with_prefix`."""

    @property
    def prefix(self) -> int:
        """Number of tokens at the beginning with bidirectional attention among them."""
        return int(self.module.prefix)

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """Whether no state depends on a later token."""
        return self.prefix == 0

    def with_prefix(self, length: int) -> HrmTextModel:
        """Return a model with the same weights whose first ``length`` tokens attend to each other.

        The state of each of these tokens depends on all of them, so the prefix cannot be extended token by
        token.
        """
        module = copy(self.module)
        module.prefix = whole_fields({"prefix": length}, "HRM-Text", ("prefix",))["prefix"]
        return HrmTextModel(module, self.tokenizer, name=self.name, revision=self.revision)

    @torch.no_grad()
    def last_hidden(
        self,
        state: Float[Tensor, "batch token state"],
        context: LoopContext,  # noqa: ARG002
    ) -> Float[Tensor, "batch state"]:
        """Return the pair at the last position; `head` uses its z_H."""
        return state[:, -1]

    @torch.no_grad()
    def head(self, hidden: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch vocab"]:
        """Return the float32 logits of the z_H in a pair."""
        return super().head(hidden[..., : self.module.sizes.hidden])


def _embedding_scale(config: Mapping[str, Any]) -> float:
    if config.get("embedding_scale") is not None:
        return real_fields(config, "HRM-Text", ("embedding_scale",))["embedding_scale"]
    return 1.0 / real_fields(config, "HRM-Text", ("initializer_range",))["initializer_range"]


def _theta(config: Mapping[str, Any]) -> float:
    """Return rope_theta; config files of transformers 5 store it in ``rope_parameters``."""
    inner = config.get("rope_parameters") or {}
    return real_fields({**inner, **config}, "HRM-Text", ("rope_theta",))["rope_theta"]

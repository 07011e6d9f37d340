"""Retrofitted recurrence (arXiv:2511.07384): TinyLlama, Llama 3.2 and OLMo 2 with Huginn's loop.

What is unusual, compared with Huginn, whose ``model_type`` these checkpoints share:

* blocks of the base model: pre-norm (Llama), or a norm on what each part writes (OLMo 2);
* grouped heads, rotary embedding by halves, and for OLMo 2 a norm of all queries and of all keys;
* the final norm stands at the very end alone: the coda reads the raw state, which no norm bounds;
* the noise of the start is small beside the input; its scale and that of the embedding stand in the config.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.models.blocks import Embedding, GatedMLP, KeyValueCache, Linear, RMSNorm
from latentkit.models.cache import IterationCache
from latentkit.models.family.network import LoopContext, LoopedNetwork, LoopSizes
from latentkit.models.family.parts import attend_grouped, inverse_frequencies, rotary_table, rotate_halves
from latentkit.models.family.settings import need_divisible, real_fields, refuse_others, whole_fields

__all__ = ["RetrofitNetwork"]

_STACKS = ("n_layers_in_prelude", "n_layers_in_recurrent_block", "n_layers_in_coda")
_SIZES = ("n_embd", "n_heads", "intermediate_size", "vocab_size", *_STACKS)


class RetrofitAttention(nn.Module):
    """Rotary attention; ``Wqkv`` holds all query heads, then all key heads, then all value heads."""

    def __init__(self, found: Mapping[str, Any], *, norms: bool) -> None:
        super().__init__()
        h, self.head_dim = found["n_embd"], found["head_dim"]
        self.wide = [
            count * self.head_dim for count in (found["n_heads"], *[found["num_key_value_heads"]] * 2)
        ]
        self.Wqkv = Linear(h, sum(self.wide), bias=False)
        self.proj = Linear(self.wide[0], h, bias=False)
        self.q_norm = RMSNorm(self.wide[0], found["norm_eps"]) if norms else nn.Identity()
        self.k_norm = RMSNorm(self.wide[1], found["norm_eps"]) if norms else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Attend to this and all earlier positions; the norms reach over all heads together."""
        q, k, v = self.Wqkv(x).split(self.wide, dim=-1)
        heads = (each.unflatten(-1, (-1, self.head_dim)) for each in (self.q_norm(q), self.k_norm(k), v))
        q, k, v = heads
        read = attend_grouped(rotate_halves(q, rope), rotate_halves(k, rope), v, cache, key)
        out: Tensor = self.proj(read)
        return out


class RetrofitBlock(nn.Module):
    """A block of Llama (norms before the parts) or of OLMo 2 (norms on what they write)."""

    def __init__(self, found: Mapping[str, Any], *, olmo: bool) -> None:
        super().__init__()
        h, eps = found["n_embd"], found["norm_eps"]
        self.norm_1, self.norm_2 = RMSNorm(h, eps), RMSNorm(h, eps)
        self.attn = RetrofitAttention(found, norms=olmo)
        self.mlp = GatedMLP(h, found["intermediate_size"], h)
        self.olmo = olmo

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Return the residual stream after this block."""
        if self.olmo:
            x = x + self.norm_1(self.attn(x, rope, cache, key))
            written: Tensor = self.norm_2(self.mlp(x))
        else:
            x = x + self.attn(self.norm_1(x), rope, cache, key)
            written = self.mlp(self.norm_2(x))
        return x + written


class RetrofitStacks(nn.Module):
    """Everything but the head, under the names of the released weights."""

    def __init__(self, found: Mapping[str, Any], *, olmo: bool) -> None:
        super().__init__()
        h = found["n_embd"]
        self.wte = Embedding(found["vocab_size"], h)
        self.adapter = Linear(2 * h, h, bias=False)
        self.prelude, self.core_block, self.coda = (
            nn.ModuleList(RetrofitBlock(found, olmo=olmo) for _ in range(found[name])) for name in _STACKS
        )
        self.ln_f = RMSNorm(h, found["norm_eps"])


class RetrofitNetwork(LoopedNetwork):
    """The network of a config in the released layout.

    Parameters
    ----------
    config : mapping
    olmo : bool
        Blocks of OLMo 2 rather than Llama. The config does not say: the tensor names do.
    """

    seeded = True

    def __init__(self, config: Mapping[str, Any], *, olmo: bool) -> None:
        super().__init__()
        found = _sizes(config)
        self.transformer = RetrofitStacks(found, olmo=olmo)
        self.lm_head = Linear(found["n_embd"], found["vocab_size"], bias=False)
        self.frequencies = inverse_frequencies(
            found["head_dim"], found["rope_theta"], config.get("rope_scaling")
        )
        values = config.get("init_values") or {}
        needed = real_fields(values, "a retrofitted model (init_values)", ("std", "embed_scale"))
        self.start_std, self.embed_scale = needed["std"] * needed["embed_scale"], needed["embed_scale"]
        prelude, core, coda = (found[name] for name in _STACKS)
        self.sizes = LoopSizes(
            state=found["n_embd"],
            hidden=found["n_embd"],
            vocab=found["vocab_size"],
            context=found["max_position_embeddings"],
            cached=found["num_key_value_heads"] * found["head_dim"],
            prelude=prelude,
            core=core,
            coda=coda,
        )

    def rope(self, positions: Int[Tensor, " token"]) -> Tensor:
        """Return the rotary angles; ``rope_theta`` decides, ``rope_base`` is a leftover."""
        return rotary_table(self.frequencies, positions)

    def read_in(
        self, token_ids: Int[Tensor, "batch token"], rope: Tensor, cache: IterationCache | None
    ) -> Float[Tensor, "batch token state"]:
        """Embed and run the prelude: the signal e that every iteration gets."""
        x: Tensor = self.transformer.wte(token_ids) * self.embed_scale
        for i, block in enumerate(self.transformer.prelude):
            x = block(x, rope, cache, i)
        return x

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Fill a tensor with normal noise, cut at three standard deviations."""
        std = self.start_std
        return nn.init.trunc_normal_(like, std=std, a=-3 * std, b=3 * std, generator=generator)

    def iterate(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> Float[Tensor, "batch token state"]:
        """Inject the input, then run the core."""
        *_, last = self._passed(state, context, iteration)
        return last

    def iterate_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> list[Float[Tensor, "batch token state"]]:
        """Return the state after each block of the core."""
        return list(self._passed(state, context, iteration))

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return ln_f(x), for distances and the logit lens; the coda reads the raw state."""
        normed: Tensor = self.transformer.ln_f(state)
        return normed

    def read_out(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the coda on the raw state, then the final norm."""
        x = state
        for i, block in enumerate(self.transformer.coda):
            x = block(x, context.rope, context.cache, -(i + 1))
        return self.normalise(x)

    def core_blocks(self) -> list[nn.Module]:
        """Return the blocks of the core."""
        return list(self.transformer.core_block)

    def outer_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return prelude and coda."""
        return list(self.transformer.prelude), list(self.transformer.coda)

    def _passed(self, state: Tensor, context: LoopContext, iteration: int) -> Iterator[Tensor]:
        x: Tensor = self.transformer.adapter(torch.cat((state, context.embedding), dim=-1))
        first = self.sizes.prelude + iteration * self.sizes.core
        for i, block in enumerate(self.transformer.core_block):
            x = block(x, context.rope, context.cache, first + i)
            yield x


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    family = "a retrofitted model"
    wide = {**config, "vocab_size": config.get("padded_vocab_size", config.get("vocab_size"))}
    found: dict[str, Any] = dict(whole_fields(wide, family, (*_SIZES, "max_position_embeddings")))
    found |= real_fields(config, family, ("norm_eps", "rope_theta"))
    found["num_key_value_heads"] = config.get("num_key_value_heads") or found["n_heads"]
    found["head_dim"] = config.get("head_dim") or found["n_embd"] // found["n_heads"]
    found |= whole_fields(found, family, ("num_key_value_heads", "head_dim"))
    need_divisible(("n_heads", found["n_heads"]), ("num_key_value_heads", found["num_key_value_heads"]))
    off = dict.fromkeys(("tie_embeddings", "qk_bias", "bias"), (False,))
    modes = {"injection_type": ("linear",), "initial_state_mode": ("random",)}
    refuse_others(config, family, {**off, **modes})
    return found

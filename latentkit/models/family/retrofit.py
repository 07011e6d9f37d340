"""Retrofitted recurrence (arXiv:2511.07384): TinyLlama, Llama 3.2 and OLMo 2 with Huginn's loop.

Differences from Huginn, which has the same ``model_type``:

* the blocks are those of the base model: pre-norm (Llama), or a norm on the output of each part (OLMo 2);
* heads are grouped, and the rotary embedding rotates halves;
* OLMo 2 has a norm over all query heads together and a norm over all key heads together;
* the final norm is applied only after the coda; the input of the coda is the raw state, which no norm
  bounds;
* the initial noise is small compared with the input; the config sets its scale and that of the embedding.
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
    """Rotary attention; ``Wqkv`` contains all query heads, then all key heads, then all value heads."""

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
        """Attend to the same and all earlier positions; each norm is computed over all heads together."""
        q, k, v = self.Wqkv(x).split(self.wide, dim=-1)
        heads = (each.unflatten(-1, (-1, self.head_dim)) for each in (self.q_norm(q), self.k_norm(k), v))
        q, k, v = heads
        read = attend_grouped(rotate_halves(q, rope), rotate_halves(k, rope), v, cache, key)
        out: Tensor = self.proj(read)
        return out


class RetrofitBlock(nn.Module):
    """Block of Llama (norms before attention and MLP) or of OLMo 2 (norms on their outputs)."""

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
        """Run the block and return the residual stream."""
        if self.olmo:
            x = x + self.norm_1(self.attn(x, rope, cache, key))
            written: Tensor = self.norm_2(self.mlp(x))
        else:
            x = x + self.attn(self.norm_1(x), rope, cache, key)
            written = self.mlp(self.norm_2(x))
        return x + written


class RetrofitStacks(nn.Module):
    """All modules except the head, with the parameter names of the released weights."""

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
    """Retrofitted network, built from a config in the released layout.

    Parameters
    ----------
    config : mapping
    olmo : bool
        True for blocks of OLMo 2, False for blocks of Llama. The config does not contain this information;
        the tensor names of the checkpoint do.
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
        """Return cosine and sine of the rotary angles, from ``rope_theta``; ``rope_base`` is unused."""
        return rotary_table(self.frequencies, positions)

    def read_in(
        self, token_ids: Int[Tensor, "batch token"], rope: Tensor, cache: IterationCache | None
    ) -> Float[Tensor, "batch token state"]:
        """Embed the tokens and run the prelude; return the injected signal e."""
        x: Tensor = self.transformer.wte(token_ids) * self.embed_scale
        for i, block in enumerate(self.transformer.prelude):
            x = block(x, rope, cache, i)
        return x

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Fill a tensor with normal noise, truncated at three standard deviations."""
        std = self.start_std
        return nn.init.trunc_normal_(like, std=std, a=-3 * std, b=3 * std, generator=generator)

    def iterate_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> list[Float[Tensor, "batch token state"]]:
        """Inject the prelude's output, run the core, and return the state after each block."""
        return list(self._passed(state, context, iteration))

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return ln_f(x), for distances and the logit lens; the input of the coda is the raw state."""
        normed: Tensor = self.transformer.ln_f(state)
        return normed

    def read_out(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the coda on the raw state, then the final norm; return the input of the head."""
        x = state
        for i, block in enumerate(self.transformer.coda):
            x = block(x, context.rope, context.cache, -(i + 1))
        return self.normalise(x)

    def core_blocks(self) -> list[nn.Module]:
        """Return the blocks of the core."""
        return list(self.transformer.core_block)

    def outer_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the blocks of prelude and coda."""
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

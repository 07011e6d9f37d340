"""Parcae (arXiv:2604.12946), a loop whose injection is a stable diagonal linear system.

Differences from Huginn's loop:

* each iteration starts with x ← a ⊙ x + dt ⊙ (B e), 0 < a < 1; no norm bounds the residual blocks;
* the raw state is fed back; a matrix C maps it to the input of the coda;
* attention normalises queries and keys after the rotary embedding, without weights;
* some blocks add a vector per token id to their attention values, so core and coda need the token ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.blocks import Embedding, KeyValueCache, Linear, RMSNorm, rotate
from latentkit.models.cache import IterationCache
from latentkit.models.family.network import LoopContext, LoopedNetwork, LoopSizes
from latentkit.models.family.parts import attend_grouped, inverse_frequencies, rotary_table
from latentkit.models.family.settings import need_divisible, real_fields, refuse_others, whole_fields

__all__ = ["ParcaeNetwork"]

_STACKS = ("n_layers_in_prelude", "n_layers_in_recurrent_block", "n_layers_in_coda")
_DEPTHS = ("mean_recurrence", "mean_backprop_depth")
_SIZES = ("n_embd", "num_attention_heads", "intermediate_size", "padded_vocab_size", "block_size")
_GATE_INPUTS = 32  # number of channels of the normalised input that a value gate uses
_ONLY: dict[str, tuple[Any, ...]] = {
    "block_class_name": ("TransformerPreNormBlock",),
    "norm_class_name": ("RMSNorm",),
    "mlp_class_name": ("BaseMLP",),
    "nonlin_name": ("ReLU2",),
    "injection_type": ("diagonal",),
    "state_init": ("like-init",),
    "init_strategy": ("scaled-zero",),
    "prelude_norm": (True,),
    "qk_norm": (True,),
    "bias": (False,),
    "qk_bias": (False,),
    "clip_qkv": (None,),
    "logit_softcap": (None,),
}


class ParcaeAttention(nn.Module):
    """Rotary attention with normalised queries and keys, and in some blocks with value embeddings."""

    def __init__(self, hidden: int, heads: int, *, gated: bool) -> None:
        super().__init__()
        self.heads = heads
        self.c_q, self.c_k, self.c_v, self.c_proj = (Linear(hidden, hidden, bias=False) for _ in range(4))
        self.ve_gate = Linear(_GATE_INPUTS, heads, bias=False) if gated else None

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
        values: Tensor | None = None,
    ) -> Float[Tensor, "batch token hidden"]:
        """Attend to the same and all earlier positions; ``values`` are value embeddings or None."""
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)) for part in (self.c_q, self.c_k, self.c_v))
        q, k = (F.rms_norm(rotate(each, rope), each.shape[-1:]) for each in (q, k))
        if values is not None and self.ve_gate is not None:
            gate = 2 * torch.sigmoid(self.ve_gate(x[..., :_GATE_INPUTS]))
            v = v + gate[..., None] * values.view(v.shape)
        out: Tensor = self.c_proj(attend_grouped(q, k, v, cache, key))
        return out


class HalfSquareMLP(nn.Module):
    """Feed-forward layer proj(½ · ReLU(fc)²)."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.fc = Linear(hidden, inner, bias=False)
        self.proj = Linear(inner, hidden, bias=False)

    def forward(self, x: Float[Tensor, "... hidden"]) -> Float[Tensor, "... hidden"]:
        """Return proj(½ · ReLU(fc)²)."""
        out: Tensor = self.proj(0.5 * F.relu(self.fc(x)).square())
        return out


class ParcaeBlock(nn.Module):
    """Attention and MLP, each after a norm."""

    def __init__(self, hidden: int, heads: int, inner: int, eps: float, *, gated: bool) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = RMSNorm(hidden, eps), RMSNorm(hidden, eps)
        self.attn = ParcaeAttention(hidden, heads, gated=gated)
        self.mlp = HalfSquareMLP(hidden, inner)

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
        values: Tensor | None = None,
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the block and return the residual stream."""
        x = x + self.attn(self.norm_1(x), rope, cache, key, values)
        out: Tensor = x + self.mlp(self.norm_2(x))
        return out


class DiagonalInjection(nn.Module):
    """Linear part of an iteration: each channel of the state decays, and the input is added."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.A_log, self.dt_bias = nn.Parameter(torch.empty(hidden)), nn.Parameter(torch.empty(hidden))
        self.B = nn.Parameter(torch.empty(hidden, hidden))

    def forward(
        self, state: Float[Tensor, "batch token hidden"], embedding: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Return a ⊙ x + dt ⊙ (B e)."""
        dt = F.softplus(self.dt_bias)
        return torch.exp(-dt * self.A_log.exp()) * state + dt * F.linear(embedding, self.B)


class ParcaeStacks(nn.Module):
    """All modules except head and value embeddings, with the parameter names of the released weights."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        h, eps = found["n_embd"], found["norm_eps"]
        counts = [found[name] for name in _STACKS]
        self.wte = Embedding(found["padded_vocab_size"], h)
        self.ln_prelude, self.ln_f = RMSNorm(h, eps), RMSNorm(h, eps)
        self.adapter = DiagonalInjection(h)
        self.C = Linear(h, h, bias=False)
        # The layer numbers that select gated blocks count the core ``mean_recurrence`` times before the coda.
        after_core = counts[0] + counts[1] * found["mean_recurrence"]
        gated = (counts[1] * found["mean_backprop_depth"] - 1) % 2
        self.prelude, self.core_block, self.coda = (
            nn.ModuleList(
                ParcaeBlock(h, found[heads], found[inner], eps, gated=(first + i) % 2 == gated)
                for i in range(count)
            )
            for first, count, heads, inner in (
                (0, counts[0], "num_attention_heads", "intermediate_size"),
                (counts[0], counts[1], "core_heads", "core_inner"),
                (after_core, counts[2], "num_attention_heads", "intermediate_size"),
            )
        )


class ParcaeNetwork(LoopedNetwork):
    """Parcae network, built from a config in the released layout."""

    seeded = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        found = _sizes(config)
        h, vocab = found["n_embd"], found["padded_vocab_size"]
        self.transformer = ParcaeStacks(found)
        self.lm_head: Linear = Linear(h, vocab, bias=False)
        self.tied = bool(config.get("tie_embeddings", True))
        prelude, core, coda = (found[name] for name in _STACKS)
        slots = range((prelude + core + coda - 1) % 2, prelude + core + coda, 2)
        self.value_embeds = nn.ModuleDict({str(slot): Embedding(vocab, h) for slot in slots})
        self.frequencies = inverse_frequencies(h // found["num_attention_heads"], found["rope_base"])
        self.sizes = LoopSizes(h, h, vocab, found["block_size"], h, prelude, core, coda)
        self.tie()

    def tie(self) -> ParcaeNetwork:
        """Tie the head to the embedding if ``tie_embeddings`` is set, and return the module."""
        if self.tied:
            self.lm_head.weight = self.transformer.wte.weight
        return self

    def optional_tensors(self) -> dict[str, tuple[int, ...] | None]:
        """Return the shapes of the rotary table and of the duplicate of a tied head."""
        table: tuple[int, ...] = (1, self.sizes.context, 1, len(self.frequencies), 2)
        head = (self.sizes.vocab, self.sizes.hidden)
        return {"freqs_cis": table, **({"lm_head.weight": head} if self.tied else {})}

    def recomputed(self, name: str) -> Tensor | None:
        """Return the rotary table computed from the config; the table of a checkpoint must agree with it."""
        if name != "freqs_cis":
            return None
        return rotary_table(self.frequencies, torch.arange(self.sizes.context, device="cpu"))[None, :, None]

    def rope(self, positions: Int[Tensor, " token"]) -> Tensor:
        """Return cosine and sine of the rotary angles of interleaved pairs."""
        return rotary_table(self.frequencies, positions)

    def read_in(
        self, token_ids: Int[Tensor, "batch token"], rope: Tensor, cache: IterationCache | None
    ) -> Float[Tensor, "batch token state"]:
        """Embed the tokens, run the prelude and its norm; return the injected signal e."""
        x: Tensor = self.transformer.wte(token_ids)
        for i, block in enumerate(self.transformer.prelude):
            x = block(x, rope, cache, i, self._values(i, token_ids))
        normed: Tensor = self.transformer.ln_prelude(x)
        return normed

    def draw(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Fill a tensor with normal noise, truncated at three standard deviations."""
        std = math.sqrt(2 / (5 * self.sizes.hidden))
        return nn.init.trunc_normal_(like, std=std, a=-3 * std, b=3 * std, generator=generator)

    def iterate_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> list[Float[Tensor, "batch token state"]]:
        """Inject the prelude's output, run the core, and return the state after each block."""
        return list(self._passed(state, context, iteration))

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return ln_f(C x), for distances and the logit lens; the input of the coda is C x."""
        normed: Tensor = self.transformer.ln_f(self.transformer.C(state))
        return normed

    def read_out(
        self, state: Float[Tensor, "batch token state"], context: LoopContext
    ) -> Float[Tensor, "batch token hidden"]:
        """Apply C, the coda and the final norm; return the input of the head."""
        x: Tensor = self.transformer.C(state)
        first = self.sizes.prelude + self.sizes.core
        for i, block in enumerate(self.transformer.coda):
            x = block(x, context.rope, context.cache, -(i + 1), self._values(first + i, context.token_ids))
        normed: Tensor = self.transformer.ln_f(x)
        return normed

    def core_blocks(self) -> list[nn.Module]:
        """Return the blocks of the core."""
        return list(self.transformer.core_block)

    def outer_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the blocks of prelude and coda."""
        return list(self.transformer.prelude), list(self.transformer.coda)

    def _passed(self, state: Tensor, context: LoopContext, iteration: int) -> Iterator[Tensor]:
        x: Tensor = self.transformer.adapter(state, context.embedding)
        slot = self.sizes.prelude
        first = slot + iteration * self.sizes.core
        for i, block in enumerate(self.transformer.core_block):
            x = block(x, context.rope, context.cache, first + i, self._values(slot + i, context.token_ids))
            yield x

    def _values(self, slot: int, token_ids: Tensor) -> Tensor | None:
        return self.value_embeds[str(slot)](token_ids) if str(slot) in self.value_embeds else None


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict(whole_fields(config, "Parcae", (*_SIZES, *_STACKS, *_DEPTHS)))
    found |= real_fields(config, "Parcae", ("norm_eps",))
    refuse_others(config, "Parcae", _ONLY)
    h = found["n_embd"]
    refuse_others(
        config,
        "Parcae",
        {"recurrent_embedding_dimension": (h,), "num_key_value_heads": (found["num_attention_heads"],)},
    )
    found["core_inner"] = (
        config.get("recurrent_intermediation_embedding_dimension") or found["intermediate_size"]
    )
    found["core_heads"] = config.get("recurrent_num_attention_heads") or found["num_attention_heads"]
    if found["core_heads"] != found["num_attention_heads"] or h < _GATE_INPUTS:
        raise ModelError(
            f"The config says recurrent_num_attention_heads = {found['core_heads']} and n_embd = {h}; the "
            f"adapter for Parcae covers as many heads everywhere and at least {_GATE_INPUTS} channels."
        )
    need_divisible(("n_embd", h), ("num_attention_heads", found["num_attention_heads"]))
    rope = config.get("rope_settings") or {}
    refuse_others(rope, "Parcae (rope_settings)", {"use_rope": (True,), "rope_condense_ratio": (1,)})
    found["rope_base"] = float(rope.get("rope_base", 50000))
    return found

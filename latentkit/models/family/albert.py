"""ALBERT (arXiv:1909.11942), an encoder from 2019 that applies one layer 12 or 24 times.

Differences from Huginn's loop:

* every token attends to all tokens, so there is no cache and no generation; the readout is the
  masked-language-model head, which predicts the token at the same position, not the next token;
* the input is the initial state and is not injected again; a norm follows both parts of the layer;
* norms and linear layers have biases, and positions have learned embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.blocks import Embedding, Linear
from latentkit.models.cache import IterationCache
from latentkit.models.family.model import LoopedModel
from latentkit.models.family.network import LoopContext, LoopedNetwork, LoopSizes
from latentkit.models.family.settings import need_divisible, real_fields, refuse_others, whole_fields

__all__ = ["AlbertModel", "AlbertNetwork"]

_SIZES = (
    *("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings", "type_vocab_size"),
)
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
}


class LayerNorm(nn.Module):
    """Layer normalisation with weight and bias, computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))
        self.eps = eps

    def forward(self, x: Float[Tensor, "... channel"]) -> Float[Tensor, "... channel"]:
        """Normalise each vector to zero mean and unit variance, then apply weight and bias."""
        return F.layer_norm(
            x.float(), self.weight.shape, self.weight.float(), self.bias.float(), self.eps
        ).to(x.dtype)


class AlbertAttention(nn.Module):
    """Bidirectional self-attention, with a norm after the residual sum."""

    def __init__(self, hidden: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.dense = (Linear(hidden, hidden, bias=True) for _ in range(4))
        self.LayerNorm = LayerNorm(hidden, eps)

    def forward(
        self, x: Float[Tensor, "batch token hidden"], mask: Tensor | None = None
    ) -> Float[Tensor, "batch token hidden"]:
        """Attend to all positions where ``mask`` is True; None means all positions."""
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        out: Tensor = self.LayerNorm(x + self.dense(read))
        return out


class AlbertLayer(nn.Module):
    """The repeated layer: attention and feed-forward part, each followed by a norm."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        h, eps = found["hidden_size"], found["layer_norm_eps"]
        self.attention = AlbertAttention(h, found["num_attention_heads"], eps)
        self.ffn = Linear(h, found["intermediate_size"], bias=True)
        self.ffn_output = Linear(found["intermediate_size"], h, bias=True)
        self.full_layer_layer_norm = LayerNorm(h, eps)
        self.act = found["act"]

    def forward(
        self, x: Float[Tensor, "batch token hidden"], mask: Tensor | None = None
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the layer and return the state."""
        x = self.attention(x, mask)
        out: Tensor = self.full_layer_layer_norm(x + self.ffn_output(self.act(self.ffn(x))))
        return out


class _Group(nn.Module):
    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        self.albert_layers = nn.ModuleList(AlbertLayer(found) for _ in range(found["inner_group_num"]))


class _Encoder(nn.Module):
    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        self.embedding_hidden_mapping_in = Linear(found["embedding_size"], found["hidden_size"], bias=True)
        self.albert_layer_groups = nn.ModuleList([_Group(found)])


class _Embeddings(nn.Module):
    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        size = found["embedding_size"]
        self.word_embeddings = Embedding(found["vocab_size"], size)
        self.position_embeddings = Embedding(found["max_position_embeddings"], size)
        self.token_type_embeddings = Embedding(found["type_vocab_size"], size)
        self.LayerNorm = LayerNorm(size, found["layer_norm_eps"])


class _Body(nn.Module):
    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        self.embeddings = _Embeddings(found)
        self.encoder = _Encoder(found)


class MaskedHead(nn.Module):
    """Head of the masked language model, with the parameter names of the released weights."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        size = found["embedding_size"]
        self.dense = Linear(found["hidden_size"], size, bias=True)
        self.LayerNorm = LayerNorm(size, found["layer_norm_eps"])
        self.decoder = Linear(size, found["vocab_size"], bias=False)  # tied
        self.bias = nn.Parameter(torch.empty(found["vocab_size"]))
        self.act = found["act"]

    def forward(self, x: Float[Tensor, "... hidden"]) -> Float[Tensor, "... vocab"]:
        """Return the logits of the states."""
        logits: Tensor = self.decoder(self.LayerNorm(self.act(self.dense(x)))) + self.bias
        return logits


class AlbertNetwork(LoopedNetwork):
    """ALBERT network with one group of layers, built from a config in the released layout."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        found = _sizes(config)
        self.albert = _Body(found)
        self.predictions = MaskedHead(found)
        self.tie()
        self.trained_iterations = found["num_hidden_layers"]
        h = found["hidden_size"]
        self.sizes = LoopSizes(
            h, h, found["vocab_size"], found["max_position_embeddings"], core=found["inner_group_num"]
        )

    @property
    def lm_head(self) -> nn.Module:  # type: ignore[override]
        """Output head, under the name that `LoopedNetwork` uses."""
        return self.predictions

    def tie(self) -> AlbertNetwork:
        """Tie the head to the word embeddings and return the module."""
        self.predictions.decoder.weight = self.albert.embeddings.word_embeddings.weight
        return self

    def optional_tensors(self) -> dict[str, tuple[int, ...] | None]:
        """Return duplicates of tied weights and the unused tensors of other heads in the released files."""
        words = self.albert.embeddings.word_embeddings.weight
        h, context = self.sizes.hidden, self.sizes.context
        return {
            "predictions.decoder.weight": tuple(words.shape),
            "predictions.decoder.bias": (self.sizes.vocab,),
            "albert.embeddings.position_ids": (1, context),
            "albert.pooler.weight": (h, h),
            "albert.pooler.bias": (h,),
            "sop_classifier.classifier.weight": (2, h),
            "sop_classifier.classifier.bias": (2,),
        }

    def rope(self, positions: Int[Tensor, " token"]) -> Tensor:
        """Return the positions unchanged; ALBERT uses learned position embeddings, not rotary angles."""
        return positions

    def read_in(
        self,
        token_ids: Int[Tensor, "batch token"],
        rope: Tensor,
        cache: IterationCache | None,  # noqa: ARG002 (other families need it)
        token_types: Int[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token state"]:
        """Embed the tokens and project to the hidden size; return the initial state x_0."""
        parts = self.albert.embeddings
        types = torch.zeros_like(token_ids) if token_types is None else token_types
        embedded = parts.word_embeddings(token_ids) + parts.token_type_embeddings(types)
        embedded = embedded + parts.position_embeddings(rope)
        x: Tensor = self.albert.encoder.embedding_hidden_mapping_in(parts.LayerNorm(embedded))
        return x

    def iterate_blocks(
        self,
        state: Float[Tensor, "batch token state"],
        context: LoopContext,
        iteration: int = 0,  # noqa: ARG002 (one group: all iterations are identical)
    ) -> list[Float[Tensor, "batch token state"]]:
        """Run the group once and return the state after each of its layers."""
        states = []
        for layer in self.core_blocks():
            state = layer(state, context.mask)
            states.append(state)
        return states

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return the state unchanged; it is already normalised."""
        return state

    def read_out(
        self,
        state: Float[Tensor, "batch token state"],
        context: LoopContext,  # noqa: ARG002
    ) -> Float[Tensor, "batch token hidden"]:
        """Return the input of the head, which is the state."""
        return state

    def core_blocks(self) -> list[nn.Module]:
        """Return the layers of the group."""
        group = self.albert.encoder.albert_layer_groups[0]
        assert isinstance(group, _Group)
        return list(group.albert_layers)


class AlbertModel(LoopedModel):
    """ALBERT model with the five required methods of the contract; an encoder cannot decode tokens."""

    causal = False

    @torch.no_grad()
    def embed(
        self,
        token_ids: Int[Tensor, "batch token"],
        *,
        cache: Any = None,
        token_types: Int[Tensor, "batch token"] | None = None,
        padding: Bool[Tensor, "batch token"] | None = None,
    ) -> LoopContext:
        """Embed the whole sequence.

        Parameters
        ----------
        token_ids : Tensor [batch, token]
        cache : None
            Must be None: an encoder has no cache.
        token_types : Tensor [batch, token], optional
            0 for the first text and 1 for the second; None means 0 everywhere.
        padding : Tensor [batch, token], optional
            True at padding positions; no token attends to them.
        """
        assert cache is None, "an encoder has no cache"
        context: LoopContext = self.module.context(token_ids.to(self.device))
        if token_types is not None:
            start = self.module.read_in(context.token_ids, context.rope, None, token_types.to(self.device))
            context = replace(context, embedding=start)
        if padding is not None:
            context = replace(context, mask=~padding.to(self.device)[:, None, None])
        return context


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict(whole_fields(config, "ALBERT", _SIZES))
    groups = {"num_hidden_groups": config.get("num_hidden_groups", 1)}
    groups["inner_group_num"] = config.get("inner_group_num", 1)
    found |= whole_fields(groups, "ALBERT", ("inner_group_num",))
    refuse_others(groups, "ALBERT", {"num_hidden_groups": (1,)})
    found |= real_fields({"layer_norm_eps": 1e-12, **config}, "ALBERT", ("layer_norm_eps",))
    heads = found["num_attention_heads"]
    need_divisible(("hidden_size", found["hidden_size"]), ("num_attention_heads", heads))
    name = config.get("hidden_act", "gelu_new")
    if name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise ModelError(f"The config says hidden_act = {name!r}; the adapter for ALBERT covers {known}.")
    found["act"] = _ACTIVATIONS[name]
    return found

"""Loop over all layers of a decoder, with the input as the initial state.

Differences from Huginn's loop:

* there is no prelude and no coda; the input is the initial state x_0 and is not injected again;
* the initial state does not depend on a seed;
* a final norm ends each iteration, so the state that is fed back is normalised, and it is the input of the
  head without a further norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.models.blocks import Embedding, Linear, RMSNorm
from latentkit.models.cache import IterationCache
from latentkit.models.family.network import LoopContext, LoopedNetwork, LoopSizes
from latentkit.models.family.parts import inverse_frequencies, rotary_table
from latentkit.models.family.settings import need_divisible, real_fields, refuse_others, whole_fields

__all__ = ["StackNetwork", "stack_sizes"]

_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


def stack_sizes(config: Mapping[str, Any], family: str) -> dict[str, Any]:
    """Return the validated sizes of a Llama-style ``config.json`` and the rotary frequencies."""
    found: dict[str, Any] = dict(whole_fields(config, family, (*_SIZES, "max_position_embeddings")))
    found |= real_fields(config, family, ("rms_norm_eps", "rope_theta"))
    found["num_key_value_heads"] = config.get("num_key_value_heads") or found["num_attention_heads"]
    found["head_dim"] = config.get("head_dim") or found["hidden_size"] // found["num_attention_heads"]
    found |= whole_fields(found, family, ("num_key_value_heads", "head_dim"))
    heads, groups = ((name, found[name]) for name in ("num_attention_heads", "num_key_value_heads"))
    need_divisible(heads, groups)
    need_divisible(("head_dim", found["head_dim"]), ("the channels of a rotary pair", 2))
    refuse_others(config, family, {"hidden_act": ("silu",), "tie_word_embeddings": (False,)})
    scaling = config.get("rope_scaling")
    found["frequencies"] = inverse_frequencies(found["head_dim"], found["rope_theta"], scaling)
    return found


class Stack(nn.Module):
    """All modules except the head, with the parameter names of the released weights."""

    def __init__(self, vocab: int, hidden: int, eps: float, layers: list[nn.Module]) -> None:
        super().__init__()
        self.embed_tokens = Embedding(vocab, hidden)
        self.layers = nn.ModuleList(layers)
        self.norm = RMSNorm(hidden, eps)


class StackNetwork(LoopedNetwork):
    """Network with embedding, repeated layers with a norm at the end of each iteration, and head.

    Parameters
    ----------
    found : mapping
        Result of `stack_sizes`.
    layers : list of nn.Module
        Each layer maps (state, rope, cache, cache key) to a state.
    norm_fed_back : bool
        If False, the raw state is fed back, and the norm is applied only before the head.
    """

    def __init__(
        self, found: Mapping[str, Any], layers: list[nn.Module], *, norm_fed_back: bool = True
    ) -> None:
        super().__init__()
        h, vocab = found["hidden_size"], found["vocab_size"]
        self.model = Stack(vocab, h, found["rms_norm_eps"], layers)
        self.lm_head = Linear(h, vocab, bias=False)
        self.norm_fed_back = norm_fed_back
        self.frequencies = found["frequencies"]
        cached = found["num_key_value_heads"] * found["head_dim"]
        self.sizes = LoopSizes(h, h, vocab, found["max_position_embeddings"], cached, core=len(layers))

    def rope(self, positions: Int[Tensor, " token"]) -> Tensor:
        """Return cosine and sine of the rotary angles; they are the same in every iteration."""
        return rotary_table(self.frequencies, positions)

    def read_in(
        self,
        token_ids: Int[Tensor, "batch token"],
        rope: Tensor,  # noqa: ARG002 (other families need it)
        cache: IterationCache | None,  # noqa: ARG002
    ) -> Float[Tensor, "batch token state"]:
        """Embed the tokens, without scaling; return the initial state x_0."""
        x: Tensor = self.model.embed_tokens(token_ids)
        return x

    def iterate(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> Float[Tensor, "batch token state"]:
        """Run all layers once, then the norm if the normalised state is fed back."""
        *_, last = self._passed(state, context, iteration)
        return self._close(last)

    def iterate_blocks(
        self, state: Float[Tensor, "batch token state"], context: LoopContext, iteration: int = 0
    ) -> list[Float[Tensor, "batch token state"]]:
        """Return, for each layer, the state that is fed back if the iteration ends after that layer."""
        return [self._close(x) for x in self._passed(state, context, iteration)]

    def normalise(self, state: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """Return the normalised state; a state that is fed back normalised is returned unchanged."""
        return state if self.norm_fed_back else self._normed(state)

    def read_out(
        self,
        state: Float[Tensor, "batch token state"],
        context: LoopContext,  # noqa: ARG002
    ) -> Float[Tensor, "batch token hidden"]:
        """Return the input of the head, which is the normalised state."""
        return self.normalise(state)

    def core_blocks(self) -> list[nn.Module]:
        """Return the layers."""
        return list(self.model.layers)

    def _passed(self, x: Tensor, context: LoopContext, iteration: int) -> Iterator[Tensor]:
        first = iteration * len(self.model.layers)
        for i, layer in enumerate(self.model.layers):
            x = layer(x, context.rope, context.cache, first + i)
            yield x

    def _close(self, x: Tensor) -> Tensor:
        return self._normed(x) if self.norm_fed_back else x

    def _normed(self, x: Tensor) -> Tensor:
        normed: Tensor = self.model.norm(x)
        return normed

"""One prompt with its continuation through one model: the states of layers where new tokens are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentkit.errors import PromptError
from latentkit.models.layered.unrolled import BlockCall, UnrolledModel
from latentkit.run.layers.divergence import divergence_bytes, divergence_of_states
from latentkit.run.memory import activation_bytes, refuse_beyond_memory

__all__ = ["LayerRun", "compare", "need_same_length", "refuse_too_large"]


@dataclass(frozen=True)
class LayerRun:
    """One prompt with its continuation, through one model.

    Attributes
    ----------
    model : UnrolledModel
    prompt, new : list of int
        Token ids of the prompt, and of the continuation whose predictions are compared.
    layers : list of int
        Layers to compare, in the order of the result.
    """

    model: UnrolledModel
    prompt: list[int]
    new: list[int]
    layers: list[int]

    @property
    def sequence(self) -> list[int]:
        """Token ids that the model reads: all but the last new token, which is only predicted."""
        return [*self.prompt, *self.new[:-1]]

    @property
    def positions(self) -> slice:
        """Positions at which the new tokens are predicted."""
        return slice(len(self.prompt) - 1, len(self.prompt) - 1 + len(self.new))

    def read(self, wanted: Sequence[int]) -> tuple[dict[int, Tensor], Tensor]:
        """Run once; return the head's input [position, hidden] for some layers and for the whole model."""
        kept: dict[int, Tensor] = {}
        needed = set(wanted)

        def keep(call: BlockCall) -> Tensor:
            out = call.run()
            if call.index in needed:
                kept[call.index] = out[0]
            return out

        final = self.model.run(self.sequence, keep)[self.positions]
        if not kept:
            return {}, final
        read = self.model.read(kept, self.sequence, self.positions)
        return dict(zip(kept, read, strict=True)), final

    def states(self) -> tuple[list[Tensor], Tensor]:
        """Run once; return the output of every layer, and the input of the head [position, hidden]."""
        states: list[Tensor] = []

        def keep(call: BlockCall) -> Tensor:
            states.append(call.run())
            return states[-1]

        return states, self.model.run(self.sequence, keep)[self.positions]


def compare(
    run: LayerRun, reference: Tensor, approximation: Tensor, divergence: str, other_head: Any = None
) -> Tensor:
    """Compare [layer, position, hidden] with a reference [position, hidden] or one for each layer."""
    layers, positions = approximation.shape[:2]
    pair = torch.arange(positions).repeat(layers)
    if reference.dim() == 3:
        pair = torch.arange(layers * positions)
        reference = reference.flatten(0, 1)
    rows = approximation.flatten(0, 1)
    found = divergence_of_states(run.model.head, reference, rows, pair, divergence, other_head=other_head)
    return found.view(layers, positions)


def need_same_length(name: str, prompt: list[int], other: list[int]) -> None:
    """Refuse two prompts of different length."""
    if len(prompt) != len(other):
        msg = (
            f"The prompt has {len(prompt)} tokens and {name} has {len(other)}; the two runs are compared "
            "position by position. Pass two prompts of the same length in tokens."
        )
        raise PromptError(msg)


def refuse_too_large(
    model: Any,
    unrolled: UnrolledModel,
    tokens: int,
    *,
    layers: int,
    new_tokens: int,
    divergence: str,
    decodes: bool,
) -> None:
    """Refuse a run that does not fit into memory, before it starts.

    If the continuation is decoded, it first holds the cache. Then it holds the states of all layers, those of
    the chosen layers at the new tokens, and one block's or one comparison's arrays.
    """
    count, rows = len(unrolled.layers), (layers + 1) * new_tokens
    kept = (tokens * count + rows) * model.hidden_size * model.dtype.itemsize
    compared = divergence_bytes(unrolled.head, divergence, rows, model.hidden_size, model.vocab_size)
    block, cache = activation_bytes(model, tokens), 0
    if decodes and hasattr(model, "cache_bytes"):
        cache = model.cache_bytes("full", tokens=tokens, iterations=unrolled.iterations)
    needed = max(cache + block, kept + max(block, compared))
    refuse_beyond_memory(needed, model.device, f"states of {count} layers × {tokens:,} tokens")

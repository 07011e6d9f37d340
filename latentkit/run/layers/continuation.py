"""One prompt with its continuation, through one model: what layers leave where new tokens are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from latentkit.errors import PromptError
from latentkit.models.unrolled import BlockCall, UnrolledModel
from latentkit.run.arguments import refuse_beyond_memory
from latentkit.run.layers.arguments import OtherRun
from latentkit.run.layers.divergence import divergence_of_states

__all__ = ["LayerRun", "compare", "refuse_too_large", "same_length", "states_of_other"]


@dataclass(frozen=True)
class LayerRun:
    """One prompt with its continuation, through one model."""

    model: UnrolledModel
    prompt: list[int]
    new: list[int]
    layers: list[int]

    @property
    def sequence(self) -> list[int]:
        """What is fed: the last new token is predicted, not read."""
        return [*self.prompt, *self.new[:-1]]

    @property
    def positions(self) -> slice:
        """Where the new tokens are predicted."""
        return slice(len(self.prompt) - 1, len(self.prompt) - 1 + len(self.new))

    def read(self, wanted: Sequence[int]) -> tuple[dict[int, Tensor], Tensor]:
        """Run once; return what stands before the head [position, hidden], for some layers and at the end."""
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


def states_of_other(run: LayerRun, other: OtherRun) -> list[Tensor]:
    """Return every state of another prompt's run, on the same continuation."""
    states: list[Tensor] = []

    def keep(call: BlockCall) -> Tensor:
        states.append(call.run())
        return states[-1]

    replace(run, prompt=same_length(run, other)).model.run([*other.prompt, *run.new[:-1]], keep)
    return states


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


def same_length(run: LayerRun, other: OtherRun) -> list[int]:
    """Return the other run's prompt, which has as many tokens; without one of its own, that of this run."""
    if other.prompt and len(other.prompt) != len(run.prompt):
        msg = (
            f"The prompt has {len(run.prompt)} tokens and source has {len(other.prompt)}; two runs are "
            "compared position by position. Pass two prompts of as many tokens."
        )
        raise PromptError(msg)
    return other.prompt or run.prompt


def refuse_too_large(model: Any, run: LayerRun) -> None:
    """Refuse a run whose states would not fit into memory, before it starts."""
    tokens, count = len(run.sequence), len(run.model.layers)
    estimate = 2 * tokens * count * model.hidden_size * model.dtype.itemsize
    refuse_beyond_memory(estimate, model.device, f"states of {count} layers × {tokens:,} tokens")

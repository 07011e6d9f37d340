"""The three definitions of layer KL: the effect of a layer, what it says through a lens, and two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from latentkit.errors import ArgumentError
from latentkit.models.unrolled import BlockCall, Layer
from latentkit.run.layers.arguments import Asked, OtherRun
from latentkit.run.layers.continuation import LayerRun, compare, same_length, states_of_other
from latentkit.run.layers.interventions import Intervened, Intervention
from latentkit.run.progress import Progress

__all__ = ["effect", "lens"]


def effect(run: LayerRun, asked: Asked, action: Intervention, other: Any, bar: Progress) -> Tensor:
    """Run on from each layer, with the clean states of all calls before it."""
    states: list[Tensor] = []

    def keep(call: BlockCall) -> Tensor:
        states.append(call.run())
        return states[-1]

    clean = run.model.run(run.sequence, keep)[run.positions]
    sources = states_of_other(run, other) if other is not None else None
    changed: list[Tensor] = []
    for row in bar.until_stopped(range(len(run.layers))):
        index = run.layers[row]

        def act(call: BlockCall, index: int = index) -> Tensor:
            if call.index != index:
                return states[call.index] if call.index < index else call.run()
            source = None if sources is None else sources[index]
            layer = run.model.layers[index]
            return action.apply(Intervened(call, layer, len(run.prompt), asked.value, source))

        changed.append(run.model.run(run.sequence, act)[run.positions])
    values = torch.full((len(run.layers), len(run.new)), torch.nan, dtype=torch.float64)
    if changed:
        values[: len(changed)] = compare(run, clean, torch.stack(changed), asked.divergence)
    return values


def lens(run: LayerRun, asked: Asked, other: Any, bar: Progress) -> Tensor:
    """Compare what layers say with a reference, with the layer before, or with another run."""
    for _ in bar.until_stopped(range(1)):
        pass
    if asked.definition == "two_runs":
        return _two_runs(run, asked, other)
    before = {index: _before(run.model.layers, index, asked.reference) for index in run.layers}
    earlier = {index for index in before.values() if index is not None}
    read, final = run.read([*run.layers, *earlier])
    approximation = torch.stack([read[index] for index in run.layers])
    if asked.reference == "final":
        return compare(run, final, approximation, asked.divergence)
    values = torch.full(approximation.shape[:2], torch.nan, dtype=torch.float64)
    rows = [row for row, index in enumerate(run.layers) if before[index] is not None]
    if rows:
        references = torch.stack(
            [read[index] for row in rows if (index := before[run.layers[row]]) is not None]
        )
        values[rows] = compare(run, references, approximation[rows], asked.divergence)
    return values


def _before(layers: Sequence[Layer], index: int, reference: str) -> int | None:
    """Say which layer a layer is compared with; None where there is none, or where it is the model's end."""
    if reference == "previous":
        return index - 1 if index else None
    if reference == "previous_iteration" and layers[index].iteration > 1:
        wanted = replace(layers[index], index=0, iteration=layers[index].iteration - 1)
        return next((one.index for one in layers if replace(one, index=0) == wanted), None)
    return None


def _two_runs(run: LayerRun, asked: Asked, other: OtherRun) -> Tensor:
    """Compare each layer with its counterpart in the other run, both on this run's continuation."""
    there = replace(run, model=other.model, prompt=same_length(run, other))
    counterpart = [_counterpart(run.model.layers, other.model.layers, index) for index in run.layers]
    read, _ = run.read(run.layers)
    read_there, _ = there.read(counterpart)
    here = torch.stack([read[index] for index in run.layers])
    approximation = torch.stack([read_there[index] for index in counterpart])
    head = None if other.model.module is run.model.module else other.model.head
    return compare(run, here, approximation, asked.divergence, head)


def _counterpart(here: Sequence[Layer], there: Sequence[Layer], index: int) -> int:
    """Find the layer of the other run: same stack and block, as many iterations before the end."""
    layer = here[index]

    def from_end(layers: Sequence[Layer], one: Layer) -> int:
        return max(other.iteration for other in layers if other.stack == one.stack) - one.iteration

    for one in there:
        same = (one.stack, one.block) == (layer.stack, layer.block)
        if same and from_end(there, one) == from_end(here, layer):
            return one.index
    msg = f"{str(layer).capitalize()} has no counterpart in the other run. Choose layers= that both have."
    raise ArgumentError(msg)

"""`run_layer_difference`: at which layer two runs begin to differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit.errors import ArgumentError
from latentkit.models.layered.depth import unrolled_model
from latentkit.models.layered.unrolled import Layer, UnrolledModel
from latentkit.run.arguments import whole_number
from latentkit.run.layers.comparison import MOST_ITERATIONS, Comparison, prepare
from latentkit.run.layers.continuation import LayerRun, compare, need_same_length
from latentkit.run.layers.table import Definition
from latentkit.run.prompting import Prompt

__all__ = ["run_layer_difference"]


def run_layer_difference(
    model: Any,
    prompt: Prompt | Sequence[Prompt],
    other: Any,
    *,
    new_tokens: int = 5,
    layers: Sequence[int] | None = None,
    divergence: str = "kl",
    units: str = "nats",
    continuation: Sequence[int] | None = None,
    iterations: int | None = None,
    seed: int | None = 0,
    system: str | None = None,
    chat: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Measure, layer by layer, how far the predictions of two runs are apart.

    The value is KL(q_layer of this run ‖ q_layer of the other), each read out as in `run_layer_lens`; both
    runs read the continuation of this one.

    Parameters
    ----------
    model, prompt
        As in `run_layer_effect`.
    other : prompt, model, or int
        The other run: another prompt of as many tokens, another model with the same vocabulary, or another
        number of iterations (layers of the core are then paired from its end).
    new_tokens, layers, divergence, units, continuation, iterations, seed, system, chat, progress
        As in `run_layer_effect`.

    Returns
    -------
    Dataset [layer, generated_token]
        As from `run_layer_lens`.

    Raises
    ------
    ArgumentError, PromptError, ModelError
        As `run_layer_effect`; also if the two runs cannot be compared.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> result = lk.run_layer_difference(model, "1 + 1", "1 + 2", new_tokens=2, layers=[0], progress=False)
    >>> result.direction, dict(result.sizes)
    ('KL(this run ‖ other run)', {'layer': 1, 'generated_token': 2})
    """
    comparison = prepare(
        model, prompt, new_tokens=new_tokens, layers=layers, divergence=divergence, units=units,
        continuation=continuation, iterations=iterations, seed=seed, system=system, chat=chat,
        progress=progress,
    )  # fmt: skip
    there, ids = _other_run(comparison, other)
    return comparison.run(
        lambda run, _bar: _difference(run, there, ids, divergence),
        Definition("difference", "this run", "other run"),
    )


def _other_run(here: Comparison, other: Any) -> tuple[UnrolledModel, list[int] | None]:
    """Return the model of the other run, and its prompt unless it is the same."""
    if other is None:
        msg = "other is None; pass another prompt, another model, or a number of iterations."
        raise ArgumentError(msg)
    if isinstance(other, (str, list, tuple)):
        return here.unrolled, here.encode(other)
    if isinstance(other, (int, np.integer)):
        count = whole_number("other", other, least=1, most=MOST_ITERATIONS)
        if here.unrolled.iterations is None:
            msg = (
                f"other is {other!r}, a number of iterations, but {here.model.name} has a fixed depth. Pass "
                "another prompt or another model."
            )
            raise ArgumentError(msg)
        return unrolled_model(here.model, iterations=count, seed=here.seed), None
    unrolled = unrolled_model(other, iterations=here.iterations, seed=here.seed)
    if other.vocab_size != here.model.vocab_size:
        msg = (
            f"{other.name} has {other.vocab_size:,} logits and {here.model.name} {here.model.vocab_size:,}; "
            "predictions over different vocabularies cannot be compared."
        )
        raise ArgumentError(msg)
    return unrolled, None


def _difference(run: LayerRun, model: UnrolledModel, prompt: list[int] | None, divergence: str) -> Tensor:
    """Compare each layer with its counterpart in the other run, both on this run's continuation."""
    if prompt is not None:
        need_same_length("other", run.prompt, prompt)
    counterpart = [_counterpart(run.model.layers, model.layers, index) for index in run.layers]
    read, _ = run.read(run.layers)
    there, _ = LayerRun(model, prompt or run.prompt, run.new, run.layers).read(counterpart)
    here = torch.stack([read[index] for index in run.layers])
    approximation = torch.stack([there[index] for index in counterpart])
    head = None if model.module is run.model.module else model.head
    return compare(run, here, approximation, divergence, head)


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

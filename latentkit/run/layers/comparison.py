"""What `run_layer_effect`, `run_layer_lens` and `run_layer_difference` share: from arguments to a dataset."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from latentkit.models.layered.depth import unrolled_model
from latentkit.models.layered.unrolled import UnrolledModel
from latentkit.run.arguments import check_token_ids, flag, seed_or_none, whole_number
from latentkit.run.layers.arguments import check_names, checked_continuation, chosen_layers, is_several
from latentkit.run.layers.continuation import LayerRun, refuse_too_large
from latentkit.run.layers.table import Definition, finished_values, layer_dataset
from latentkit.run.progress import Progress
from latentkit.run.prompting import encode, prompt_json
from latentkit.run.provenance import provenance

__all__ = ["MOST_ITERATIONS", "Comparison", "prepare"]

#: Each iteration of each block is a layer whose states are kept.
MOST_ITERATIONS = 10_000

#: From a run and a progress bar to the values [layer, generated_token] in nats.
Values = Callable[[LayerRun, Progress], Tensor]


@dataclass(frozen=True)
class Comparison:
    """Checked arguments of one comparison of layers."""

    model: Any
    unrolled: UnrolledModel
    prompt: Any
    encoded: list[list[int]]
    several: bool
    layers: list[int]
    new_tokens: int
    continuation: list[int] | None
    divergence: str
    units: str
    iterations: int | None
    seed: int | None
    system: str | None
    chat: bool
    progress: bool

    def encode(self, prompt: Any) -> list[int]:
        """Encode another prompt as the first one was; check that the model can read it."""
        options = {"system": self.system, "chat": self.chat} if isinstance(prompt, str) else {}
        ids = encode(self.model.tokenizer, prompt, **options)  # type: ignore[arg-type]
        check_token_ids(self.model, ids, self.new_tokens)
        return ids

    def run(self, values: Values, definition: Definition, *, layer_by_layer: bool = False) -> xr.Dataset:
        """Compute the values of each prompt and label them.

        If ``values`` works layer by layer, it advances the bar itself; otherwise this function does.
        """
        sequences, tables = [], []
        longest = max(map(len, self.encoded)) + self.new_tokens - 1
        refuse_too_large(
            self.model, self.unrolled, longest,
            layers=len(self.layers), new_tokens=self.new_tokens, divergence=self.divergence,
            decodes=self.continuation is None,
        )  # fmt: skip
        steps = len(self.layers) if layer_by_layer else 1
        with Progress(len(self.encoded) * steps, self.model.name, visible=self.progress) as bar:
            for ids in self.encoded:
                new = self.continuation or self.unrolled.greedy(ids, self.new_tokens)
                run = LayerRun(self.unrolled, ids, new, self.layers)
                sequences.append(new)
                if not layer_by_layer:
                    list(bar.until_stopped(range(1)))
                found = values(run, bar)
                blank = definition.blank_rows or bar.stopped
                tables.append(finished_values(found, self.units, self.model.name, blank_rows=blank))
                if bar.stopped:
                    break
            # inside the context: an interrupt after the last layer must not discard the values
            stopped = bar.stopped
            result = layer_dataset(
                np.stack(tables),
                tokenizer=self.model.tokenizer,
                layers=[self.unrolled.layers[index] for index in self.layers],
                sequences=sequences,
                attrs={**self._attrs(definition), "interrupted": int(stopped)},
                several=self.several,
            )
        if stopped:
            msg = "Interrupted: layers and prompts that were not reached are NaN or absent."
            warnings.warn(msg, stacklevel=3)
        return result

    def _attrs(self, definition: Definition) -> dict[str, Any]:
        attrs = {
            "kind": "layers",
            **provenance(self.model),
            **definition.describe(self.divergence, self.units),
            "layers_of_model": str(len(self.unrolled.layers)),
            "seed": "zeros" if self.seed is None else self.seed,
            "prompt": prompt_json(
                self.prompt, system=self.system, chat=self.chat, new_tokens=self.new_tokens
            ),
        }
        if self.unrolled.iterations is not None:
            attrs["iterations"] = self.unrolled.iterations
        return attrs


def prepare(
    model: Any,
    prompt: Any,
    *,
    new_tokens: int,
    layers: Sequence[int] | None,
    divergence: str,
    units: str,
    continuation: Sequence[int] | None,
    iterations: int | None,
    seed: int | None,
    system: str | None,
    chat: bool,
    progress: bool,
) -> Comparison:
    """Check the arguments that all comparisons share, and encode the prompts."""
    check_names(divergence, units)
    if iterations is not None:
        iterations = whole_number("iterations", iterations, least=1, most=MOST_ITERATIONS)
    progress = flag("progress", progress)
    seed = seed_or_none(seed)
    given = None if continuation is None else checked_continuation(continuation)
    new_tokens = whole_number("new_tokens", new_tokens, least=1) if given is None else len(given)
    unrolled = unrolled_model(model, iterations=iterations, seed=seed)
    chosen = chosen_layers(layers, len(unrolled.layers))
    several = is_several(prompt)
    prompts: list[Any] = list(prompt) if several else [prompt]
    encoded = [encode(model.tokenizer, one, system=system, chat=chat) for one in prompts]
    for ids in encoded:
        check_token_ids(model, ids, new_tokens)
    if given is not None:
        check_token_ids(model, given, 0)
    return Comparison(
        model, unrolled, prompt, encoded, several, chosen, new_tokens, given, divergence, units, iterations,
        seed, system, chat, progress,
    )  # fmt: skip

"""What `run_layer_kl` was asked for: checks at the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentkit import criteria
from latentkit.errors import ArgumentError, PromptError, nearest
from latentkit.models.depth import unroll
from latentkit.models.unrolled import UnrolledModel
from latentkit.run.arguments import check_token_ids, whole_number
from latentkit.run.prompting import encode

__all__ = [
    "Asked",
    "OtherRun",
    "check_asked",
    "checked_continuation",
    "chosen_layers",
    "is_several",
    "other_run",
]

DEFINITIONS = ("effect", "lens", "two_runs")
REFERENCES = ("final", "previous", "previous_iteration")
UNITS = ("nats", "bits")


@dataclass(frozen=True)
class Asked:
    """The arguments that say what is compared with what."""

    definition: str
    do: Any
    value: Any
    reference: str
    source: Any
    divergence: str
    units: str


def check_asked(asked: Asked) -> None:
    """Refuse names that are not known, and arguments that go with another definition."""
    choices = {
        "definition": DEFINITIONS,
        "reference": REFERENCES,
        "divergence": tuple(criteria.DIVERGENCES),
        "units": UNITS,
    }
    for name, known in choices.items():
        wanted = getattr(asked, name)
        if wanted not in known:
            msg = f"No {name} named {wanted!r}. {nearest(str(wanted), known)}"
            raise ArgumentError(msg)
    only = {
        "do": ("effect", asked.do != "skip"),
        "value": ("effect", asked.value is not None),
        "reference": ("lens", asked.reference != "final"),
    }
    for name, (definition, given) in only.items():
        if given and asked.definition != definition:
            msg = (
                f"{name}= goes with definition={definition!r}, and definition is {asked.definition!r}. "
                "Leave it out."
            )
            raise ArgumentError(msg)
    if (asked.definition == "two_runs") > (asked.source is not None):
        msg = "definition='two_runs' needs source=: another prompt, another model, or a number of iterations."
        raise ArgumentError(msg)
    if asked.definition == "lens" and asked.source is not None:
        msg = "source= goes with definition='two_runs' or do='patch'. Leave it out."
        raise ArgumentError(msg)
    if asked.units == "bits" and not criteria.DIVERGENCES[asked.divergence].logarithmic:
        msg = f"divergence={asked.divergence!r} is a number between 0 and 1 without a unit. Leave units= out."
        raise ArgumentError(msg)


def chosen_layers(layers: Sequence[int] | None, count: int) -> list[int]:
    """Return the layers in the caller's order, or say what is wrong and what would be right."""
    if layers is None:
        return list(range(count))
    has = f"This model has layers 0 to {count - 1}, or -{count} to -1 from the end."
    if not isinstance(layers, (list, tuple, range, np.ndarray)) or not len(layers):
        msg = f"layers is {layers!r}; pass a list of layers such as [0, {count - 1}], or None for all. {has}"
        raise ArgumentError(msg)
    chosen = []
    for layer in layers:
        whole = isinstance(layer, (int, np.integer)) and not isinstance(layer, bool)
        if not whole or not -count <= layer < count:
            msg = f"layers holds {layer!r}. {has}"
            raise ArgumentError(msg)
        chosen.append(int(layer) % count)
    if twice := sorted({layer for layer in chosen if chosen.count(layer) > 1}):
        msg = f"layers holds {', '.join(map(str, twice))} more than once. Name each layer once. {has}"
        raise ArgumentError(msg)
    return chosen


def is_several(prompt: Any) -> bool:
    """Tell several prompts from one: a list of texts, or of lists of token ids or messages."""
    if isinstance(prompt, str) or not hasattr(prompt, "__len__") or not len(prompt):
        return False
    first = prompt[0]
    if isinstance(first, list):
        return not (len(first) == 2 and all(isinstance(part, str) for part in first))
    return isinstance(first, str)


def checked_continuation(given: list[Any]) -> list[int]:
    """Return the token ids to go on with, or say what is wrong with them."""
    if not given or not all(isinstance(i, (int, np.integer)) and i >= 0 for i in given):
        msg = (
            f"continuation is {given!r}; pass at least one token id, counted from 0, or None for the model's "
            "own."
        )
        raise PromptError(msg)
    return [int(i) for i in given]


@dataclass(frozen=True)
class OtherRun:
    """The other of two runs; no prompt means the same one."""

    model: UnrolledModel
    prompt: list[int]


def other_run(
    asked: Asked,
    model: Any,
    unrolled: UnrolledModel,
    *,
    iterations: int | None,
    seed: int | None,
    like: Mapping[str, Any],
) -> OtherRun | None:
    """Return the run that ``source=`` names, if any; a text is encoded like the prompt."""
    source = asked.source
    if source is None:
        return None
    if asked.definition == "effect" or isinstance(source, (str, list)):
        ids = encode(model.tokenizer, source, **(like if isinstance(source, str) else {}))
        check_token_ids(model, ids, 0)
        return OtherRun(unrolled, ids)
    if isinstance(source, (int, np.integer)):
        other = unroll(model, iterations=whole_number("source", source, least=1), seed=seed)
        if other is unrolled:
            msg = f"source is {source!r}, a number of iterations, and {model.name} repeats nothing by choice."
            raise ArgumentError(msg)
        return OtherRun(other, [])
    other = unroll(source, iterations=iterations, seed=seed)
    if source.vocab_size != model.vocab_size:
        msg = (
            f"{source.name} has {source.vocab_size:,} logits and {model.name} {model.vocab_size:,}; "
            "predictions over different vocabularies cannot be compared."
        )
        raise ArgumentError(msg)
    return OtherRun(other, [])

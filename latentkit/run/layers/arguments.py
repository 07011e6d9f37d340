"""Checks of the arguments that the three comparisons of layers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentkit import criteria
from latentkit.arguments import is_whole, one_of, shown_value
from latentkit.errors import ArgumentError, PromptError

__all__ = ["check_names", "checked_continuation", "chosen_layers", "is_several"]

UNITS = ("nats", "bits")


def check_names(divergence: str, units: str) -> None:
    """Refuse unknown names, and a unit for a divergence that has none."""
    one_of("divergence", divergence, tuple(criteria.DIVERGENCES))
    one_of("units", units, UNITS)
    if units == "bits" and not criteria.DIVERGENCES[divergence].logarithmic:
        msg = f"divergence={divergence!r} is a number between 0 and 1 without a unit. Leave units= out."
        raise ArgumentError(msg)


def chosen_layers(layers: Sequence[int] | None, count: int) -> list[int]:
    """Return the layers in the caller's order, counted from 0."""
    if layers is None:
        return list(range(count))
    has = f"This model has layers 0 to {count - 1}, or -{count} to -1 from the end."
    if not isinstance(layers, (list, tuple, range, np.ndarray)) or not len(layers):
        msg = f"layers is {layers!r}; pass a list of layers such as [0, {count - 1}], or None for all. {has}"
        raise ArgumentError(msg)
    chosen = []
    for layer in layers:
        if not is_whole(layer) or not -count <= layer < count:
            msg = f"layers holds {layer!r}. {has}"
            raise ArgumentError(msg)
        chosen.append(int(layer) % count)
    if twice := sorted({layer for layer in chosen if chosen.count(layer) > 1}):
        msg = f"layers holds {', '.join(map(str, twice))} more than once. Name each layer once. {has}"
        raise ArgumentError(msg)
    return chosen


def is_several(prompt: Any) -> bool:
    """Return whether this is a list of prompts: of texts, or of lists of token ids or messages."""
    if not isinstance(prompt, (list, tuple)) or not prompt:
        return False
    first = prompt[0]
    if isinstance(first, list):
        return not (len(first) == 2 and all(isinstance(part, str) for part in first))
    return isinstance(first, str)


def checked_continuation(given: Any) -> list[int]:
    """Return the token ids of a given continuation."""
    ids = list(given) if isinstance(given, (list, tuple, range, np.ndarray)) else []
    whole = all(is_whole(i) and i >= 0 for i in ids)
    if not ids or not whole:
        msg = (
            f"continuation is {shown_value(given)}; pass at least one token id, counted from 0, or None for "
            "the model's own."
        )
        raise PromptError(msg)
    return [int(i) for i in ids]

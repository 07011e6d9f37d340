"""Token texts and labels: the last step from arrays to a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.criteria import EXIT_RULES
from latentkit.models.contract import facts_of
from latentkit.run.prompting import token_texts
from latentkit.trace import build_trace

__all__ = ["as_texts", "label", "seed_attribute", "token_labels"]


def as_texts(texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return an array of objects, which keeps a NUL at the end of a text."""
    return np.array(texts, dtype=object)


def token_labels(tokenizer: Any, ids: Sequence[int]) -> dict[str, np.ndarray[Any, Any]]:
    """Return ``token_text`` and ``token_id`` of tokens."""
    return {
        "token_text": as_texts(token_texts(tokenizer, ids)),
        "token_id": np.array(ids, dtype=np.int64),
    }


def seed_attribute(model: Any, seed: int | None, initial_state: Any = None) -> int | str:
    """Return the attribute ``seed`` of a trace."""
    if initial_state is not None:
        return "given"
    if not facts_of(model).seeded:
        return "none: starts from the input"
    return "zeros" if seed is None else seed


def label(
    tokenizer: Any,
    kind: str,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    attrs: Mapping[str, Any],
    *,
    watched: Sequence[int] = (),
) -> xr.Dataset:
    """Return a trace of a kind, adding the texts of readouts and watched tokens to the arrays."""
    found = dict(arrays)
    if "readout_id" in found:
        found["readout_text"] = _readout_texts(tokenizer, found["readout_id"])
    if watched:
        found["watched"] = np.array(watched, dtype=np.int64)
        found["watched_text"] = as_texts(token_texts(tokenizer, watched))
    if "exit_value" in found:
        found["criterion"] = as_texts(list(EXIT_RULES))
    return build_trace(kind, found, attrs)


def _readout_texts(tokenizer: Any, ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the texts of token ids; "" for -1, a readout that was not made."""
    distinct, place = np.unique(ids, return_inverse=True)
    known = distinct[distinct >= 0].tolist()
    texts = [""] * (len(distinct) - len(known)) + token_texts(tokenizer, known)
    return as_texts(texts)[place.reshape(ids.shape)]

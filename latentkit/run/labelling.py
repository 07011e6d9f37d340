"""Names, units and texts for the arrays of a run: the last step to a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.criteria import EXIT_RULES
from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.run.prompting import token_texts
from latentkit.trace import build_trace

__all__ = ["as_texts", "label", "readout_texts", "token_number"]

Arrays = Mapping[str, np.ndarray[Any, Any]]


def as_texts(texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """Make an array of objects, which keeps a NUL at the end of a text."""
    return np.array(texts, dtype=object)


def token_number(model: RecurrentModel[Any], token: Any) -> int:
    """Return the id of a token that somebody names by its text or its id.

    Raises
    ------
    ArgumentError
        If the text is no single token, or the id is none of the model's.
    """
    if not isinstance(token, str):
        if (
            isinstance(token, bool)
            or not isinstance(token, (int, np.integer))
            or not 0 <= token < model.vocab_size
        ):
            msg = f"watch holds {token!r}; pass texts, or ids from 0 to {model.vocab_size - 1}."
            raise ArgumentError(msg)
        return int(token)
    if model.tokenizer is None:
        msg = f"watch holds {token!r}, but this model's folder has no tokenizer. Pass token ids."
        raise ArgumentError(msg)
    ids: list[int] = model.tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        parts = ", ".join(map(repr, token_texts(model.tokenizer, ids))) or "none"
        msg = f"watch holds {token!r}, which is {len(ids)} tokens of {model.name}: {parts}. Pass one token."
        raise ArgumentError(msg)
    return ids[0]


def readout_texts(tokenizer: Any, ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the texts of token ids; "" for -1, which stands for a readout that was not made."""
    distinct, place = np.unique(ids, return_inverse=True)
    known = distinct[distinct >= 0].tolist()
    texts = [""] * (len(distinct) - len(known)) + token_texts(tokenizer, known)
    return as_texts(texts)[place.reshape(ids.shape)]


def label(
    tokenizer: Any,
    kind: str,
    found: Arrays,
    attrs: Mapping[str, Any],
    *,
    watched: Sequence[int] = (),
) -> xr.Dataset:
    """Return a trace of a kind from bare arrays, with the texts of readouts and watched tokens."""
    arrays = dict(found)
    if "readout_id" in arrays:
        arrays["readout_text"] = readout_texts(tokenizer, arrays["readout_id"])
    if watched:
        arrays["watched"] = np.array(watched, dtype=np.int64)
        arrays["watched_text"] = as_texts(token_texts(tokenizer, watched))
    if "exit_value" in arrays:
        arrays["criterion"] = as_texts(list(EXIT_RULES))
    return build_trace(kind, arrays, attrs)

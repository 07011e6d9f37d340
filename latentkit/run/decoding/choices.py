"""Choices of the decoding loop: which token follows, and which tokens end the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentkit.errors import ArgumentError, nearest

__all__ = ["likeliest", "sampled", "stop_ids"]

#: Huginn's, and the end of a turn in ChatML, the chat format of SmolLM2, Ouro and others.
_STOP_TOKENS = ("<|begin_text|>", "<|end_text|>", "<|end_turn|>", "<|im_end|>")


def stop_ids(tokenizer: Any, names: object = None) -> frozenset[int]:
    """Return the ids of the tokens that end an answer.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast or None
    names : str, collection of str, or None
        Names of the tokens, one or several; None: the end token and those of the chat format.

    Raises
    ------
    ArgumentError
        If the vocabulary has no token of such a name.
    """
    wanted = _names(names)
    if tokenizer is None and not wanted:
        return frozenset()
    if tokenizer is None:
        msg = (
            f"stop is {names!r}, but this model's folder has no tokenizer, so no token has a name. Pass None."
        )
        raise ArgumentError(msg)
    vocabulary = tokenizer.get_vocab()
    if wanted is None:
        ids = {vocabulary[name] for name in _STOP_TOKENS if name in vocabulary}
        return frozenset(ids | {tokenizer.eos_token_id} - {None})
    for name in wanted:
        if name not in vocabulary:
            special = sorted(set(tokenizer.all_special_tokens) | set(_STOP_TOKENS) & set(vocabulary))
            msg = f"stop holds {name!r}, which is no token of this model. {nearest(name, special)}"
            raise ArgumentError(msg)
    return frozenset(vocabulary[name] for name in wanted)


def _names(given: object) -> list[str] | None:
    """Return one name or several as a list."""
    if given is None:
        return None
    names = [given] if isinstance(given, str) else given
    if isinstance(names, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in names):
        return list(names)
    msg = f"stop is {given!r}; pass names of tokens such as ['<|end_turn|>'], () for none, or None."
    raise ArgumentError(msg)


def likeliest(logits: Tensor, _position: int) -> int:
    """Choose the token with the largest logit."""
    return int(logits.argmax())


def sampled(temperature: float, top_p: float, seed: int) -> Callable[[Tensor, int], int]:
    """Return a function that samples from softmax(logits / temperature) with nucleus size ``top_p``.

    The sample depends only on (seed, position) and the logits; it is drawn on the CPU in float64.
    """

    def choose(logits: Tensor, position: int) -> int:
        probabilities, order = (logits.double().cpu() / temperature).softmax(-1).sort(descending=True)
        before = probabilities.cumsum(0) - probabilities
        kept = torch.where(before < top_p, probabilities, 0.0)  # always keeps the first
        draw = np.random.default_rng((seed, position, 1)).random() * float(kept.sum())
        place = int(torch.searchsorted(kept.cumsum(0), draw, right=True))
        return int(order[min(place, int(kept.count_nonzero()) - 1)])

    return choose

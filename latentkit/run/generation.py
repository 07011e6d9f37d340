"""Greedy continuation of a prompt, one token at a time, each after the same number of iterations."""

from __future__ import annotations

from typing import Any

import torch

from latentkit.models.contract import RecurrentModel
from latentkit.run.progress import Progress

__all__ = ["greedy", "stop_ids"]

_STOP_TOKENS = ("<|begin_text|>", "<|end_text|>", "<|end_turn|>")


def stop_ids(tokenizer: Any) -> frozenset[int]:
    """Return the ids that end an answer: the tokenizer's end token and the chat format's, by name."""
    if tokenizer is None:
        return frozenset()
    ids = {tokenizer.convert_tokens_to_ids(name) for name in _STOP_TOKENS if name in tokenizer.get_vocab()}
    return frozenset(ids | {tokenizer.eos_token_id} - {None})


def greedy(
    model: RecurrentModel[Any],
    ids: list[int],
    new_tokens: int,
    *,
    iterations: int,
    seed: int | None,
    bar: Progress,
) -> list[int]:
    """Return at most ``new_tokens`` likeliest tokens after ``ids``; a stop token is the last one.

    Parameters
    ----------
    model : RecurrentModel
        A model with ``new_cache()`` reads each token once; one without reads the whole sequence each time.
    ids : list of int
        The prompt.
    new_tokens : int
        How many tokens at most.
    iterations : int
        Passes of the core for every token.
    seed : int or None
        Of the initial states; they depend on the position, so the cache changes nothing.
    bar : Progress
        Moved on by one for each token. An interrupt ends the loop and keeps what is there.
    """
    stops = stop_ids(model.tokenizer)
    cache = model.new_cache() if hasattr(model, "new_cache") else None
    generated: list[int] = []
    unread = ids
    with bar.keep_what_is_there():
        for _ in bar.until_stopped(range(new_tokens)):
            context = model.embed(torch.tensor([unread]), cache=cache)
            state = model.initial_state(context, seed)
            for _ in range(iterations):
                state = model.step(state, context)
            generated.append(int(model.readout(state, context)[0, -1].argmax()))
            unread = generated[-1:] if cache is not None else [*ids, *generated]
            if generated[-1] in stops:
                break
    return generated

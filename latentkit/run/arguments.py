"""Checks of the arguments of the ``run_*`` functions: counts, seeds, tokens, states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from latentkit.arguments import flag, is_whole, real_number, whole_number
from latentkit.errors import ArgumentError, PromptError
from latentkit.models.contract import RecurrentModel, facts_of
from latentkit.run.prompting import token_texts

__all__ = [
    "check_token_ids",
    "flag",
    "given_state",
    "iteration_count",
    "need_causal",
    "need_recurrent",
    "real_number",
    "seed_list",
    "seed_number",
    "seed_or_none",
    "token_numbers",
    "token_positions",
    "whole_number",
]

_MOST_ITERATIONS = 1_000_000
_MOST_SEED = 2**63 - 1  # a saved trace holds seeds as 64-bit integers


def iteration_count(name: str, value: object, *, least: int = 1, or_none: str = "") -> int:
    """Return a checked number of iterations."""
    return whole_number(name, value, least=least, most=_MOST_ITERATIONS, or_none=or_none)


def seed_number(name: str, seed: object, *, or_none: str = "") -> int:
    """Return a checked seed."""
    return whole_number(name, seed, least=0, most=_MOST_SEED, or_none=or_none)


def seed_or_none(seed: object) -> int | None:
    """Return a checked seed; None starts from zeros."""
    return None if seed is None else seed_number("seed", seed, or_none=", or None to start from zeros")


def seed_list(seeds: object) -> list[int]:
    """Return a checked list of different seeds."""
    if isinstance(seeds, (Sequence, np.ndarray)) and not isinstance(seeds, (str, bytes)):
        checked = [seed_number("a number in seeds", each) for each in seeds]
        if checked and len(set(checked)) == len(checked):
            return checked
    msg = f"seeds is {seeds!r}; pass a list of different whole numbers, such as [0, 1, 2]."
    raise ArgumentError(msg)


def need_recurrent(model: object) -> None:
    """Refuse a model that does not iterate a block."""
    if not (callable(getattr(model, "step", None)) and callable(getattr(model, "embed", None))):
        name = getattr(model, "name", f"The model, of the type {type(model).__name__},")
        msg = (
            f"{name} does not repeat a block, so it has no iterations to watch. Pass a recurrent-depth model "
            "such as load_model('nano'), or compare this model's layers with run_layer_effect."
        )
        raise ArgumentError(msg)


def need_causal(model: RecurrentModel[Any], what: str) -> None:
    """Refuse a model whose states depend on later tokens; ``what`` names the use that needs causality."""
    if not facts_of(model).causal:
        msg = f"{model.name} is not causal: its states depend on later tokens, so {what}."
        raise ArgumentError(msg)


def check_token_ids(model: RecurrentModel[Any], ids: list[int], new_tokens: int) -> None:
    """Refuse ids outside the vocabulary and sequences beyond the context length."""
    if max(ids) >= model.vocab_size:
        msg = (
            f"The prompt holds the token id {max(ids)}; {model.name} has the ids 0 to {model.vocab_size - 1}."
        )
        raise PromptError(msg)
    if len(ids) + new_tokens > model.context_length:
        plus = f" and {new_tokens} new ones" if new_tokens else ""
        msg = (
            f"The prompt has {len(ids):,} tokens{plus}; {model.name} can hold {model.context_length:,}. "
            "Pass a shorter prompt or ask for fewer new tokens."
        )
        raise PromptError(msg)


def token_numbers(model: RecurrentModel[Any], name: str, tokens: object) -> list[int]:
    """Return the ids of tokens that are given as texts or ids, one or several.

    Raises
    ------
    ArgumentError
        If a text is not a single token, or an id is outside the vocabulary.
    """
    if isinstance(tokens, (str, int, np.integer)):
        tokens = [tokens]
    if not isinstance(tokens, (Sequence, np.ndarray)) or isinstance(tokens, (bytes, bytearray)):
        msg = f"{name} is {tokens!r}; pass tokens as texts or ids, such as [' the', 17]."
        raise ArgumentError(msg)
    return [_token_number(model, name, token) for token in tokens]


def _token_number(model: RecurrentModel[Any], name: str, token: Any) -> int:
    if not isinstance(token, str):
        if not is_whole(token) or not 0 <= token < model.vocab_size:
            msg = f"{name} holds {token!r}; pass texts, or ids from 0 to {model.vocab_size - 1}."
            raise ArgumentError(msg)
        return int(token)
    if model.tokenizer is None:
        msg = f"{name} holds {token!r}, but this model's folder has no tokenizer. Pass token ids."
        raise ArgumentError(msg)
    ids: list[int] = model.tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        parts = ", ".join(map(repr, token_texts(model.tokenizer, ids))) or "none"
        msg = f"{name} holds {token!r}, which is {len(ids)} tokens of {model.name}: {parts}. Pass one token."
        raise ArgumentError(msg)
    return ids[0]


def token_positions(name: str, given: Any, tokens: int) -> tuple[int, ...]:
    """Return the positions that a slice, a list or None (all) selects; refuse an empty selection."""
    chosen: tuple[int, ...] = ()
    if given is None:
        given = slice(None)
    if isinstance(given, slice):
        try:
            chosen = tuple(range(tokens)[given])
        except TypeError:
            chosen = ()
    else:
        values = [given] if isinstance(given, (int, np.integer)) else given
        if isinstance(values, (Sequence, range, np.ndarray)) and not isinstance(values, (str, bytes)):
            what = f"a position in {name}"
            chosen = tuple(whole_number(what, each, least=0, most=tokens - 1) for each in values)
    if not chosen:
        msg = (
            f"{name} selects none of the {tokens} tokens: {given!r}. "
            "Pass a slice, a list of positions, or None."
        )
        raise ArgumentError(msg)
    return tuple(dict.fromkeys(chosen))


def given_state(model: RecurrentModel[Any], given: Any, tokens: int, rows: str) -> torch.Tensor:
    """Return a given initial state [token, hidden] in the model's dtype and on its device.

    ``rows`` says in the error message which tokens have a row.
    """
    wanted = (tokens, model.hidden_size)
    try:
        start = torch.as_tensor(given if isinstance(given, torch.Tensor) else np.asarray(given))
    except (TypeError, ValueError, RuntimeError) as error:
        msg = f"initial_state is {given!r}; pass numbers of the shape {wanted} (token, hidden): {rows}."
        raise ArgumentError(msg) from error
    if tuple(start.shape) != wanted or not torch.isfinite(start).all():
        msg = (
            f"initial_state has the shape {tuple(start.shape)}; pass finite numbers of the shape {wanted} "
            f"(token, hidden): {rows}."
        )
        raise ArgumentError(msg)
    return start.to(device=model.device, dtype=model.dtype)

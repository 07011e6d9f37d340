"""Checks at the public door of the ``run_*`` functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import psutil
import torch

from latentkit.errors import ArgumentError, PromptError
from latentkit.models.contract import RecurrentModel

__all__ = ["check_token_ids", "need_recurrent", "refuse_beyond_memory", "seed_or_none", "whole_number"]


def whole_number(name: str, value: object, *, least: int, most: int | None = None, or_none: str = "") -> int:
    """Return ``value`` as an int, or raise an `ArgumentError` that states the range."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        number = int(value)
        if number >= least and (most is None or number <= most):
            return number
    allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
    msg = f"{name} is {value!r}; pass a whole number {allowed}{or_none}."
    raise ArgumentError(msg)


def seed_or_none(seed: object) -> int | None:
    """Return a checked seed; None starts from zeros."""
    return (
        None if seed is None else whole_number("seed", seed, least=0, or_none=", or None to start from zeros")
    )


def need_recurrent(model: object) -> None:
    """Refuse what is no looped model: there is no iteration to watch in it."""
    if not hasattr(model, "step"):
        name = getattr(model, "name", type(model).__name__)
        msg = (
            f"{name} does not repeat a block, so it has no iterations to watch. Pass a recurrent-depth model "
            "such as load_model('nano'), or compare this model's layers with run_layer_effect."
        )
        raise ArgumentError(msg)


def check_token_ids(model: RecurrentModel[Any], ids: list[int], new_tokens: int) -> None:
    """Refuse ids that the model does not have and sequences that it cannot hold."""
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


_FEWER = "Ask for fewer iterations, a shorter prompt, readout_top=0 or keep_states=False."


def refuse_beyond_memory(estimate: int, device: torch.device, what: str, advice: str = _FEWER) -> None:
    """Refuse work whose estimated memory, in bytes, is not free on the device."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if estimate > free:
        msg = (
            f"This run would need about {estimate / 2**30:.1f} GiB ({what}), but {free / 2**30:.1f} GiB are "
            f"free. {advice}"
        )
        raise ArgumentError(msg)

"""Statistics of readouts: computed from log-probabilities in every run with readouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ModelError
from latentkit.models.contract import RecurrentModel

__all__ = ["empty_readouts", "not_finite", "readout_statistics"]

Arrays = dict[str, np.ndarray[Any, Any]]


def readout_statistics(
    log_probs: Tensor, reference: Tensor, *, top: int, tokens: Sequence[int] = ()
) -> Arrays:
    """Compute what a trace keeps of readouts.

    Parameters
    ----------
    log_probs : Tensor [..., vocab]
        Natural-log probabilities.
    reference : Tensor [..., vocab]
        Those that ``kl`` compares with, KL(reference ‖ readout); leading dimensions broadcast.
    top : int
        Number of likeliest tokens to keep; 0 omits them.
    tokens : sequence of int
        Tokens whose rank, counted from 0, and probability are kept.

    Returns
    -------
    dict of str to array
        ``entropy`` and ``kl`` [...] in nats; ``readout_id`` and ``readout_probability`` [..., rank];
        ``watched_rank`` and ``watched_probability`` [..., watched].
    """
    found = {
        "entropy": criteria.entropy(log_probs),
        "kl": criteria.kl_divergence(reference, log_probs).clamp(min=0),
    }
    if top:
        best = log_probs.topk(top, dim=-1)
        found |= {"readout_id": best.indices.int(), "readout_probability": best.values.exp()}
    if tokens:
        chosen = log_probs[..., list(tokens)]
        found["watched_rank"] = (log_probs[..., None, :] > chosen[..., None]).sum(-1).int()
        found["watched_probability"] = chosen.exp()
    return {name: values.cpu().numpy() for name, values in found.items()}


def empty_readouts(cell: tuple[int, ...], *, top: int, tokens: int = 0) -> Arrays:
    """Return the arrays of `readout_statistics` for cells that were not read out: -1 and NaN."""
    floats = dict.fromkeys(("entropy", "kl"), cell)
    integers = {}
    if top:
        floats["readout_probability"] = integers["readout_id"] = (*cell, top)
    if tokens:
        floats["watched_probability"] = integers["watched_rank"] = (*cell, tokens)
    found: Arrays = {name: np.full(shape, np.nan, dtype=np.float32) for name, shape in floats.items()}
    return found | {name: np.full(shape, -1, dtype=np.int32) for name, shape in integers.items()}


def not_finite(model: RecurrentModel[Any], what: str) -> ModelError:
    """Return the error for a state or readout that is not finite; ``what`` is the sentence's beginning."""
    return ModelError(
        f"{what}. The weights hold NaN or overflow in {model.dtype}: load the model again, or with "
        "dtype='float32'."
    )

"""Prompts with the same number of tokens, traced together in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import xarray as xr

from latentkit.models.contract import RecurrentModel
from latentkit.run.arguments import check_token_ids, flag, need_recurrent, whole_number
from latentkit.run.facts import asked_iterations
from latentkit.run.labelling import seed_attribute
from latentkit.run.progress import Progress
from latentkit.run.prompting import encode, prompt_json
from latentkit.run.provenance import provenance
from latentkit.run.recurrence.tracing import check_limit, check_starts, refuse_too_large, trace_of_starts
from latentkit.run.recurrence.trajectory import trace_starts

__all__ = ["trace_batch"]


def trace_batch(
    model: RecurrentModel[Any],
    prompts: Sequence[Mapping[str, Any]],
    *,
    iterations: int | None = None,
    limit: int | None = None,
    seed: int | None = 0,
    seeds: Sequence[int] | None = None,
    readout_top: int = 5,
    keep_states: bool = False,
) -> list[xr.Dataset]:
    """Trace prompts of equal length in one batch, without padding.

    Parameters
    ----------
    model : RecurrentModel
    prompts : sequence of mapping
        ``prompt``, ``system`` and ``chat`` of each, as in `run_recurrence`.
    iterations, limit, seed, seeds, readout_top, keep_states
        As in `run_recurrence`.

    Returns
    -------
    list of Dataset
        What `run_recurrence` returns for each prompt, up to the rounding of products of other shapes.

    Raises
    ------
    PromptError, ArgumentError, ModelError
        As `run_recurrence`, for the whole batch.
    KeyboardInterrupt
        If it is interrupted.
    """
    need_recurrent(model)
    iterations = asked_iterations(model, iterations, 64)
    limit = check_limit(model, limit, iterations)
    starts = check_starts(model, seed, seeds)
    keep_states = flag("keep_states", keep_states)
    top = whole_number("readout_top", readout_top, least=0, most=model.vocab_size)
    sequences = [encode(model.tokenizer, **each) for each in prompts]
    for sequence in sequences:
        check_token_ids(model, sequence, 0)
    tokens = sum(map(len, sequences))
    refuse_too_large(model, tokens, iterations, top, keep_states=keep_states, seeds=len(starts))
    with Progress(0, model.name, visible=False) as bar:
        found, reached = trace_starts(
            model,
            model.embed(torch.tensor(sequences)),
            starts,
            bar,
            iterations=iterations,
            limit=limit,
            readout_top=top,
            keep_states=keep_states,
        )
        if bar.stopped:
            raise KeyboardInterrupt
    shared = {**provenance(model), "seed": seed_attribute(model, seed), "limit": reached, "interrupted": 0}
    return [
        trace_of_starts(
            model,
            [{name: values[row] for name, values in start.items()} for start in found],
            sequence,
            {**shared, "prompt": prompt_json(**each, new_tokens=0)},
            prompt_tokens=len(sequence),
            seeds=None if seeds is None else starts,
        )
        for row, (each, sequence) in enumerate(zip(prompts, sequences, strict=True))
    ]

"""Settling iterations of a model card, for texts and for the answers to problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from latentkit.measure.settling import RELATIVE
from latentkit.problems.generator import draw_problems

__all__ = [
    "faust",
    "kinds_of_unsettled",
    "rank_correlation",
    "settled_share",
    "settling",
    "settling_by_steps",
]

LIMIT = 256


def settling(model: Any, prompt: Any, *, share: float = RELATIVE, limit: int = LIMIT) -> np.ndarray[Any, Any]:
    """Return each token's settling iteration, for a threshold relative to its initial distance."""
    return _settled(_distance(model, prompt, iterations=limit, limit=limit), share)


def settled_share(model: Any, conversation: Any, first: int) -> float:
    """Return the share of tokens from ``first`` on below 2 % of their initial distance at iteration 64."""
    distance = _distance(model, conversation, iterations=64, limit=128)[first:]
    return float(np.mean(distance[:, 64] < 0.02 * distance[:, 0]))


def kinds_of_unsettled(
    model: Any,
    excerpts: Sequence[str],
    settled: Sequence[np.ndarray[Any, Any]],
    *,
    after: int = LIMIT // 2,
) -> dict[str, int]:
    """Count the tokens not settled by iteration ``after`` by kind: orbit, slider, or neither.

    ``settled`` is the result of `settling` for each excerpt. Only texts with such a token are run again,
    this time with their states kept.
    """
    from latentkit.measure import trajectory_kind
    from latentkit.run import run_recurrence

    found: Counter[str] = Counter()
    for excerpt, iterations in zip(excerpts, settled, strict=True):
        late = np.flatnonzero(iterations > after)
        if len(late):
            trace = run_recurrence(
                model, excerpt, iterations=LIMIT, limit=LIMIT, readout_top=0, keep_states=True, progress=False
            )
            found.update(trajectory_kind(trace.isel(token=late), burn_in=after).kind.values.tolist())
    return dict(found)


def settling_by_steps(
    model: Any, kind: str, *, steps: Sequence[int], problems: int = 50, limit: int = LIMIT, seed: int = 0
) -> dict[int, np.ndarray[Any, Any]]:
    """Return the settling iterations of the answers to held-out problems, by number of steps.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    kind : str
        One of `latentkit.problems.KINDS`.
    steps : sequence of int
        Numbers of steps of the problems.
    problems : int
        Number of problems of each difficulty, no two alike.
    limit : int
        Iteration whose state is the limit.
    seed : int
        Seed of the initial state.

    Returns
    -------
    dict of int to array [problems]
        For each number of steps, the settling iteration of the position that predicts the answer's first
        token.
    """
    from latentkit import criteria
    from latentkit.problems.grading import batch_of

    result = {}
    for count in steps:
        drawn = draw_problems(kind, problems, steps=count)
        ids, answers = batch_of(model.tokenizer, drawn)
        before = [answer.start - 1 for answer in answers]
        context = model.embed(ids)
        state = model.initial_state(context, seed)
        rows, kept = np.arange(len(drawn)), []
        for i in range(limit + 1):
            state = model.step(state, context) if i else state
            kept.append(model.normalise(state)[rows, before].float().cpu().numpy())
        states = np.stack(kept, axis=1)
        result[count] = _settled(criteria.distance(states, states[:, -1:]), RELATIVE)
    return result


def rank_correlation(by_steps: dict[int, np.ndarray[Any, Any]]) -> float:
    """Return Spearman's rank correlation of steps and settling iterations over all problems."""
    steps = np.repeat(list(by_steps), [len(values) for values in by_steps.values()])
    return float(np.corrcoef(_ranks(steps), _ranks(np.concatenate(list(by_steps.values()))))[0, 1])


def _ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return ranks from 1; equal values get the mean of their ranks."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: np.ndarray[Any, Any] = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return shared


def faust(model: Any) -> tuple[list[dict[str, str]], int]:
    """Return the published conversation about *Faust* and the position where its answer begins."""
    from latentkit import prompts

    question = [
        {"role": "system", "content": prompts.SYSTEM_S},
        {"role": "user", "content": prompts.FAUST},
    ]
    ids = model.tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
    return [*question, {"role": "assistant", "content": prompts.FAUST_ANSWER}], len(ids)


def _settled(distance: np.ndarray[Any, Any], share: float) -> np.ndarray[Any, Any]:
    import xarray as xr

    from latentkit.measure import stable_from

    labelled = xr.DataArray(distance, {"iteration": np.arange(distance.shape[1])}, ("token", "iteration"))
    settled: np.ndarray[Any, Any] = stable_from(labelled < share * labelled[:, 0]).values
    return settled


def _distance(model: Any, prompt: Any, *, iterations: int, limit: int) -> np.ndarray[Any, Any]:
    from latentkit.run import run_recurrence

    trace = run_recurrence(model, prompt, iterations=iterations, limit=limit, readout_top=0, progress=False)
    return np.asarray(trace.distance.transpose("token", "iteration").values)

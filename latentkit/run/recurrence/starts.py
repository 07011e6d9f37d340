"""`run_path_independence`: whether the limit depends on where the state starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.run.arguments import check_token_ids, need_recurrent, refuse_beyond_memory, whole_number
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json, token_texts
from latentkit.run.provenance import provenance
from latentkit.trace import build_trace

__all__ = ["run_path_independence"]


def run_path_independence(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    other_prompt: Prompt | None = None,
    iterations: int = 128,
    progress: bool = True,
) -> xr.Dataset:
    """Run one prompt from many starts and compare where they end, token by token.

    Parameters
    ----------
    model : RecurrentModel
        For example ``load_model("nano")``.
    prompt, system, chat
        As for `run_recurrence`.
    seeds : sequence of int
        Of the random initial states, all different.
    other_prompt : str, list of messages, or list of int, optional
        One more start: the state at which this other prompt ends, position by position; a shorter one is
        repeated from its beginning. It is plain text, chat messages or token ids by itself: ``system`` and
        ``chat`` are for ``prompt``.
    iterations : int
        Passes of the core from every start; the state after them is taken for the limit.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [start, other_start, token]
        ``cosine`` and ``distance`` of the normalised limits from each pair of starts; ``alignment`` [token],
        the mean cosine over the pairs of different starts; ``last_step`` [start, token], ‖s_n − s_{n−1}‖:
        where it is not small, the state had not come to rest and the limits say little. ``start`` is "seed
        0", …, "other prompt".

    Raises
    ------
    PromptError
        If a prompt is empty, too long, or cannot be encoded.
    ArgumentError
        If there are fewer than two starts, or a number is out of its range.

    Notes
    -----
    The mean cosine is the *asymptotic alignment score* of Anil et al. [1]_: near 1 the model is path
    independent, the end depending on the input alone. An interrupt leaves nothing to compare and is passed
    on.

    References
    ----------
    .. [1] Anil et al. (2022), *Path Independent Equilibrium Models Can Better Exploit Test-Time Computation*,
       arXiv:2211.09961, section 4.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> found = lk.run_path_independence(model, "Hello", seeds=[0, 1], iterations=64, progress=False)
    >>> found.cosine.dims
    ('start', 'other_start', 'token')
    """
    need_recurrent(model)
    iterations = whole_number("iterations", iterations, least=1)
    seeds = [whole_number("a seed of the list", seed, least=0) for seed in seeds]
    starts = [f"seed {seed}" for seed in seeds] + (["other prompt"] if other_prompt is not None else [])
    if len(starts) < 2 or len(set(starts)) < len(starts):
        msg = f"seeds is {seeds}; pass at least two different ones, or one and other_prompt=."
        raise ArgumentError(msg)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    others = [] if other_prompt is None else encode(model.tokenizer, other_prompt)
    for sequence in filter(None, (ids, others)):
        check_token_ids(model, sequence, 0)
    _refuse_too_large(model, len(starts), len(ids))
    with Progress((len(starts) + bool(others)) * iterations, model.name, visible=progress) as bar:
        context = model.embed(torch.tensor([ids]))
        begun = [model.initial_state(context, seed) for seed in seeds]
        if others:
            begun.append(_settled_elsewhere(model, others, len(ids), seeds[0], iterations, bar))
        ends = [_last_two(model, context, state, iterations, bar) for state in begun]
    limits = np.stack([end[1] for end in ends])
    variables = _compared(limits, np.stack([criteria.distance(now, before) for before, now in ends]))
    texts = np.array(token_texts(model.tokenizer, ids), dtype=object)
    names = np.array(starts, dtype=object)
    labels = {
        "start": names,
        "other_start": names,
        "token": np.arange(len(ids)),
        "token_text": texts,
        "token_id": np.array(ids),
    }
    attrs = {
        **provenance(model),
        "iterations": iterations,
        "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=0),
    }
    if other_prompt is not None:
        attrs["other_prompt"] = prompt_json(other_prompt, system=None, chat=False, new_tokens=0)
    return build_trace("path_independence", labels | variables, attrs)


def _refuse_too_large(model: RecurrentModel[Any], starts: int, tokens: int) -> None:
    states = starts * tokens * model.hidden_size * (2 * 4 + model.dtype.itemsize)
    pairs = 2 * starts * starts * tokens * 4
    what = f"{starts} starts × {tokens:,} tokens × {model.hidden_size:,} channels"
    refuse_beyond_memory(states + pairs, model.device, what)


def _settled_elsewhere(  # noqa: PLR0917  (private)
    model: RecurrentModel[Any], others: list[int], tokens: int, seed: int, iterations: int, bar: Progress
) -> Tensor:
    """Where another prompt ends, as a start for one of ``tokens`` tokens."""
    context = model.embed(torch.tensor([others]))
    state = model.initial_state(context, seed)
    for _ in _uninterrupted(bar, iterations):
        state = model.step(state, context)
    places = torch.arange(tokens, device=state.device) % len(others)
    return state[:, places]


def _last_two(
    model: RecurrentModel[Any], context: Any, state: Tensor, iterations: int, bar: Progress
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the normalised states before and after the last iteration, [token, hidden]."""
    before = state
    for _ in _uninterrupted(bar, iterations):
        before, state = state, model.step(state, context)
    one, two = (model.normalise(each)[0].float().cpu().numpy() for each in (before, state))
    return one, two


def _uninterrupted(bar: Progress, iterations: int) -> Any:
    yield from bar.until_stopped(range(iterations))
    if bar.stopped:
        raise KeyboardInterrupt


def _compared(limits: np.ndarray[Any, Any], last_step: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Compare the limits [start, token, hidden] pair by pair."""
    count = len(limits)
    rows = range(count)
    cosine = np.stack([criteria.cosine(limits, limits[i][None]) for i in rows])
    distance = np.stack([criteria.distance(limits, limits[i][None]) for i in rows])
    alignment = cosine[~np.eye(count, dtype=bool)].mean(axis=0)
    return {"cosine": cosine, "distance": distance, "alignment": alignment, "last_step": last_step}

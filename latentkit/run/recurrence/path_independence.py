"""`run_path_independence`: whether the limit depends on the initial state."""

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
from latentkit.run.arguments import (
    check_token_ids,
    flag,
    need_recurrent,
    seed_list,
)
from latentkit.run.facts import asked_iterations, need_starts
from latentkit.run.labelling import as_texts, label, token_labels
from latentkit.run.memory import activation_bytes, refuse_beyond_memory
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json
from latentkit.run.provenance import provenance
from latentkit.run.recurrence.perturbation import Perturbation

__all__ = ["run_path_independence"]


def run_path_independence(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    other_prompt: Prompt | None = None,
    perturb: float | None = None,
    iterations: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Compare the limits of one prompt from several initial states, token by token.

    Parameters
    ----------
    model : RecurrentModel
        For example ``load_model("nano")``.
    prompt, system, chat
        As for `run_recurrence`.
    seeds : sequence of int
        Seeds of the random initial states, all different.
    other_prompt : str, list of messages, or list of int, optional
        Adds a start: the final state of this other prompt, position by position; a shorter one is repeated
        from its beginning. ``system`` and ``chat`` do not apply to it.
    perturb : float, optional
        Push every start in a random direction of its own, by this share of the state's length. A model that
        starts from its input has only one start without it.
    iterations : int, optional
        Passes of the core from every start; the state after them counts as the limit. None: 128,
        or the one number that the model was trained with, which need not lead to one: see ``last_step``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [start, other_start, token]
        ``cosine`` and ``distance`` of the normalised limits from each pair of starts; ``alignment`` [token],
        the mean cosine over the pairs of different starts; ``last_step`` [start, token], ‖s_n − s_{n−1}‖:
        where it is large, the state has not converged and the limits are not comparable. ``start`` is "seed
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
    independent, that is, its limit depends on the input alone. An interrupt (Ctrl-C) ends the run without a
    result.

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
    iterations = asked_iterations(model, iterations, 128)
    if perturb is None:
        need_starts(model, "all seeds", "Pass perturb=0.1 for starts that are pushed apart.")
    checked = seed_list(seeds)
    if len(checked) + (other_prompt is not None) < 2:
        msg = f"seeds is {seeds!r}; pass at least two different ones, or one and other_prompt=."
        raise ArgumentError(msg)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    others = [] if other_prompt is None else encode(model.tokenizer, other_prompt)
    for sequence in filter(None, (ids, others)):
        check_token_ids(model, sequence, 0)
    count = len(checked) + bool(others)
    _refuse_too_large(model, count, len(ids))
    work = (count + bool(others)) * iterations
    with Progress(work, model.name, visible=flag("progress", progress)) as bar:
        context = model.embed(torch.tensor([ids]))
        starts = [_start(model, context, seed, perturb) for seed in checked]
        if others:
            starts.append(_final_state(model, others, len(ids), checked[0], iterations, bar))
        ends = [_last_two(model, context, state, iterations, bar) for state in starts]
        names = as_texts([f"seed {seed}" for seed in checked] + ["other prompt"] * bool(others))
        arrays = {
            **_compared(np.stack([before for before, _ in ends]), np.stack([limit for _, limit in ends])),
            **token_labels(model.tokenizer, ids),
            "token": np.arange(len(ids)),
            "start": names,
            "other_start": names,
        }
        attrs = {
            **provenance(model),
            "iterations": iterations,
            **({} if perturb is None else {"perturb": float(perturb)}),
            "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=0),
        }
        if other_prompt is not None:
            attrs["other_prompt"] = prompt_json(other_prompt, system=None, chat=False, new_tokens=0)
        return label(model.tokenizer, "path_independence", arrays, attrs)


def _start(model: RecurrentModel[Any], context: Any, seed: int, perturb: float | None) -> Tensor:
    """Return one start, pushed where that was asked for."""
    state: Tensor = model.initial_state(context, seed)
    if perturb is None:
        return state
    kick = {"iteration": 0, "size": perturb, "seed": seed}
    return Perturbation.from_argument(kick, limit=0, tokens=state.shape[1])(state, 0)


def _refuse_too_large(model: RecurrentModel[Any], starts: int, tokens: int) -> None:
    states = starts * tokens * model.hidden_size * (2 * 4 + model.dtype.itemsize)
    pairs = 2 * starts * starts * tokens * 4
    what = f"{starts} starts × {tokens:,} tokens × {model.hidden_size:,} channels"
    needed = states + pairs + activation_bytes(model, tokens)
    refuse_beyond_memory(needed, model.device, what)


def _final_state(  # noqa: PLR0917  (private)
    model: RecurrentModel[Any], others: list[int], tokens: int, seed: int, iterations: int, bar: Progress
) -> Tensor:
    """Return the final state of another prompt as the initial state of a prompt of ``tokens`` tokens."""
    context = model.embed(torch.tensor([others]))
    state = model.initial_state(context, seed)
    for _ in bar.until_interrupted(range(iterations)):
        state = model.step(state, context)
    places = torch.arange(tokens, device=state.device) % len(others)
    return state[:, places]


def _last_two(
    model: RecurrentModel[Any], context: Any, state: Tensor, iterations: int, bar: Progress
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the normalised states before and after the last iteration, [token, hidden]."""
    before = state
    for _ in bar.until_interrupted(range(iterations)):
        before, state = state, model.step(state, context)
    one, two = (model.normalise(each)[0].float().cpu().numpy() for each in (before, state))
    return one, two


def _compared(before: np.ndarray[Any, Any], limits: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Compare the limits [start, token, hidden] of all pairs of starts."""
    cosine = np.stack([criteria.cosine(limits, limit[None]) for limit in limits])
    return {
        "cosine": cosine,
        "distance": np.stack([criteria.distance(limits, limit[None]) for limit in limits]),
        "alignment": cosine[~np.eye(len(limits), dtype=bool)].mean(axis=0),
        "last_step": criteria.distance(limits, before),
    }

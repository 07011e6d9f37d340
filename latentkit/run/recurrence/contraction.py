"""`run_local_contraction`: how strongly the core pulls a state back to its limit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from latentkit.models.contract import RecurrentModel
from latentkit.run.arguments import (
    check_token_ids,
    need_recurrent,
    refuse_beyond_memory,
    seed_or_none,
    whole_number,
)
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json, token_texts
from latentkit.run.provenance import provenance
from latentkit.run.recurrence.perturbation import token_positions
from latentkit.trace import build_trace

__all__ = ["run_local_contraction"]

_BATCH_BYTES = 32 * 2**20  # states of the tokens that are looked at together
_COPIES = 24  # states of a size that a step with its derivative holds at once, roughly


def run_local_contraction(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    tokens: slice | Sequence[int] | None = None,
    iterations: int = 128,
    power_iterations: int = 40,
    seed: int | None = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Largest |eigenvalue| of the core step at each token's limit: below 1 it pulls a state back.

    Parameters
    ----------
    model : RecurrentModel
        Best in float32; its step must have a forward derivative (``torch.func.jvp``).
    prompt, system, chat
        As for `run_recurrence`.
    tokens : slice or list of int, optional
        Positions to look at; all of them by default. Each costs ``power_iterations`` steps over the tokens up
        to it.
    iterations : int
        Passes of the core that lead to the limit.
    power_iterations : int
        How often the derivative is applied, at least 8.
    seed : int or None
        Of the initial state and of the directions that the power iteration starts from.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [token]
        ``spectral_radius``, per iteration, as `measure.contraction_rate`'s ``rate``; ``spread``, half the
        difference between its estimates from the two halves of the last iterations, large where the power
        iteration has not settled; ``last_step`` ‖s_n − s_{n−1}‖: where it is not small, there is no limit and
        the derivative is that of some point on the way. The attribute ``sequence_radius`` is the largest of
        them.

    Raises
    ------
    PromptError
        If the prompt is empty, too long, or cannot be encoded.
    ArgumentError
        If a number is out of its range, or ``tokens`` takes none.

    Notes
    -----
    Per token: the derivative of x_t after the step with respect to x_t before it, all other tokens at their
    limits. A token never sees later ones, so the derivative of the whole sequence is block triangular, and
    its eigenvalues are those of these blocks: the largest radius over *all* tokens is the radius of the
    sequence.

    The derivative is that of the raw state x. The normalised state has the same eigenvalues but for the
    direction along which x only gets longer. Directions turn where eigenvalues are complex; the growth is
    therefore averaged geometrically over the second half. Attention runs on its plain ("math") kernel, the
    one with the derivative.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> found = lk.run_local_contraction(model, "Hello", iterations=64, progress=False)
    >>> bool((found.spectral_radius < 1).all())
    True
    """
    need_recurrent(model)
    iterations = whole_number("iterations", iterations, least=1)
    power_iterations = whole_number("power_iterations", power_iterations, least=8)
    seed = seed_or_none(seed)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, 0)
    positions = token_positions("tokens", tokens, len(ids))
    _refuse_too_large(model, len(ids))

    batches = _batches(sorted(positions), model.hidden_size)
    work = iterations + len(batches) * power_iterations
    growth: dict[int, np.ndarray[Any, Any]] = {}
    with Progress(work, model.name, visible=progress) as bar, sdpa_kernel(SDPBackend.MATH):
        limit, last_step = _limit(model, ids, seed, iterations, bar)
        for batch in batches:
            growth |= _growth(model, ids, limit, batch, power_iterations, seed or 0, bar)
    arrays = _arrays(model, ids, positions, growth, last_step)
    attrs = {
        **provenance(model),
        "seed": "zeros" if seed is None else seed,
        "iterations": iterations,
        "power_iterations": power_iterations,
        "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=0),
        "sequence_radius": float(arrays["spectral_radius"].max()),
    }
    return build_trace("contraction", arrays, attrs)


def _refuse_too_large(model: RecurrentModel[Any], tokens: int) -> None:
    row = tokens * model.hidden_size * 4
    estimate = _COPIES * max(row, _BATCH_BYTES)
    refuse_beyond_memory(estimate, model.device, f"{tokens:,} tokens × {model.hidden_size:,} channels")


def _batches(positions: list[int], hidden: int) -> list[list[int]]:
    """Neighbouring positions together, as many as fit: each needs the states of all tokens up to the last."""
    batches: list[list[int]] = [[]]
    for position in positions:
        if (len(batches[-1]) + 1) * (position + 1) * hidden * 4 > _BATCH_BYTES and batches[-1]:
            batches.append([])
        batches[-1].append(position)
    return batches


def _limit(
    model: RecurrentModel[Any], ids: list[int], seed: int | None, iterations: int, bar: Progress
) -> tuple[Tensor, np.ndarray[Any, Any]]:
    context = model.embed(torch.tensor([ids]))
    state = before = model.initial_state(context, seed)
    for _ in bar.until_stopped(range(iterations)):
        before, state = state, model.step(state, context)
    _stop_if_asked(bar)
    latest = model.normalise(state).float() - model.normalise(before).float()
    return state, latest.norm(dim=-1)[0].cpu().numpy()


def _growth(  # noqa: PLR0917  (private)
    model: RecurrentModel[Any],
    ids: list[int],
    limit: Tensor,
    batch: list[int],
    power_iterations: int,
    seed: int,
    bar: Progress,
) -> dict[int, np.ndarray[Any, Any]]:
    """Logarithm of the growth of a direction at each application, for each position of the batch."""
    count, length = len(batch), batch[-1] + 1
    context = model.embed(torch.tensor([ids[:length]] * count))
    state = limit[:, :length].expand(count, -1, -1).contiguous()
    rows, places = torch.arange(count), torch.tensor(batch)
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(count, model.hidden_size, generator=generator).to(state.device)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    found = np.full((power_iterations, count), -np.inf)
    for k in bar.until_stopped(range(power_iterations)):
        tangent = torch.zeros_like(state)
        tangent[rows, places] = direction.to(state.dtype)
        after = _derivative(model, context, state, tangent)
        turned = after[rows, places].float()
        sizes = turned.norm(dim=-1, keepdim=True)
        with np.errstate(divide="ignore"):
            found[k] = np.log(sizes[:, 0].cpu().numpy())
        direction = torch.where(sizes > 0, turned / sizes, direction)
    _stop_if_asked(bar)
    return {position: found[:, row] for row, position in enumerate(batch)}


def _derivative(model: RecurrentModel[Any], context: Any, state: Tensor, tangent: Tensor) -> Tensor:
    """Return what the step makes of a small change of the state (forward mode, also under ``no_grad``)."""
    with warnings.catch_warnings():  # torch loads its derivatives with tools of its own that it deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        found: Tensor = torch.func.jvp(lambda x: model.step(x, context), (state,), (tangent,))[1]
    return found


def _stop_if_asked(bar: Progress) -> None:
    if bar.stopped:
        raise KeyboardInterrupt


def _arrays(
    model: RecurrentModel[Any],
    ids: list[int],
    positions: Sequence[int],
    growth: dict[int, np.ndarray[Any, Any]],
    last_step: np.ndarray[Any, Any],
) -> dict[str, Any]:
    logs = np.stack([growth[position] for position in positions])
    half = logs.shape[1] // 2
    halves = np.exp(np.stack([part.mean(axis=1) for part in np.array_split(logs[:, half:], 2, axis=1)]))
    radius = np.exp(logs[:, half:].mean(axis=1))
    texts = np.array(token_texts(model.tokenizer, ids), dtype=object)[list(positions)]
    return {
        "token": np.array(positions),
        "token_text": texts,
        "token_id": np.array(ids)[list(positions)],
        "spectral_radius": radius,
        "spread": np.abs(halves[1] - halves[0]) / 2,
        "last_step": last_step[list(positions)],
    }

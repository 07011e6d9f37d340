"""`run_local_contraction`: the spectral radius of the core step at each token's limit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel, facts_of
from latentkit.run.arguments import (
    check_token_ids,
    flag,
    iteration_count,
    need_recurrent,
    seed_or_none,
    token_positions,
)
from latentkit.run.facts import asked_iterations
from latentkit.run.labelling import label, seed_attribute, token_labels
from latentkit.run.memory import refuse_beyond_memory
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json
from latentkit.run.provenance import provenance

__all__ = ["run_local_contraction"]

_BATCH_BYTES = 32 * 2**20  # size of the states of one batch of tokens
_COPIES = 30  # approximate number of states that a step with its derivative holds at once


def run_local_contraction(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    tokens: slice | Sequence[int] | None = None,
    iterations: int | None = None,
    power_iterations: int = 40,
    seed: int | None = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Compute the spectral radius of the core step at each token's limit; below 1 the step is contracting.

    Parameters
    ----------
    model : RecurrentModel
        Best in float32; its step must have a forward derivative (``torch.func.jvp``).
    prompt, system, chat
        As for `run_recurrence`.
    tokens : slice or list of int, optional
        Positions to analyse; all by default. Each costs ``power_iterations`` steps over the tokens up to it.
    iterations : int, optional
        Passes of the core before the limit. None: 128, or the one number that the model was trained with,
        which need not lead to one: see ``last_step``.
    power_iterations : int
        Number of applications of the derivative, at least 8.
    seed : int or None
        Seed of the initial state and of the initial directions of the power iteration.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [token]
        ``spectral_radius``, per iteration, as `measure.contraction_rate`'s ``rate``; ``spread``, half the
        difference between its estimates from the two halves of the last iterations, large where the power
        iteration has not converged; ``last_step`` ‖s_n − s_{n−1}‖: where it is large, the state has not
        converged and the derivative is not taken at a limit. The attribute ``sequence_radius`` is the largest
        ``spectral_radius``.

    Raises
    ------
    PromptError
        If the prompt is empty, too long, or cannot be encoded.
    ArgumentError
        If a number is out of its range, ``tokens`` selects none, or the model's step has no forward
        derivative.

    Notes
    -----
    Per token: the derivative of x_t after the step with respect to x_t before it, all other tokens at their
    limits. No token depends on later ones, so the derivative of the whole sequence is block triangular, and
    its eigenvalues are those of these blocks: the largest radius over *all* tokens is the radius of the
    sequence. For a model that is not causal there is no ``sequence_radius``.

    The derivative is that of the raw state x. The normalised state has the same eigenvalues except for the
    direction of x itself. Complex eigenvalues rotate the direction, so its growth is averaged geometrically
    over the second half of the applications. Attention uses its "math" kernel, which has a forward
    derivative. An interrupt (Ctrl-C) ends the run without a result.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> found = lk.run_local_contraction(model, "Hello", iterations=64, progress=False)
    >>> bool((found.spectral_radius < 1).all())
    True
    """
    need_recurrent(model)
    iterations = asked_iterations(model, iterations, 128)
    power_iterations = iteration_count("power_iterations", power_iterations, least=8)
    seed = seed_or_none(seed)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, 0)
    positions = list(token_positions("tokens", tokens, len(ids)))
    _refuse_too_large(model, len(ids))

    batches = _batches(sorted(positions), model.hidden_size)
    work = iterations + len(batches) * power_iterations
    growth: dict[int, np.ndarray[Any, Any]] = {}
    with (
        Progress(work, model.name, visible=flag("progress", progress)) as bar,
        sdpa_kernel(SDPBackend.MATH),
    ):
        limit, last_step = _limit(model, ids, seed, iterations, bar)
        for batch in batches:
            growth |= _growth(model, ids, limit, batch, power_iterations, seed or 0, bar)
        arrays = {
            **_radii(np.stack([growth[position] for position in positions])),
            **token_labels(model.tokenizer, [ids[position] for position in positions]),
            "token": np.array(positions),
            "last_step": last_step[positions],
        }
        attrs: dict[str, Any] = {
            **provenance(model),
            "seed": seed_attribute(model, seed),
            "iterations": iterations,
            "power_iterations": power_iterations,
            "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=0),
        }
        if facts_of(model).causal:
            attrs["sequence_radius"] = float(arrays["spectral_radius"].max())
        return label(model.tokenizer, "contraction", arrays, attrs)


def _refuse_too_large(model: RecurrentModel[Any], tokens: int) -> None:
    row = tokens * model.hidden_size * 4
    needed = _COPIES * max(row, min(row * tokens, _BATCH_BYTES))
    refuse_beyond_memory(needed, model.device, f"{tokens:,} tokens × {model.hidden_size:,} channels")


def _batches(positions: list[int], hidden: int) -> list[list[int]]:
    """Group neighbouring positions; each needs the states of all tokens up to the last of its group."""
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
    for _ in bar.until_interrupted(range(iterations)):
        before, state = state, model.step(state, context)
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
    """Return the logarithm of a direction's growth at each application, for each position of the batch."""
    count, length = len(batch), batch[-1] + 1 if facts_of(model).causal else len(ids)
    context = model.embed(torch.tensor([ids[:length]] * count))
    state = limit[:, :length].expand(count, -1, -1).contiguous()
    rows, places = torch.arange(count), torch.tensor(batch)
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(count, model.hidden_size, generator=generator).to(state.device)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    found = np.full((power_iterations, count), -np.inf)
    for k in bar.until_interrupted(range(power_iterations)):
        tangent = torch.zeros_like(state)
        tangent[rows, places] = direction.to(state.dtype)
        turned = _derivative(model, context, state, tangent)[rows, places].float()
        sizes = turned.norm(dim=-1, keepdim=True)
        with np.errstate(divide="ignore"):
            found[k] = np.log(sizes[:, 0].cpu().numpy())
        direction = torch.where(sizes > 0, turned / sizes, direction)
    return {position: found[:, row] for row, position in enumerate(batch)}


def _derivative(model: RecurrentModel[Any], context: Any, state: Tensor, tangent: Tensor) -> Tensor:
    """Apply the derivative of the step to a tangent (forward mode, also under ``no_grad``)."""
    try:
        with warnings.catch_warnings():  # torch itself uses deprecated functions here
            warnings.simplefilter("ignore", DeprecationWarning)
            found: Tensor = torch.func.jvp(lambda x: model.step(x, context), (state,), (tangent,))[1]
    except (NotImplementedError, RuntimeError) as error:
        msg = (
            f"The step of {model.name} has no forward derivative ({error}). Measure contraction from a trace "
            "instead: contraction_rate(run_recurrence(...))."
        )
        raise ArgumentError(msg) from error
    return found


def _radii(logs: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Estimate the radii from the logarithms of the growth [token, application]."""
    later = logs[:, logs.shape[1] // 2 :]
    halves = [np.exp(part.mean(axis=1)) for part in np.array_split(later, 2, axis=1)]
    return {"spectral_radius": np.exp(later.mean(axis=1)), "spread": np.abs(halves[1] - halves[0]) / 2}

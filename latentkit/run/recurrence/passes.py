"""A prompt unrolled: its states iteration by iteration, and what is measured and read out along the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ArgumentError, ModelError
from latentkit.models.contract import RecurrentModel
from latentkit.run.progress import Progress
from latentkit.run.recurrence.perturbation import Perturbation

__all__ = ["Unrolled", "measured", "readouts", "start_state", "unroll"]

_CHUNK_BYTES = 64 * 2**20  # normalised states looked at in one go


@dataclass(frozen=True)
class Unrolled:
    """Raw states x_0 … x_n of one sequence, and the state at the limit."""

    states: Tensor  # [iteration, token, hidden]
    last: Tensor  # [1, token, hidden]
    reached: int


def start_state(model: RecurrentModel[Any], context: Any, seed: int | None, given: Any) -> Tensor:
    """Draw the initial state, or check the one that was given and bring it to the model."""
    if given is None:
        state: Tensor = model.initial_state(context, seed)
        return state
    wanted = (context.embedding.shape[1], model.hidden_size)
    start = torch.as_tensor(np.asarray(given) if not isinstance(given, Tensor) else given)
    if tuple(start.shape) != wanted or not torch.isfinite(start).all():
        msg = (
            f"initial_state has the shape {tuple(start.shape)}; pass finite numbers of the shape {wanted} "
            "(token, hidden): one row for each token of the sequence."
        )
        raise ArgumentError(msg)
    return start[None].to(device=model.device, dtype=model.dtype)


def unroll(
    model: RecurrentModel[Any],
    context: Any,
    state: Tensor,
    bar: Progress,
    *,
    iterations: int,
    limit: int,
    perturbation: Perturbation | None = None,
) -> Unrolled:
    """Run the core up to the limit, keeping the states that the trace covers."""
    kick = perturbation or Perturbation.none()
    state = kick(state, 0)
    states = state.new_empty(iterations + 1, *state.shape[1:])
    states[0] = state[0]
    reached = 0
    with bar.keep_what_is_there():
        for i in bar.until_stopped(range(1, limit + 1)):
            after = kick(model.step(state, context), i)
            if i <= iterations:
                states[i] = after[0]
            state, reached = after, i
    kept = states[: min(reached, iterations) + 1]
    if not torch.isfinite(state).all():
        first = next((i for i, x in enumerate(kept) if not torch.isfinite(x).all()), reached)
        msg = (
            f"The state of {model.name} is not finite from iteration {first} on. The weights hold NaN or "
            f"overflow in {model.dtype}: load the model again, or with dtype='float32'."
        )
        raise ModelError(msg)
    return Unrolled(kept, state, reached)


def measured(
    model: RecurrentModel[Any], run: Unrolled, *, keep_states: bool
) -> dict[str, np.ndarray[Any, Any]]:
    """Distances to the limit, step sizes and step cosines, a chunk of iterations at a time."""
    target = model.normalise(run.last).float()
    count, tokens, hidden = run.states.shape
    size = max(1, _CHUNK_BYTES // (4 * tokens * hidden))
    distance, step_size, step_cosine = (torch.full((count, tokens), torch.nan) for _ in range(3))
    kept = torch.empty(count, tokens, hidden) if keep_states else None
    for first in range(0, count, size):
        before = max(0, first - 2)  # two earlier states, for the steps that lead here
        latents = model.normalise(run.states[before : first + size]).float()
        chunk = slice(first, first + size)
        distance[chunk] = criteria.distance(latents[first - before :], target).cpu()
        steps = latents.diff(dim=0)
        sizes = criteria.distance(latents[1:], latents[:-1]).cpu()
        cosines = criteria.cosine(steps[1:], steps[:-1]).cpu()
        step_size[before + 1 : before + 1 + len(sizes)] = sizes
        step_cosine[before + 2 : before + 2 + len(cosines)] = cosines
        if kept is not None:
            kept[chunk] = latents[first - before :].cpu()
    found = {"distance": distance, "step_size": step_size, "step_cosine": step_cosine}
    if kept is not None:
        found["state"] = kept
    return {name: values.numpy().swapaxes(0, 1) for name, values in found.items()}


def readouts(
    model: RecurrentModel[Any], context: Any, run: Unrolled, top: int, bar: Progress
) -> dict[str, np.ndarray[Any, Any]]:
    """What the model would say if stopped at each iteration; one readout in memory at a time."""
    count, tokens, _ = run.states.shape
    ids = np.full((tokens, count, top), -1, dtype=np.int32)
    probability = np.full((tokens, count, top), np.nan, dtype=np.float32)
    entropy, kl = (np.full((tokens, count), np.nan, dtype=np.float32) for _ in range(2))
    with bar.keep_what_is_there():
        reference = criteria.log_softmax(model.readout(run.last, context)[0].float())
        for i in bar.until_stopped(range(count)):
            log_probs = criteria.log_softmax(model.readout(run.states[i : i + 1], context)[0].float())
            best = log_probs.topk(top, dim=-1)
            ids[:, i], probability[:, i] = best.indices.cpu(), best.values.exp().cpu()
            entropy[:, i] = criteria.entropy(log_probs).cpu()
            kl[:, i] = criteria.kl_divergence(reference, log_probs).clamp(min=0).cpu()
    return {"readout_id": ids, "readout_probability": probability, "entropy": entropy, "kl": kl}

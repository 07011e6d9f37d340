"""The states of sequences of one length, iteration by iteration, with their measurements and readouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentkit import criteria
from latentkit.models.contract import RecurrentModel
from latentkit.run.progress import Progress
from latentkit.run.readouts import empty_readouts, not_finite, readout_statistics
from latentkit.run.recurrence.perturbation import Perturbation

__all__ = ["Trajectory", "iterate", "measured", "measured_bytes", "readouts", "trace_starts"]

_CHUNK_BYTES = 64 * 2**20  # size of the normalised states in memory at a time

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Trajectory:
    """Raw states of sequences of one length.

    Attributes
    ----------
    states : Tensor [iteration, batch, token, hidden]
        x_0 … x_n.
    last : Tensor [batch, token, hidden]
        The state at the limit.
    reached : int
        The iteration of ``last``.
    """

    states: Tensor
    last: Tensor
    reached: int


def iterate(
    model: RecurrentModel[Any],
    context: Any,
    state: Tensor,
    bar: Progress,
    *,
    iterations: int,
    limit: int,
    perturbation: Perturbation | None = None,
) -> Trajectory:
    """Run the core up to the limit and keep the states up to ``iterations``.

    Raises
    ------
    ModelError
        If the state stops being finite.
    """
    perturb = perturbation or Perturbation.none()
    state = perturb(state, 0)
    states = state.new_empty(iterations + 1, *state.shape)
    states[0] = state
    reached = 0
    with bar.stop_on_interrupt():
        for i in bar.until_stopped(range(1, limit + 1)):
            after = perturb(model.step(state, context), i)
            if i <= iterations:
                states[i] = after
            state, reached = after, i
    kept = states[: min(reached, iterations) + 1]
    if not torch.isfinite(state).all():
        first = next((i for i, x in enumerate(kept) if not torch.isfinite(x).all()), reached)
        raise not_finite(model, f"The state of {model.name} is not finite from iteration {first} on")
    return Trajectory(kept, state, reached)


def measured_bytes(numbers: int) -> int:
    """Return the size of what `measured` holds at once for so many numbers of all states."""
    return 3 * min(4 * numbers, _CHUNK_BYTES)  # the normalised states, their steps, and one product


def measured(model: RecurrentModel[Any], run: Trajectory, *, keep_states: bool) -> Arrays:
    """Return distances to the limit, step sizes and step cosines [batch, token, iteration].

    They are computed in chunks of iterations; with ``keep_states`` also the normalised states.
    """
    target = model.normalise(run.last).float()
    shape = run.states.shape
    size = max(1, _CHUNK_BYTES // (4 * shape[1:].numel()))
    distance, step_size, step_cosine = (torch.full(shape[:-1], torch.nan) for _ in range(3))
    kept = torch.empty(shape) if keep_states else None
    for first in range(0, shape[0], size):
        before = max(0, first - 2)  # the first steps of a chunk need the two states before it
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
    return {name: np.moveaxis(values.numpy(), 0, 2) for name, values in found.items()}


def exit_probabilities(model: Any, context: Any, run: Trajectory) -> Arrays:
    """Return the exit probability of each state by the gate; NaN at iteration 0."""
    found = [torch.full(run.states.shape[1:3], torch.nan)]
    found += [model.exit_probability(state, context).float().cpu() for state in run.states[1:]]
    return {"exit_probability": torch.stack(found, dim=2).numpy()}


def readouts(model: RecurrentModel[Any], context: Any, run: Trajectory, top: int, bar: Progress) -> Arrays:
    """Return the readouts at every iteration, with one of them in memory at a time."""
    count, batch, tokens, _ = run.states.shape
    found = empty_readouts((batch, tokens, count), top=top)
    with bar.stop_on_interrupt():
        reference = criteria.log_softmax(model.readout(run.last, context).float())
        for i in bar.until_stopped(range(count)):
            log_probs = criteria.log_softmax(model.readout(run.states[i], context).float())
            for name, values in readout_statistics(log_probs, reference, top=top).items():
                found[name][:, :, i] = values
    return found


def trace_starts(
    model: RecurrentModel[Any],
    context: Any,
    starts: Sequence[int | None],
    bar: Progress,
    *,
    iterations: int,
    limit: int,
    readout_top: int,
    keep_states: bool,
    given: Tensor | None = None,
    perturbation: Perturbation | None = None,
) -> tuple[list[Arrays], int]:
    """Trace the sequences of a context from every start, one start after the other.

    Returns
    -------
    tuple of (list of dict of str to array [batch, token, iteration, ...], int)
        The variables of each start, and the iteration of the limit. After an interrupt only the finished
        starts are returned, or the finished part of the first one.
    """
    found: list[Arrays] = []
    reached = limit
    for start in starts:
        state = model.initial_state(context, start) if given is None else given[None]
        run = iterate(
            model, context, state, bar, iterations=iterations, limit=limit, perturbation=perturbation
        )
        arrays = measured(model, run, keep_states=keep_states)
        if hasattr(model, "exit_probability"):
            arrays |= exit_probabilities(model, context, run)
        if readout_top and not bar.stopped:
            arrays |= readouts(model, context, run, readout_top, bar)
        if not (bar.stopped and found):  # an unfinished start has another shape
            found.append(arrays)
            reached = run.reached
        if bar.stopped:
            break
    return found, reached

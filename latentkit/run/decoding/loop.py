"""The decoding loop: generates one token at a time, each after some passes of the core."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentkit.models.contract import RecurrentModel
from latentkit.run.decoding.choices import likeliest, stop_ids
from latentkit.run.progress import Progress
from latentkit.run.readouts import not_finite

__all__ = [
    "DecodingCallback",
    "Plan",
    "decode",
    "greedy",
    "has_head",
    "last_logits",
]


def has_head(model: RecurrentModel[Any]) -> bool:
    """Return whether a model has the verbs ``last_hidden`` and ``head``, which are `readout` in two parts."""
    return hasattr(model, "last_hidden") and hasattr(model, "head")


def last_logits(model: Any, state: Tensor, context: Any) -> Tensor:
    """Return the logits [vocab] after the last position of one sequence."""
    if has_head(model):  # the head then runs at the last position only
        logits: Tensor = model.head(model.last_hidden(state, context))[0]
    else:
        logits = model.readout(state, context)[0, -1]
    return logits.float()


class DecodingCallback:
    """Hooks of the decoding loop; the methods of this base class do nothing."""

    def on_start(self, context: Any, state: Tensor) -> None:
        """Called with the initial state of a token's iterations."""

    def on_iteration(self, iteration: int, context: Any, state: Tensor) -> bool:  # noqa: ARG002 (base class)
        """Called with the state after an iteration; return True to end the token's iterations there."""
        return False

    def logits(self, model: RecurrentModel[Any], context: Any, state: Tensor) -> Tensor:
        """Return the logits [vocab] of the last state."""
        return last_logits(model, state, context)

    def on_token(self, token: int, iterations: int) -> None:
        """Called with each token as it is chosen, and the number of its iterations."""


@dataclass(frozen=True)
class Plan:
    """Settings of the decoding loop.

    Attributes
    ----------
    iterations : int
        Largest number of passes of the core for each token.
    seed : int or None
        Seed of the initial states, which depend on the position and so not on the cache. None: zeros.
    initial_state : Tensor [token, hidden], optional
        Initial states to use instead.
    carry : callable, optional
        Maps the last state [batch, 1, hidden] to the initial state of the next token: a warm start.
    choose : callable
        Maps logits [vocab] and the new token's position to its id.
    lookup : str or None
        Strategy of the cache. With None, or a model without ``new_cache``, the whole sequence is read again
        for each token.
    stops : collection of int
        Tokens that end the text.
    """

    iterations: int
    seed: int | None = None
    initial_state: Tensor | None = None
    carry: Callable[[Tensor], Tensor] | None = None
    choose: Callable[[Tensor, int], int] = likeliest
    lookup: str | None = "full"
    stops: Collection[int] = ()

    def start(self, model: RecurrentModel[Any], context: Any, last: Tensor | None) -> Tensor:
        """Return the initial state of one call."""
        if self.initial_state is not None:
            state = self.initial_state[context.positions.to(self.initial_state.device)][None]
        else:
            state = model.initial_state(context, self.seed)
        if self.carry is not None and last is not None:
            state = torch.cat((state[:, :-1], self.carry(last[:, -1:])), dim=1)
        return state


def decode(
    model: Any, ids: list[int], new_tokens: int, *, plan: Plan, callback: DecodingCallback, bar: Progress
) -> list[int]:
    """Generate at most ``new_tokens`` tokens after ``ids``; a stop token is the last one.

    The model is a `RecurrentModel`. An interrupt ends the loop; finished tokens are kept, and an unfinished
    one is dropped.

    Raises
    ------
    ModelError
        If the logits stop being finite.
    """
    cached = plan.lookup is not None and hasattr(model, "new_cache")
    cache = model.new_cache(plan.lookup, room=len(ids) + new_tokens) if cached else None
    generated: list[int] = []
    unread, last = ids, None
    with bar.stop_on_interrupt():
        for _ in bar.until_stopped(range(new_tokens)):
            context = model.embed(torch.tensor([unread]), cache=cache)
            state = plan.start(model, context, last)
            callback.on_start(context, state)
            last, used = _iterate(model, context, state, plan.iterations, callback=callback, bar=bar)
            if used < plan.iterations and bar.stopped:
                break
            logits = callback.logits(model, context, last)
            position = len(ids) + len(generated)
            _refuse_not_finite(model, logits, position, used)
            token = plan.choose(logits, position)
            callback.on_token(token, used)
            generated.append(token)
            unread = [token] if cached else [*ids, *generated]
            if token in plan.stops:
                break
    return generated


def greedy(
    model: RecurrentModel[Any],
    ids: list[int],
    new_tokens: int,
    *,
    iterations: int,
    seed: int | None,
    bar: Progress,
) -> list[int]:
    """Generate at most ``new_tokens`` tokens after ``ids`` greedily; see `decode`."""
    plan = Plan(iterations, seed, stops=stop_ids(model.tokenizer))
    return decode(model, ids, new_tokens, plan=plan, callback=DecodingCallback(), bar=bar)


def _iterate(
    model: RecurrentModel[Any],
    context: Any,
    state: Tensor,
    iterations: int,
    *,
    callback: DecodingCallback,
    bar: Progress,
) -> tuple[Tensor, int]:
    """Run the core until the callback ends it; return the state and the number of passes."""
    used = 0
    while used < iterations and not bar.stopped:
        state = model.step(state, context)
        used += 1
        if callback.on_iteration(used, context, state):
            break
    return state, used


def _refuse_not_finite(model: RecurrentModel[Any], logits: Tensor, position: int, used: int) -> None:
    if not math.isfinite(float(logits.max())):  # the maximum is NaN if any of them is
        where = f"for position {position} is not finite after {used} iterations"
        raise not_finite(model, f"The readout of {model.name} {where}")

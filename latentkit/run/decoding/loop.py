"""The decoding loop: a prompt goes on one token at a time, each after some passes of the core."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentkit.errors import ArgumentError, ModelError, nearest
from latentkit.models.contract import RecurrentModel
from latentkit.run.progress import Progress

__all__ = [
    "Plan",
    "Watch",
    "decode",
    "greedy",
    "last_logits",
    "likeliest",
    "reads_last",
    "sampled",
    "stop_ids",
]

_STOP_TOKENS = ("<|begin_text|>", "<|end_text|>", "<|end_turn|>")


def stop_ids(tokenizer: Any, names: Collection[str] | None = None) -> frozenset[int]:
    """Return the ids that end an answer: those of ``names``, else the end token and the chat format's.

    Raises
    ------
    ArgumentError
        If the vocabulary has no token of such a name.
    """
    if tokenizer is None and not names:
        return frozenset()
    if tokenizer is None:
        msg = (
            f"stop is {names!r}, but this model's folder has no tokenizer, so no token has a name. Pass None."
        )
        raise ArgumentError(msg)
    vocabulary = tokenizer.get_vocab()
    if names is None:
        ids = {vocabulary[name] for name in _STOP_TOKENS if name in vocabulary}
        return frozenset(ids | {tokenizer.eos_token_id} - {None})
    for name in names:
        if name not in vocabulary:
            special = sorted(set(tokenizer.all_special_tokens) | set(_STOP_TOKENS) & set(vocabulary))
            msg = f"stop holds {name!r}, which is no token of this model. {nearest(str(name), special)}"
            raise ArgumentError(msg)
    return frozenset(vocabulary[name] for name in names)


def likeliest(logits: Tensor, _position: int) -> int:
    """Choose the token with the largest logit."""
    return int(logits.argmax())


def sampled(temperature: float, top_p: float, seed: int) -> Callable[[Tensor, int], int]:
    """Return a choice by chance: softmax at a temperature, cut to the likeliest tokens that hold ``top_p``.

    The draw at a position depends on (seed, position) and the logits alone, on the CPU in float64.
    """

    def choose(logits: Tensor, position: int) -> int:
        probabilities, order = (logits.double().cpu() / temperature).softmax(-1).sort(descending=True)
        before = probabilities.cumsum(0) - probabilities
        kept = torch.where(before < top_p, probabilities, 0.0)  # the first one is always among them
        draw = np.random.default_rng((seed, position, 1)).random() * float(kept.sum())
        place = int(torch.searchsorted(kept.cumsum(0), draw, right=True))
        return int(order[min(place, int(kept.count_nonzero()) - 1)])

    return choose


def reads_last(model: RecurrentModel[Any]) -> bool:
    """Say whether a model has the verbs ``last_hidden`` and ``head``, which are `readout` in two parts."""
    return hasattr(model, "last_hidden") and hasattr(model, "head")


def last_logits(model: Any, state: Tensor, context: Any) -> Tensor:
    """Return the logits [vocab] after the last position of one sequence."""
    if reads_last(model):  # spares the head's work at all other positions
        logits: Tensor = model.head(model.last_hidden(state, context))[0]
    else:
        logits = model.readout(state, context)[0, -1]
    return logits.float()


class Watch:
    """Looks on while tokens are decoded. This one neither looks nor stops."""

    def begin(self, context: Any, state: Tensor) -> None:
        """See the state that a token's iterations start from."""

    def saw(self, iteration: int, context: Any, state: Tensor) -> bool:  # noqa: ARG002 (nothing to see)
        """See the state after an iteration; say whether to stop there."""
        return False

    def logits(self, model: RecurrentModel[Any], context: Any, state: Tensor) -> Tensor:
        """Return the logits [vocab] of the last state seen."""
        return last_logits(model, state, context)

    def finish(self, token: int, iterations: int) -> None:
        """Learn which token was chosen, after how many iterations."""


@dataclass(frozen=True)
class Plan:
    """How tokens are decoded.

    Attributes
    ----------
    iterations : int
        Passes of the core for every token, at most.
    seed : int or None
        Of the initial states; they depend on the position, so the cache changes nothing. None: zeros.
    initial_state : Tensor [token, hidden], optional
        Start there instead.
    carry : callable, optional
        Makes the next token's start from the last state [batch, 1, hidden]: a warm start.
    choose : callable
        From logits [vocab] and the new token's position to its id.
    lookup : str or None
        Strategy of the cache; None reads the whole sequence again for each token, as does a model without
        ``new_cache``.
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
        """Return where the iterations of one call begin."""
        if self.initial_state is not None:
            state = self.initial_state[context.positions.to(self.initial_state.device)][None]
            state = state.to(device=model.device, dtype=model.dtype)
        else:
            state = model.initial_state(context, self.seed)
        if self.carry is not None and last is not None:
            state = torch.cat((state[:, :-1], self.carry(last[:, -1:])), dim=1)
        return state


def decode(
    model: Any, ids: list[int], new_tokens: int, *, plan: Plan, watch: Watch, bar: Progress
) -> list[int]:
    """Return at most ``new_tokens`` tokens that follow ``ids``; a stop token is the last one.

    The model is a `RecurrentModel`. An interrupt ends the loop and keeps the tokens that are there; one
    that is not finished is dropped.

    Raises
    ------
    ModelError
        If the logits stop being finite.
    """
    cached = plan.lookup is not None and hasattr(model, "new_cache")
    cache = model.new_cache(plan.lookup, room=len(ids) + new_tokens) if cached else None
    generated: list[int] = []
    unread, last = ids, None
    with bar.keep_what_is_there():
        for _ in bar.until_stopped(range(new_tokens)):
            context = model.embed(torch.tensor([unread]), cache=cache)
            state = plan.start(model, context, last)
            watch.begin(context, state)
            last, used = _think(model, context, state, plan.iterations, watch=watch, bar=bar)
            if used < plan.iterations and bar.stopped:
                break
            logits = watch.logits(model, context, last)
            position = len(ids) + len(generated)
            _refuse_not_finite(model, logits, position, used)
            token = plan.choose(logits, position)
            watch.finish(token, used)
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
    """Return at most ``new_tokens`` likeliest tokens after ``ids``, unwatched; see `decode`."""
    plan = Plan(iterations, seed, stops=stop_ids(model.tokenizer))
    return decode(model, ids, new_tokens, plan=plan, watch=Watch(), bar=bar)


def _think(
    model: RecurrentModel[Any], context: Any, state: Tensor, iterations: int, *, watch: Watch, bar: Progress
) -> tuple[Tensor, int]:
    """Repeat the core until the watch has seen enough; return the state and how many passes it took."""
    used = 0
    while used < iterations and not bar.stopped:
        state = model.step(state, context)
        used += 1
        if watch.saw(used, context, state):
            break
    return state, used


def _refuse_not_finite(model: RecurrentModel[Any], logits: Tensor, position: int, used: int) -> None:
    if not math.isfinite(float(logits.max())):  # the largest of numbers with NaN among them is NaN
        msg = (
            f"The readout of {model.name} for position {position} is not finite after {used} iterations. The "
            f"weights hold NaN or overflow in {model.dtype}: load the model again, or with dtype='float32'."
        )
        raise ModelError(msg)

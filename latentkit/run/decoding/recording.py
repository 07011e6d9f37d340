"""What is written down of a token's iterations while it is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentkit import criteria
from latentkit.models.contract import RecurrentModel
from latentkit.run.decoding.exits import ExitWatch
from latentkit.run.decoding.loop import Watch, last_logits, reads_last

__all__ = ["Recorder"]

_CHUNK_BYTES = 4 * 2**20  # logits looked at in one go

Row = dict[str, np.ndarray[Any, Any]]


class Recorder(Watch):
    """Writes down every iteration of the last position, and stops where an exit rule says so.

    Parameters
    ----------
    model : RecurrentModel
        A model with the verbs ``last_hidden`` and ``head`` is read out once a token, many iterations at a
        time; of another one the logits of a token's iterations are kept until it is chosen.
    iterations : int
        Passes of the core, at most.
    top : int
        How many readouts to keep; 0: none, nor anything that is computed from them.
    watched : sequence of int
        Tokens whose rank and probability are kept.
    leave : ExitWatch, optional
        The exit rule.
    least : int
        The first iteration after which it may stop.
    leave_prompt : bool
        Whether it may stop in the call that reads the prompt too.
    told : callable
        Is told each token as soon as it is chosen.

    Attributes
    ----------
    rows : list of dict
        For each token, the variables over ``iteration``; for positions after the exit they are not known.
    used : list of int
        Iterations of each token.
    """

    def __init__(
        self,
        model: RecurrentModel[Any],
        *,
        iterations: int,
        top: int,
        watched: Sequence[int] = (),
        leave: ExitWatch | None = None,
        least: int = 1,
        leave_prompt: bool = True,
        told: Callable[[int], object] = lambda token: None,  # noqa: ARG005 (nobody listens)
    ) -> None:
        self.rows: list[Row] = []
        self.used: list[int] = []
        self._model: Any = model  # some have more verbs than the contract
        self._iterations, self._top, self._watched = iterations, top, list(watched)
        self._leave, self._least, self._leave_prompt = leave, least, leave_prompt
        self._told = told
        self._reads = bool(top or watched)
        self._heads = reads_last(model)
        self._states: list[Tensor] = []  # [hidden], raw
        self._kept: list[Tensor] = []  # what the head reads [hidden], else logits [vocab]
        self._means: list[ExitWatch] = []
        self._mean_values: dict[str, list[float]] = {}

    def begin(self, context: Any, state: Tensor) -> None:
        """See the state that a token's iterations start from."""
        self._states, self._kept = [], []
        several = state.shape[1] > 1  # the rules for states look at the mean over all positions of a call
        self._means = [
            ExitWatch(name) for name, rule in criteria.EXIT_RULES.items() if several and rule.reads == "state"
        ]
        self._mean_values = {watch.name: [float("nan")] for watch in self._means}
        for watch in self._means:
            watch.begin(state[0].float())
        self._look(context, state)
        if self._leave is not None:
            self._leave.begin(self._seen_by(self._leave, context, state))

    def saw(self, iteration: int, context: Any, state: Tensor) -> bool:
        """See the state after an iteration; say whether to stop there."""
        self._look(context, state)
        for watch in self._means:
            self._mean_values[watch.name].append(watch.value(state[0].float()))
        if self._leave is None or (state.shape[1] > 1 and not self._leave_prompt):
            return False
        met = self._leave.met(self._leave.value(self._seen_by(self._leave, context, state)))
        return met and iteration >= self._least

    def logits(self, model: RecurrentModel[Any], context: Any, state: Tensor) -> Tensor:
        """Return the logits [vocab] of the last state seen."""
        return self._logits(-1, None)[0] if self._reads else last_logits(model, state, context)

    def finish(self, token: int, iterations: int) -> None:
        """Write the row of a token."""
        states = torch.stack(self._states)
        latents = self._model.normalise(states).float()
        row = {
            "distance": criteria.distance(latents, latents[-1:]).cpu().numpy(),
            **self._readouts(),
        }
        values = np.full((len(states), len(criteria.EXIT_RULES)), np.nan, dtype=np.float32)
        for column, (name, rule) in enumerate(criteria.EXIT_RULES.items()):
            if name in self._mean_values:
                values[:, column] = self._mean_values[name]
            elif rule.reads == "state":
                values[:, column] = criteria.exit_values(name, rule.summary(states.float())).cpu()
            elif f"{name} value" in row:
                values[:, column] = row.pop(f"{name} value")
        row["exit_value"] = values
        self.rows.append({name: self._filled(part) for name, part in row.items()})
        self.used.append(iterations)
        self._told(token)

    def table(self, prompt_tokens: int) -> dict[str, np.ndarray[Any, Any]]:
        """Return all rows as arrays over ``generated_token``, also where there are none."""
        rows = {name: np.stack([row[name] for row in self.rows]) for name in (self.rows or [{}])[0]}
        count = len(self.used)
        return {
            "generated_token": np.arange(count),
            "position": np.arange(prompt_tokens, prompt_tokens + count),
            "iteration": np.arange(self._iterations + 1),
            "iterations_used": np.array(self.used, dtype=np.int64),
            **(rows or self._no_rows()),
        }

    def _no_rows(self) -> Row:
        """What `table` returns before the first token: the same variables, empty."""
        cell = (0, self._iterations + 1)
        shapes: dict[str, tuple[int, ...]] = {
            "distance": cell,
            "exit_value": (*cell, len(criteria.EXIT_RULES)),
        }
        if self._reads:
            shapes |= {"entropy": cell, "kl": cell}
        if self._top:
            shapes |= {"readout_id": (*cell, self._top), "readout_probability": (*cell, self._top)}
        if self._watched:
            shapes |= dict.fromkeys(("watched_rank", "watched_probability"), (*cell, len(self._watched)))
        integers = ("readout_id", "watched_rank")
        return {
            name: np.empty(shape, np.int32 if name in integers else np.float32)
            for name, shape in shapes.items()
        }

    def _look(self, context: Any, state: Tensor) -> None:
        self._states.append(state[0, -1].clone())  # a view would keep the states of all positions alive
        if self._reads and self._heads:
            self._kept.append(self._model.last_hidden(state, context)[0].clone())
        elif self._reads:
            self._kept.append(last_logits(self._model, state, context))

    def _seen_by(self, watch: ExitWatch, context: Any, state: Tensor) -> Tensor:
        if watch.rule.reads == "state":
            return state[0].float()
        logits = self._logits(-1, None) if self._reads else last_logits(self._model, state, context)[None]
        log_probs: Tensor = criteria.log_softmax(logits)
        return log_probs

    def _logits(self, first: int, end: int | None) -> Tensor:
        kept = torch.stack(self._kept[first:end])
        logits: Tensor = self._model.head(kept) if self._heads else kept
        return logits

    def _readouts(self) -> Row:
        """What would be said at each iteration, a chunk of them at a time."""
        if not self._reads:
            return {}
        reference = criteria.log_softmax(self._logits(-1, None))
        parts = [
            self._measured(first, now, before, reference) for first, now, before in self._chunks(reference)
        ]
        row = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for name, summary in (("entropy-diff", "entropy"), ("argmax-stability", "likeliest")):
            row[f"{name} value"] = criteria.exit_values(name, row[summary].astype(np.float32))
        del row["likeliest"]
        return row

    def _chunks(self, reference: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield log-probabilities [iteration, vocab], with the first iteration and the row before it."""
        count = len(self._kept)
        # Two at least: to iteration 1 the rules compare a start of their own, not the readout at 0.
        rows = max(2, _CHUNK_BYTES // (4 * self._model.vocab_size))
        before = reference
        for first in range(0, count, rows):
            now = criteria.log_softmax(self._logits(first, first + rows))
            if first + rows >= count:
                now[-1] = reference  # the very numbers that the token is chosen by
            yield first, now, before
            before = now[-1:]

    def _measured(self, first: int, now: Tensor, before: Tensor, reference: Tensor) -> Row:
        best = now.topk(max(self._top, 1), dim=-1)
        found = {
            "likeliest": best.indices[:, 0],
            "entropy": criteria.entropy(now),
            "kl": criteria.kl_divergence(reference, now).clamp(min=0),
        }
        if self._top:
            found |= {"readout_id": best.indices, "readout_probability": best.values.exp()}
        if self._watched:
            chosen = now[:, self._watched]
            found["watched_rank"] = (now[:, None] > chosen[..., None]).sum(-1)
            found["watched_probability"] = chosen.exp()
        window = now if first == 0 else torch.cat((before, now))
        for name in ("kl", "minp-kl"):
            summaries = criteria.EXIT_RULES[name].summary(window)
            found[f"{name} value"] = criteria.exit_values(name, summaries, begins=first == 0)[-len(now) :]
        return {name: part.cpu().numpy() for name, part in found.items()}

    def _filled(self, part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Lengthen a variable to all iterations: -1 or NaN after the exit."""
        ids = part.dtype.kind == "i"
        row = np.full(
            (self._iterations + 1, *part.shape[1:]), -1 if ids else np.nan, np.int32 if ids else np.float32
        )
        row[: len(part)] = part
        return row

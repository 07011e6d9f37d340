"""The decoding callback that records each token's iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentkit import criteria
from latentkit.models.contract import RecurrentModel
from latentkit.run.decoding.exits import ExitTest
from latentkit.run.decoding.loop import DecodingCallback, has_head, last_logits
from latentkit.run.memory import readout_bytes
from latentkit.run.readouts import empty_readouts, readout_statistics

__all__ = ["Recorder", "chunk_bytes"]

_CHUNK_BYTES = 4 * 2**20  # size of the logits in memory at a time

Row = dict[str, np.ndarray[Any, Any]]


class Recorder(DecodingCallback):
    """Records every iteration of the last position, and ends the iterations where an exit rule is met.

    Parameters
    ----------
    model : RecurrentModel
        A model with the verbs ``last_hidden`` and ``head`` is read out once per token, many iterations at a
        time. For any other model the logits of a token's iterations are kept until it is chosen.
    iterations : int
        Largest number of passes of the core.
    top : int
        Number of likeliest tokens to keep; 0 leaves out all readouts.
    watched : sequence of int
        Tokens whose rank and probability are kept.
    exit_test : ExitTest, optional
        The exit rule.
    least : int
        First iteration after which the exit rule may end the iterations.
    exit_in_prompt : bool
        Whether it may also do so in the call that reads the prompt.
    on_token : callable
        Called with each token as it is chosen.

    Attributes
    ----------
    rows : list of dict
        For each token, the variables over ``iteration``; -1 or NaN after the exit.
    used : list of int
        Number of iterations of each token.
    """

    def __init__(
        self,
        model: RecurrentModel[Any],
        *,
        iterations: int,
        top: int,
        watched: Sequence[int] = (),
        exit_test: ExitTest | None = None,
        least: int = 1,
        exit_in_prompt: bool = True,
        on_token: Callable[[int], object] = lambda token: None,  # noqa: ARG005 (does nothing)
    ) -> None:
        self.rows: list[Row] = []
        self.used: list[int] = []
        self._model: Any = model  # may have more verbs than the contract
        self._iterations, self._top, self._watched = iterations, top, list(watched)
        self._exit, self._least, self._exit_in_prompt = exit_test, least, exit_in_prompt
        self._on_token = on_token
        self._reads = bool(top or watched)
        self._has_head = has_head(model)
        self._states: list[Tensor] = []  # [hidden], raw
        self._kept: list[Tensor] = []  # input of the head [hidden], or else logits [vocab]
        self._means: list[ExitTest] = []
        self._mean_values: dict[str, list[float]] = {}

    def on_start(self, context: Any, state: Tensor) -> None:
        """Record the initial state of a token."""
        self._states, self._kept = [], []
        several = state.shape[1] > 1  # rules for states average over all positions of a call
        self._means = [
            ExitTest(name) for name, rule in criteria.EXIT_RULES.items() if several and rule.reads == "state"
        ]
        self._mean_values = {test.name: [float("nan")] for test in self._means}
        for test in self._means:
            test.start(state[0].float())
        self._keep(context, state)
        if self._exit is not None:
            self._exit.start(self._input_of(self._exit, context, state))

    def on_iteration(self, iteration: int, context: Any, state: Tensor) -> bool:
        """Record the state after an iteration; return whether the exit rule is met."""
        self._keep(context, state)
        for test in self._means:
            self._mean_values[test.name].append(test.value(state[0].float()))
        if self._exit is None or (state.shape[1] > 1 and not self._exit_in_prompt):
            return False
        met = self._exit.met(self._exit.value(self._input_of(self._exit, context, state)))
        return met and iteration >= self._least

    def logits(self, model: RecurrentModel[Any], context: Any, state: Tensor) -> Tensor:
        """Return the logits [vocab] of the last state."""
        return self._logits(-1, None)[0] if self._reads else last_logits(model, state, context)

    def on_token(self, token: int, iterations: int) -> None:
        """Compute the row of a token."""
        states = torch.stack(self._states)
        latents = self._model.normalise(states).float()
        readouts, values = self._readouts() if self._reads else ({}, {})
        row = {"distance": criteria.distance(latents, latents[-1:]).cpu().numpy(), **readouts}
        exit_value = np.full((len(states), len(criteria.EXIT_RULES)), np.nan, dtype=np.float32)
        for column, (name, rule) in enumerate(criteria.EXIT_RULES.items()):
            if name in self._mean_values:
                exit_value[:, column] = self._mean_values[name]
            elif rule.reads == "state":
                exit_value[:, column] = criteria.exit_values(name, rule.summary(states.float())).cpu()
            elif name in values:
                exit_value[:, column] = values[name]
        row["exit_value"] = exit_value
        self.rows.append({name: self._filled(part) for name, part in row.items()})
        self.used.append(iterations)
        self._on_token(token)

    def table(self, prompt_tokens: int) -> Row:
        """Return all rows as arrays over ``generated_token``; empty arrays before the first token."""
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
        cell = (0, self._iterations + 1)
        read = empty_readouts(cell, top=self._top, tokens=len(self._watched)) if self._reads else {}
        return {
            "distance": np.empty(cell, np.float32),
            "exit_value": np.empty((*cell, len(criteria.EXIT_RULES)), np.float32),
            **read,
        }

    def _keep(self, context: Any, state: Tensor) -> None:
        self._states.append(state[0, -1].clone())  # a view would keep the states of all positions in memory
        if self._reads and self._has_head:
            self._kept.append(self._model.last_hidden(state, context)[0].clone())
        elif self._reads:
            self._kept.append(last_logits(self._model, state, context))

    def _input_of(self, test: ExitTest, context: Any, state: Tensor) -> Tensor:
        """Return what an exit rule reads: the state, or the log-probabilities."""
        if test.rule.reads == "state":
            return state[0].float()
        logits = self._logits(-1, None) if self._reads else last_logits(self._model, state, context)[None]
        log_probs: Tensor = criteria.log_softmax(logits)
        return log_probs

    def _logits(self, first: int, end: int | None) -> Tensor:
        kept = torch.stack(self._kept[first:end])
        logits: Tensor = self._model.head(kept) if self._has_head else kept
        return logits

    def _readouts(self) -> tuple[Row, Row]:
        """Return the statistics of the readouts and the values of the exit rules that read them."""
        reference = criteria.log_softmax(self._logits(-1, None))
        parts, summaries, values = [], [], []
        for first, now, before in self._chunks(reference):
            parts.append(readout_statistics(now, reference, top=self._top, tokens=self._watched))
            summaries.append({name: _summary(name, now) for name in _SCALAR})
            window = now if first == 0 else torch.cat((before, now))
            values.append({name: _values(name, window, first)[-len(now) :] for name in _VECTOR})
        found = _joined(values)
        for name, summary in _joined(summaries).items():
            found[name] = criteria.exit_values(name, summary.astype(np.float32))
        return _joined(parts), found

    def _chunks(self, reference: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield log-probabilities [iteration, vocab], with their first iteration and the row before it."""
        count = len(self._kept)
        rows = _rows_per_chunk(self._model)
        before = reference
        for first in range(0, count, rows):
            now = criteria.log_softmax(self._logits(first, first + rows))
            if first + rows >= count:
                now[-1] = reference  # the same numbers as those that the token was chosen by
            yield first, now, before
            before = now[-1:]

    def _filled(self, part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Extend a variable to all iterations with -1 or NaN."""
        ids = part.dtype.kind == "i"
        row = np.full(
            (self._iterations + 1, *part.shape[1:]), -1 if ids else np.nan, np.int32 if ids else np.float32
        )
        row[: len(part)] = part
        return row


def chunk_bytes(model: Any, states: int) -> int:
    """Return the size of what the readouts of one token's states hold at once."""
    return readout_bytes(model, min(states, _rows_per_chunk(model)))


def _rows_per_chunk(model: Any) -> int:
    # At least two: iteration 1 is compared with the rule's own start instead of the readout at 0.
    return max(2, _CHUNK_BYTES // (4 * int(model.vocab_size)))


# Rules that read readouts: those whose summary is one number, and those that compare whole distributions.
_SCALAR, _VECTOR = ("entropy-diff", "argmax-stability"), ("kl", "minp-kl")


def _summary(name: str, log_probs: Tensor) -> np.ndarray[Any, Any]:
    summary: np.ndarray[Any, Any] = criteria.EXIT_RULES[name].summary(log_probs).cpu().numpy()
    return summary


def _values(name: str, window: Tensor, first: int) -> np.ndarray[Any, Any]:
    summaries = criteria.EXIT_RULES[name].summary(window)
    values: np.ndarray[Any, Any] = criteria.exit_values(name, summaries, begins=first == 0).cpu().numpy()
    return values


def _joined(parts: list[Row]) -> Row:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

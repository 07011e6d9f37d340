"""Model proxy that reports progress: pictures are updated during a run, and the run can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from latentkit import criteria
from latentkit.trace import build_trace

__all__ = ["ReportingModel"]

_PAUSE = 0.2  # minimum time between two pictures, in seconds


class ReportingModel:
    """Model proxy that counts calls, shows partial traces, and ends the run when Stop was pressed.

    During generation the model is called on parts of the sequence; the longest one so far is shown.

    Parameters
    ----------
    model : RecurrentModel
        Every attribute that is not defined here is that of this model.
    stop : threading.Event
        When it is set, the next step or readout raises `KeyboardInterrupt`.
    iterations : int
        Number of columns of the picture, without iteration 0.
    show : callable
        Called with a partial trace after a step, at most five times a second.
    advance : callable
        Called with the number of steps and readouts so far.
    """

    def __init__(
        self,
        model: Any,
        stop: threading.Event,
        iterations: int,
        show: Callable[[xr.Dataset], None],
        advance: Callable[[int], None],
    ) -> None:
        self._model, self._stop, self._iterations = model, stop, iterations
        self._show, self._advance = show, advance
        self._calls, self._column, self._last_shown = 0, 0, 0.0
        self._ids: list[int] = []
        self._steps = np.empty((0, 0), np.float32)
        self._latent: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed(self, token_ids: Any, **options: Any) -> Any:
        """Embed, and start a new picture if the sequence is longer than any before."""
        if token_ids.shape[1] > len(self._ids):
            self._ids = token_ids[0].tolist()
            self._steps = np.full((len(self._ids), self._iterations + 1), np.nan, np.float32)
            self._column, self._latent = 0, None
        return self._model.embed(token_ids, **options)

    def step(self, state: Any, context: Any) -> Any:
        """Step, and add a column to the picture."""
        self._count_call()
        after = self._model.step(state, context)
        if after.shape[1] == len(self._ids) and self._column < self._iterations:
            before = self._model.normalise(state) if self._latent is None else self._latent
            self._latent = self._model.normalise(after)
            self._column += 1
            self._steps[:, self._column] = criteria.distance(self._latent[0].float(), before[0].float()).cpu()
            if time.monotonic() - self._last_shown > _PAUSE:
                self._show(self._partial_trace())
                self._last_shown = time.monotonic()
        return after

    def readout(self, state: Any, context: Any) -> Any:
        """Read out, and count the call."""
        self._count_call()
        return self._model.readout(state, context)

    def _count_call(self) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt  # `run_recurrence` then returns the iterations that are complete
        self._calls += 1
        self._advance(self._calls)

    def _partial_trace(self) -> xr.Dataset:
        """Build a trace of the steps so far; distances are NaN until the limit is reached."""
        from latentkit.run.prompting import token_texts

        texts = np.array(token_texts(self._model.tokenizer, self._ids), dtype=object)
        arrays = {
            "distance": np.full_like(self._steps, np.nan),
            "step_size": self._steps,
            "token": np.arange(len(self._ids)),
            "token_text": texts,
            "token_id": np.array(self._ids),
            "iteration": np.arange(self._iterations + 1),
        }
        return build_trace("recurrence", arrays, {})

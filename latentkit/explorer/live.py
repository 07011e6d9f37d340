"""A model that tells what it does, so that a picture can grow while it thinks, and that can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from latentkit import criteria
from latentkit.trace import build_trace

__all__ = ["Watched"]

_PAUSE = 0.2  # seconds between two pictures


class Watched:
    """The model itself, but for three verbs: they tell what they do, and end the run where Stop was pressed.

    While tokens are generated it is called for parts of the sequence; the longest one so far is shown.
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
        self._calls, self._column, self._shown = 0, 0, 0.0
        self._ids: list[int] = []
        self._steps = np.empty((0, 0), np.float32)
        self._latent: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed(self, token_ids: Any, **options: Any) -> Any:
        """Embed, and begin a new picture where the sequence is longer than any before."""
        if token_ids.shape[1] > len(self._ids):
            self._ids = token_ids[0].tolist()
            self._steps = np.full((len(self._ids), self._iterations + 1), np.nan, np.float32)
            self._column, self._latent = 0, None
        return self._model.embed(token_ids, **options)

    def step(self, state: Any, context: Any) -> Any:
        """Step, and add a column to the picture."""
        self._count()
        after = self._model.step(state, context)
        if after.shape[1] == len(self._ids) and self._column < self._iterations:
            before = self._model.normalise(state) if self._latent is None else self._latent
            self._latent = self._model.normalise(after)
            self._column += 1
            self._steps[:, self._column] = criteria.distance(self._latent[0].float(), before[0].float()).cpu()
            if time.monotonic() - self._shown > _PAUSE:
                self._show(self._partial())
                self._shown = time.monotonic()
        return after

    def readout(self, state: Any, context: Any) -> Any:
        """Read out, and count it as progress."""
        self._count()
        return self._model.readout(state, context)

    def _count(self) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt  # what the run takes for a polite stop, wherever it comes from
        self._calls += 1
        self._advance(self._calls)

    def _partial(self) -> xr.Dataset:
        """What is known so far, as a trace: no distance before the limit is reached."""
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

"""A progress bar that turns an interrupt into a request to stop, so that a run can return what it has."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from tqdm.auto import tqdm

__all__ = ["Progress"]


class Progress:
    """Context manager that counts work and records whether to stop.

    Inside it the first interrupt sets `stopped` and lets the current iteration finish; a second interrupt
    raises ``KeyboardInterrupt``. Another thread may set `stopped` as well. The bar is created and closed
    while interrupts are handled, and a run builds its trace inside the context, so that an interrupt cannot
    discard finished work.

    Parameters
    ----------
    total : int
        Units of work.
    title : str
        Text before the bar.
    visible : bool
        Whether to draw the bar.

    Attributes
    ----------
    stopped : bool
        Whether a stop was requested.
    """

    def __init__(self, total: int, title: str, *, visible: bool) -> None:
        self.stopped = False
        self._total, self._title, self._visible = total, title, visible
        self._bar: Any = None
        self._earlier: Any = None

    def __enter__(self) -> Progress:
        if threading.current_thread() is threading.main_thread():
            self._earlier = signal.signal(signal.SIGINT, self._on_interrupt)
        self._bar = tqdm(total=self._total, desc=self._title, disable=not self._visible, leave=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            self._bar.close()
        finally:
            if self._earlier is not None:
                signal.signal(signal.SIGINT, self._earlier)

    def until_stopped(self, work: range) -> Iterator[int]:
        """Yield the numbers of ``work`` and advance the bar after each, until a stop is requested."""
        for i in work:
            if self.stopped:
                return
            yield i
            self._bar.update()

    def until_interrupted(self, work: range) -> Iterator[int]:
        """Yield the numbers of ``work`` and advance the bar after each.

        Raises
        ------
        KeyboardInterrupt
            If a stop is requested before the work is done: for runs without a partial result.
        """
        for i in work:
            if self.stopped:
                raise KeyboardInterrupt
            yield i
            self._bar.update()

    def advance(self, count: int) -> None:
        """Advance the bar by some units of work."""
        self._bar.update(count)

    def show(self, text: str) -> None:
        """Write a text beside the bar."""
        self._bar.set_postfix_str(text, refresh=False)

    @contextmanager
    def stop_on_interrupt(self) -> Iterator[None]:
        """Treat a ``KeyboardInterrupt`` raised inside the block as a request to stop."""
        try:
            yield
        except KeyboardInterrupt:
            self.stopped = True

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True

"""A progress bar that turns Ctrl-C into a polite stop, so that a run can hand over what it has."""

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
    """Counts work and remembers whether somebody asked to stop.

    While it is entered, the first interrupt sets `stopped` and lets the iteration under way finish; a
    second one interrupts as usual. Another thread may set `stopped` too.

    Parameters
    ----------
    total : int
        Units of work, for the bar.
    title : str
        Stands before the bar.
    visible : bool
        Whether to draw the bar.
    """

    def __init__(self, total: int, title: str, *, visible: bool) -> None:
        self.stopped = False
        self._bar = tqdm(total=total, desc=title, disable=not visible, leave=False)
        self._earlier: Any = None

    def __enter__(self) -> Progress:
        if threading.current_thread() is threading.main_thread():
            self._earlier = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._earlier is not None:
            signal.signal(signal.SIGINT, self._earlier)
        self._bar.close()

    def until_stopped(self, work: range) -> Iterator[int]:
        """Yield the numbers of ``work``, moving the bar after each, until somebody asks to stop."""
        for i in work:
            if self.stopped:
                return
            yield i
            self._bar.update()

    def show(self, text: str) -> None:
        """Write a text beside the bar."""
        self._bar.set_postfix_str(text, refresh=False)

    @contextmanager
    def keep_what_is_there(self) -> Iterator[None]:
        """End the block quietly on an interrupt that was raised inside it."""
        try:
            yield
        except KeyboardInterrupt:
            self.stopped = True

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True

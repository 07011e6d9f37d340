"""Streaming of generated text in whole characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentkit.run.progress import Progress

__all__ = ["TextStream"]

_SHOWN = 40  # number of characters beside the bar


class TextStream:
    """Decodes tokens to text and passes it on in pieces of whole characters.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast or None
        Without one the texts are ``<17>``.
    send : callable, optional
        Called with each piece.
    bar : Progress
        Progress bar that shows the end of the text.
    """

    def __init__(self, tokenizer: Any, send: Callable[[str], object] | None, bar: Progress) -> None:
        self._tokenizer, self._callback, self._bar = tokenizer, send, bar
        self._pending: list[int] = []
        self._text = ""

    def add(self, token: int) -> None:
        """Add a token; its text is kept back until its last character is complete."""
        self._pending.append(token)
        text = self._decoded()
        if not text.endswith("\ufffd"):
            self._send_piece(text)

    def close(self) -> None:
        """Send the remaining text, even if its last character is incomplete."""
        if self._pending:
            self._send_piece(self._decoded())

    def _decoded(self) -> str:
        if self._tokenizer is None:
            return "".join(f"<{token}>" for token in self._pending)
        text: str = self._tokenizer.decode(
            self._pending, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _send_piece(self, piece: str) -> None:
        self._pending = []
        self._text = (self._text + piece)[-_SHOWN:]
        self._bar.show(" ".join(self._text.split()))
        if self._callback is not None and piece:
            self._callback(piece)

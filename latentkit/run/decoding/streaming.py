"""Text while it is written: whole characters only, as soon as they are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentkit.run.progress import Progress

__all__ = ["TextStream"]

_SHOWN = 40  # characters beside the bar


class TextStream:
    """Hands on the text of tokens in pieces of whole characters.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast or None
        Without one the texts are ``<17>``.
    send : callable, optional
        Gets each piece.
    bar : Progress
        Shows the end of the text.
    """

    def __init__(self, tokenizer: Any, send: Callable[[str], object] | None, bar: Progress) -> None:
        self._tokenizer, self._send, self._bar = tokenizer, send, bar
        self._pending: list[int] = []
        self._text = ""

    def add(self, token: int) -> None:
        """Take a token; its text may wait for the rest of a character."""
        self._pending.append(token)
        text = self._decoded()
        if not text.endswith("\ufffd"):
            self._hand_on(text)

    def close(self) -> None:
        """Hand on what is left, though a character be cut."""
        if self._pending:
            self._hand_on(self._decoded())

    def _decoded(self) -> str:
        if self._tokenizer is None:
            return "".join(f"<{token}>" for token in self._pending)
        text: str = self._tokenizer.decode(
            self._pending, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def _hand_on(self, piece: str) -> None:
        self._pending = []
        self._text = (self._text + piece)[-_SHOWN:]
        self._bar.show(" ".join(self._text.split()))
        if self._send is not None and piece:
            self._send(piece)

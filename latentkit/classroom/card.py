"""Messages of exercises, for notebooks and terminals."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Card", "Folded", "Steps"]

_BOX = "border-left:4px solid {colour};padding:0.4em 0.9em;margin:0.3em 0;max-width:46rem;"


@dataclass(frozen=True)
class Card:
    """A short message with a heading.

    Parameters
    ----------
    heading : str
        For example "Right".
    text : str
        Whole sentences.
    colour : str, optional
        Colour of the line on the left; the heading carries the same information.
    """

    heading: str
    text: str
    colour: str = "#31688e"

    def __str__(self) -> str:
        return f"{self.heading}. {self.text}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        box = _BOX.format(colour=self.colour)
        return f'<div style="{box}"><b>{html.escape(self.heading)}.</b> {_paragraphs(self.text)}</div>'


class Folded(Card):
    """A card that is closed until the reader opens it: by mouse, with Enter, or with ``print``."""

    def __repr__(self) -> str:
        return f"{self.heading}: folded. print() shows it."

    def _repr_html_(self) -> str:
        box = _BOX.format(colour=self.colour)
        summary = f'<summary style="cursor:pointer"><b>{html.escape(self.heading)}</b> (open me)</summary>'
        return f'<details style="{box}">{summary}<p>{_paragraphs(self.text)}</p></details>'


class Steps:
    """Several folded cards of one kind: hints that are opened one by one.

    Parameters
    ----------
    heading : str
        For example "Hint".
    texts : sequence of str
        One text per step.
    """

    def __init__(self, heading: str, texts: Sequence[str]) -> None:
        self._cards = [
            Folded(f"{heading} {number} of {len(texts)}", text) for number, text in enumerate(texts, start=1)
        ]

    def __str__(self) -> str:
        return "\n".join(map(str, self._cards))

    def __repr__(self) -> str:
        return "\n".join(map(repr, self._cards))

    def _repr_html_(self) -> str:
        return "".join(card._repr_html_() for card in self._cards)


def _paragraphs(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")

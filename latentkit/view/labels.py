"""Tokens as labels: invisible characters are made visible and long texts are shortened.

A token is data. No character of it may start a formula, break a line, reorder its neighbours or be drawn as
an empty box.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

__all__ = ["label_rows", "prefixed_label", "quoted", "token_label", "visible_token"]

_LINE = 1.15  # row height divided by font size at which accents and descenders do not touch

_LEFT_TO_RIGHT = "\u200e"

# Characters with a sign of their own; every other control character is shown by its number.
_SIGNS = {"\n": "↵", "\t": "⇥"}

# Unicode categories of invisible characters. Cc, Cf: control and format (zero-width joiners, writing
# direction); Cs: unpaired surrogates; Cn, Co: not assigned, private; Zl, Zp, Zs: line breaks and spaces.
_INVISIBLE = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp", "Zs"}

# Spaces that a reader would miss: at the end, or next to another space. The single leading space of most
# words stays a space, as in the published figures.
_MISSED_SPACES = re.compile(r" {2,}| $")


def visible_token(text: str, characters: Collection[int] | None = None) -> str:
    r"""Return a token's text with every character visible.

    Parameters
    ----------
    text : str
        A token as decoded.
    characters : collection of int, optional
        Code points that can be drawn; others become, for example, ``U+65E5``. By default every letter, mark,
        number, punctuation mark and symbol is kept.

    Returns
    -------
    str
        One line without control characters: ``↵`` for a line break, ``⇥`` for a tab, ``␣`` for a space that a
        reader would miss, ``U+0000`` for any other invisible character. A single leading space is kept.

    Examples
    --------
    >>> visible_token(" deliber"), visible_token("\n\n"), visible_token("    "), visible_token("\x00")
    (' deliber', '↵↵', '␣␣␣␣', 'U+0000')
    >>> visible_token("日本", characters=range(128))
    'U+65E5 U+672C'
    """
    return _joined(_pieces(text, characters))


def token_label(text: str, characters: Collection[int] | None = None, *, width: int = 28) -> str:
    """Return a token as a tick label: visible, drawable, and at most ``width`` characters long."""
    pieces = _pieces(text[: width + 1], characters)  # every character becomes at least one
    if len(_joined(pieces)) <= width:
        return _joined(pieces)
    more = "…" if _can_draw("…", characters) else "..."
    while pieces and len(_joined(pieces)) + len(more) > width:
        pieces.pop()
    return _joined(pieces) + more


def quoted(text: str, characters: Collection[int] | None = None) -> str:
    """Return a token as a short label in quotation marks.

    Examples
    --------
    >>> quoted(" cat")
    '“ cat”'
    """
    return f"“{token_label(text, characters)}”"


def prefixed_label(prefix: str, text: str, characters: Collection[int] | None = None) -> str:
    r"""Return a token's label after a prefix such as its position, in that order from left to right.

    A renderer with support for writing directions treats "3 " and an Arabic word as one run from right to
    left and draws the 3 on the right. An invisible mark (U+200E) at the start prevents that. It is left out
    if ``characters`` does not contain it.

    Examples
    --------
    >>> prefixed_label("3 ", " cat"), prefixed_label("3 ", "\u05d0\u05d1")
    ('3  cat', '\u200e3 \u05d0\u05d1')
    """
    label = token_label(text, characters)
    reversed_ = any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in label)
    mark = _LEFT_TO_RIGHT if reversed_ and _can_draw(_LEFT_TO_RIGHT, characters) else ""
    return f"{mark}{prefix}{label}"


def label_rows(positions: Sequence[int], pitch: float) -> tuple[list[int], float]:
    """Choose the rows that get a label, and the font size.

    Parameters
    ----------
    positions : sequence of int
        Positions of the tokens, one per row.
    pitch : float
        Height of a row in points.

    Returns
    -------
    rows : list of int
        All rows if there is room; otherwise those at round positions (multiples of 2, 5, 10, 20, …), or the
        first row if there are none of these.
    size : float
        Font size in points, at which neighbouring labels do not touch.

    Examples
    --------
    >>> label_rows(range(182, 189), pitch=10.0)
    ([0, 1, 2, 3, 4, 5, 6], 8.0)
    >>> label_rows(range(182, 193), pitch=2.0)
    ([3, 8], 7.0)
    """
    smallest, usual, largest = 6.0, 7.0, 8.0
    if pitch >= smallest * _LINE:
        return list(range(len(positions))), min(largest, pitch / _LINE)
    steps = (digit * 10**power for power in range(12) for digit in (1, 2, 5))
    every = next(step for step in steps if step * pitch >= usual * _LINE)
    rows = [row for row, position in enumerate(positions) if position % every == 0]
    return rows or [0], usual


def _pieces(text: str, characters: Collection[int] | None) -> list[str]:
    missed = {place for spaces in _MISSED_SPACES.finditer(text) for place in range(*spaces.span())}
    if text.startswith(" ") and unicodedata.bidirectional(text.lstrip(" ")[:1] or " ") in {"R", "AL"}:
        missed.add(0)  # it is drawn on the right, where plots do not mark leading spaces
    pieces = [_piece(character, place in missed, characters) for place, character in enumerate(text)]
    base = "◌"  # carries an accent that has no letter
    if pieces and unicodedata.category(pieces[0][0]).startswith("M") and _can_draw(base, characters):
        pieces[0] = base + pieces[0]
    return pieces


def _piece(character: str, missed: bool, characters: Collection[int] | None) -> str:  # noqa: FBT001 (private)
    sign = "␣" if missed else _SIGNS.get(character, character)
    visible = sign == " " or unicodedata.category(sign) not in _INVISIBLE
    return sign if visible and _can_draw(sign, characters) else f"U+{ord(character):04X}"


def _can_draw(character: str, characters: Collection[int] | None) -> bool:
    return characters is None or ord(character) in characters


def _joined(pieces: Sequence[str]) -> str:
    """Join pieces, with a space on both sides of each code point number."""
    text = ""
    for before, piece in zip(["", *pieces], pieces, strict=False):
        apart = before and (_is_number(before) or _is_number(piece)) and " " not in (before, piece)
        text += f" {piece}" if apart else piece
    return text


def _is_number(piece: str) -> bool:
    return len(piece) > 4 and piece.startswith("U+")

"""Tokens as labels: what cannot be seen is made visible, what the font lacks is named, what is long is cut.

A token is data. No character of it may start a formula, break a line, reorder its neighbours or be drawn
as an empty box.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache

from matplotlib import font_manager

__all__ = ["font_characters", "led_label", "thin", "token_label", "visible_token"]

_LINE = 1.15  # height of a row over the size of its letters, at which accents and descenders stay apart

_LEFT_TO_RIGHT = "\u200e"

# Shown by a sign of their own; every other control character by its number.
_SIGNS = {"\n": "↵", "\t": "⇥"}

# Cc, Cf: control and format (zero-width joiners, writing direction); Cs: half of a surrogate pair;
# Cn, Co: not assigned, private; Zl, Zp, Zs: line breaks and the spaces that are not the plain one.
_UNSEEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp", "Zs"}

# A space that would be mistaken for nothing: at the end, or beside another. The one space that most words
# carry in front stays what it is, as in the published figures.
_LOST_SPACES = re.compile(r" {2,}| $")


def visible_token(text: str, characters: Collection[int] | None = None) -> str:
    r"""Write a token so that every character of it can be seen.

    Parameters
    ----------
    text : str
        A token as it was decoded.
    characters : collection of int, optional
        Code points that can be drawn. Others become ``U+65E5``. Without it, everything that is a
        letter, mark, number, punctuation or symbol is kept.

    Returns
    -------
    str
        One line without control characters: ``↵`` for a line break, ``⇥`` for a tab, ``␣`` for a space
        that nobody would see, ``U+0000`` for whatever has no form of its own. A single leading space
        before a word stays a space.

    Examples
    --------
    >>> visible_token(" deliber"), visible_token("\n\n"), visible_token("    "), visible_token("\x00")
    (' deliber', '↵↵', '␣␣␣␣', 'U+0000')
    >>> visible_token("日本", characters=range(128))
    'U+65E5 U+672C'
    """
    return _joined(_pieces(text, characters))


def token_label(text: str, characters: Collection[int] | None = None, *, width: int = 28) -> str:
    """Write a token as a tick label: visible, drawable, and at most ``width`` characters long."""
    pieces = _pieces(text[: width + 1], characters)  # no character takes less than one place
    if len(_joined(pieces)) <= width:
        return _joined(pieces)
    more = "…" if _draws("…", characters) else "..."
    while pieces and len(_joined(pieces)) + len(more) > width:
        pieces.pop()
    return _joined(pieces) + more


def led_label(lead: str, text: str, characters: Collection[int] | None = None) -> str:
    r"""Write a token behind a lead, such as its position, in that order from left to right.

    Of "3 " and an Arabic word a renderer that knows writing directions would make one run that begins on the
    right, and draw the 3 there. An invisible mark (U+200E) in front says where to begin; fonts that lack it
    are used without.

    Examples
    --------
    >>> led_label("3 ", " cat"), led_label("3 ", "\u05d0\u05d1")
    ('3  cat', '\u200e3 \u05d0\u05d1')
    """
    label = token_label(text, characters)
    turns = any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in label)
    return f"{_LEFT_TO_RIGHT if turns and _draws(_LEFT_TO_RIGHT, characters) else ''}{lead}{label}"


def thin(positions: Sequence[int], pitch: float) -> tuple[list[int], float]:
    """Choose the rows that get a label, and the size of the letters.

    Parameters
    ----------
    positions : sequence of int
        Positions of the tokens, one for each row.
    pitch : float
        Height of a row in points.

    Returns
    -------
    rows : list of int
        Every row where there is room; else those at round positions (multiples of 2, 5, 10, 20, …), and
        the first row where there are none of these.
    size : float
        Font size in points; letters of neighbouring labels do not touch.

    Examples
    --------
    >>> thin(range(182, 189), pitch=10.0)
    ([0, 1, 2, 3, 4, 5, 6], 8.0)
    >>> thin(range(182, 193), pitch=2.0)
    ([3, 8], 7.0)
    """
    smallest, common, largest = 6.0, 7.0, 8.0
    if pitch >= smallest * _LINE:
        return list(range(len(positions))), min(largest, pitch / _LINE)
    steps = (digit * 10**power for power in range(12) for digit in (1, 2, 5))
    every = next(step for step in steps if step * pitch >= common * _LINE)
    rows = [row for row, position in enumerate(positions) if position % every == 0]
    return rows or [0], common


def font_characters() -> frozenset[int]:
    """Code points that matplotlib's current font, or one of its fallbacks, can draw."""
    characters: frozenset[int] = frozenset()
    for family in font_manager.FontProperties().get_family():
        characters |= _characters_of(_font_file(family))
    return characters


def _font_file(family: str) -> str:
    # Matplotlib looks each family up by itself and passes over those that are not installed.
    wanted = font_manager.FontProperties(family=[family])
    try:
        return str(font_manager.findfont(wanted, fallback_to_default=False))
    except ValueError:
        return str(font_manager.findfont("DejaVu Sans"))


@lru_cache(maxsize=16)
def _characters_of(path: str) -> frozenset[int]:
    return frozenset(font_manager.get_font(path).get_charmap())


def _pieces(text: str, characters: Collection[int] | None) -> list[str]:
    lost = {place for spaces in _LOST_SPACES.finditer(text) for place in range(*spaces.span())}
    if text.startswith(" ") and unicodedata.bidirectional(text.lstrip(" ")[:1] or " ") in {"R", "AL"}:
        lost.add(0)  # it ends up on the right, where plots do not look for it
    pieces = [_piece(character, place in lost, characters) for place, character in enumerate(text)]
    holder = "◌"  # an accent needs a letter to sit on
    if pieces and unicodedata.category(pieces[0][0]).startswith("M") and _draws(holder, characters):
        pieces[0] = holder + pieces[0]
    return pieces


def _piece(character: str, lost: bool, characters: Collection[int] | None) -> str:  # noqa: FBT001 (private)
    sign = "␣" if lost else _SIGNS.get(character, character)
    seen = sign == " " or unicodedata.category(sign) not in _UNSEEN
    return sign if seen and _draws(sign, characters) else f"U+{ord(character):04X}"


def _draws(character: str, characters: Collection[int] | None) -> bool:
    return characters is None or ord(character) in characters


def _joined(pieces: Sequence[str]) -> str:
    """Put pieces together, with a space beside each number so that it can be read."""
    text = ""
    for before, piece in zip(["", *pieces], pieces, strict=False):
        apart = before and (_is_number(before) or _is_number(piece)) and " " not in (before, piece)
        text += f" {piece}" if apart else piece
    return text


def _is_number(piece: str) -> bool:
    return len(piece) > 4 and piece.startswith("U+")

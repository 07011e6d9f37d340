"""Characters that matplotlib's current fonts can draw."""

from __future__ import annotations

from functools import lru_cache

from matplotlib import font_manager

__all__ = ["font_characters"]


def font_characters() -> frozenset[int]:
    """Return the code points that matplotlib's current font or one of its fallbacks can draw."""
    characters: frozenset[int] = frozenset()
    for family in font_manager.FontProperties().get_family():
        characters |= _characters_of(_font_file(family))
    return characters


def _font_file(family: str) -> str:
    # Matplotlib searches each family separately and skips those that are not installed.
    wanted = font_manager.FontProperties(family=[family])
    try:
        return str(font_manager.findfont(wanted, fallback_to_default=False))
    except ValueError:
        return str(font_manager.findfont("DejaVu Sans"))


@lru_cache(maxsize=16)
def _characters_of(path: str) -> frozenset[int]:
    return frozenset(font_manager.get_font(path).get_charmap())

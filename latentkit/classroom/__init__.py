"""Exercises of the lessons: check an answer, ask for a hint, see the solution when you want it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentkit.classroom.environment import check_environment
    from latentkit.classroom.exercise import Exercise
    from latentkit.classroom.lesson_00 import settled_guess
    from latentkit.classroom.lesson_01 import whole_text
    from latentkit.classroom.lesson_02 import index_caption
    from latentkit.classroom.lesson_03 import place_among_others
    from latentkit.classroom.lesson_04 import caption_claims
    from latentkit.classroom.lesson_05 import floor_reached
    from latentkit.classroom.lesson_06 import laxest_threshold

__all__ = [
    "Exercise",
    "caption_claims",
    "check_environment",
    "floor_reached",
    "index_caption",
    "laxest_threshold",
    "place_among_others",
    "settled_guess",
    "whole_text",
]

_HOME = {
    "Exercise": "exercise",
    "caption_claims": "lesson_04",
    "check_environment": "environment",
    "floor_reached": "lesson_05",
    "index_caption": "lesson_02",
    "laxest_threshold": "lesson_06",
    "place_among_others": "lesson_03",
    "settled_guess": "lesson_00",
    "whole_text": "lesson_01",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

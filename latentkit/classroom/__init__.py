"""Exercises of the lessons: check an answer, ask for a hint, see the solution when you want it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentkit.classroom.environment import check_environment
    from latentkit.classroom.exercise import Exercise
    from latentkit.classroom.lesson_00 import settled_guess

__all__ = ["Exercise", "check_environment", "settled_guess"]

_HOME = {"Exercise": "exercise", "check_environment": "environment", "settled_guess": "lesson_00"}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

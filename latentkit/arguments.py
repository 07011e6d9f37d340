"""Checks of arguments: numbers, flags, names, texts and paths, for every public function.

Each check returns the value in its plain type, or raises an `ArgumentError` that names the argument, repeats
what was given and states what is allowed. Checks that need a model are in `latentkit.run.arguments`.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from latentkit.errors import ArgumentError, nearest

__all__ = [
    "confidence_level",
    "file_path",
    "flag",
    "is_name_of",
    "is_whole",
    "new_file",
    "one_of",
    "plain_text",
    "real_number",
    "shown_value",
    "whole_number",
]

_SHOWN = 200  # characters of a value that a message repeats


def shown_value(value: object) -> str:
    """Return ``repr(value)`` for a message, shortened if it is long."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  (a broken __repr__ must not hide the message)
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number of Python or numpy, and not a Boolean."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_name_of(value: object, known: Container[str]) -> bool:
    """Return whether a value is a string and one of the known names."""
    return isinstance(value, str) and value in known


def whole_number(name: str, value: object, *, least: int, most: int | None = None, or_none: str = "") -> int:
    """Return ``value`` as an int, or raise an `ArgumentError` that states the range."""
    if is_whole(value):
        number = operator.index(value)
        if number >= least and (most is None or number <= most):
            return number
    allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
    msg = f"{name} is {shown_value(value)}; pass a whole number {allowed}{or_none}."
    raise ArgumentError(msg)


def real_number(
    name: str,
    value: object,
    allowed: str,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return ``value`` as a finite float, or raise an `ArgumentError` that says what is ``allowed``."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number) and least <= number <= most and above < number < below:
            return number
    msg = f"{name} is {shown_value(value)}; pass {allowed}."
    raise ArgumentError(msg)


def confidence_level(value: object) -> float:
    """Return a checked confidence level."""
    return real_number("confidence", value, "a number between 0 and 1, such as 0.95", above=0, below=1)


def flag(name: str, value: object) -> bool:
    """Return ``value`` as a bool, or raise an `ArgumentError`."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    msg = f"{name} is {shown_value(value)}; pass True or False."
    raise ArgumentError(msg)


def one_of(name: str, value: Any, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of the known names, or raise an `ArgumentError` with the nearest one."""
    names = list(known)
    if isinstance(value, str) and value in names:
        return value
    msg = f"No {name} named {shown_value(value)}. {nearest(str(value)[:_SHOWN], names)}"
    raise ArgumentError(msg)


def plain_text(name: str, value: object, *, or_none: str = "") -> str:
    """Return ``value`` if it is a string, or raise an `ArgumentError`."""
    if isinstance(value, str):
        return value
    msg = f"{name} is {shown_value(value)}; pass a text{or_none}."
    raise ArgumentError(msg)


def file_path(name: str, value: object, example: str) -> Path:
    """Return ``value`` as a `Path`, or raise an `ArgumentError`."""
    if isinstance(value, (str, os.PathLike)) and str(value):
        path = os.fspath(value)
        if isinstance(path, str) and "\0" not in path:
            return Path(path)
    msg = f"{name} is {shown_value(value)}; pass the path of a file, such as {example!r}."
    raise ArgumentError(msg)


def new_file(name: str, value: object, example: str) -> Path:
    """Return ``value`` as the `Path` of a file in a folder that exists, or raise an `ArgumentError`."""
    path = file_path(name, value, example)
    if path.parent.is_dir():
        return path
    msg = f"There is no folder {path.parent} to save {path.name} in. Create it first."
    raise ArgumentError(msg)

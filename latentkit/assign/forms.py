"""Forms that an answer can have, and when two answers count as equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FORMS", "form_of", "same"]


def _number(value: Any) -> bool:
    return _plain(value) and not isinstance(_item(value), (bool, str))


def _whole(value: Any) -> bool:
    return _number(value) and float(_item(value)).is_integer()


def _plain(value: Any) -> bool:
    return isinstance(_item(value), (bool, int, float, str))


def _item(value: Any) -> Any:
    """Python's own number for a number of numpy, xarray or torch."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _several(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 1


FORMS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "whole number": ("a whole number, such as 7", _whole),
    "number": ("a number, such as 0.25", _number),
    "numbers": (
        "a list of numbers, such as [3, 0.5]",
        lambda value: _several(value) and all(map(_number, value)),
    ),
    "word": ('text in quotes, such as "the"', lambda value: isinstance(_item(value), str)),
    "words": (
        'a list of texts, such as ["the", "a"]',
        lambda value: _several(value) and all(isinstance(_item(each), str) for each in value),
    ),
    "function": ("a function", callable),
    "any": ("an answer", lambda value: value is not None),
    "text": ("a few sentences", lambda value: isinstance(value, str)),
}


def form_of(form: str, value: Any) -> str | None:
    """Return what is wrong with the form of an answer, or None.

    Examples
    --------
    >>> form_of("whole number", 7)
    >>> form_of("whole number", "seven")
    "The answer is a whole number, such as 7; this is 'seven'."
    """
    described, fits = FORMS[form]
    if value is None or value is ... or _does_nothing(value):
        return "Not attempted yet."
    if fits(value):
        return None
    shown = repr(value)
    return f"The answer is {described}; this is {shown if len(shown) < 80 else shown[:77] + '...'}."


def _nothing() -> None:
    return None


def _does_nothing(value: Any) -> bool:
    """Whether this is a function that only returns None, as the stubs of functions do."""
    code = getattr(value, "__code__", None)
    same_code = getattr(code, "co_code", None) == _nothing.__code__.co_code
    return same_code and getattr(code, "co_consts", None) == _nothing.__code__.co_consts


def same(given: Any, right: Any, tolerance: float = 0.0) -> bool:
    """Return whether two values count as equal; numbers may differ by a relative tolerance.

    Examples
    --------
    >>> same((1, 2.0), [1, 2.001], tolerance=0.01)
    True
    >>> same("1", 1)
    False
    """
    given, right = _item(given), _item(right)
    if isinstance(right, Mapping):
        return (
            isinstance(given, Mapping)
            and given.keys() == right.keys()
            and all(same(given[key], right[key], tolerance) for key in right)
        )
    if _several(right) or hasattr(right, "tolist"):
        return _same_lists(given, right, tolerance)
    if isinstance(right, (bool, str)) or isinstance(given, (bool, str)) or right is None or given is None:
        return type(given) is type(right) and bool(given == right)
    if isinstance(right, (int, float)) and isinstance(given, (int, float)):
        if math.isnan(right) or math.isnan(given):
            return math.isnan(right) and math.isnan(given)
        return math.isclose(given, right, rel_tol=tolerance, abs_tol=1e-12)
    return bool(given == right)


def _same_lists(given: Any, right: Any, tolerance: float) -> bool:
    ours, theirs = (value.tolist() if hasattr(value, "tolist") else value for value in (right, given))
    if isinstance(ours, (set, frozenset)):
        return isinstance(theirs, (set, frozenset)) and ours == theirs
    if not isinstance(theirs, (list, tuple)) or not isinstance(ours, (list, tuple)):
        return not isinstance(ours, (list, tuple)) and same(theirs, ours, tolerance)
    return len(ours) == len(theirs) and all(same(a, b, tolerance) for a, b in zip(theirs, ours, strict=True))

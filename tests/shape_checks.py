"""The whole suite runs with the shapes in signatures checked, such as `Float[Tensor, "token hidden"]`.

pytest's option `--jaxtyping-packages` in pyproject.toml names `check_shapes`. Within a test each function is
checked once for each combination of its arguments' shapes: a check takes longer than a step of a small model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import beartype
from jaxtyping import AbstractArray

_jaxtyped = jaxtyping.jaxtyped
_checked: set[tuple[Any, ...]] = set()


def check_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check the arrays of a function.

    Other arguments are not checked: a wrong one reaches the function's own check, whose message is tested.
    """
    hints = function.__annotations__
    function.__annotations__ = {name: hint for name, hint in hints.items() if _is_array(hint)}
    return beartype(function) if function.__annotations__ else function


def _is_array(hint: object) -> bool:
    """Return whether a hint is an array's shape, or a union or container with one."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(_is_array(part) for part in get_args(hint))


def check_new_shapes(function: Any = None, *, typechecker: Any) -> Any:
    """Decorate as `jaxtyping.jaxtyped` does; a call like one that has passed is not checked again."""
    if function is None:
        return functools.partial(check_new_shapes, typechecker=typechecker)
    checked = _jaxtyped(function, typechecker=typechecker)
    if isinstance(function, type):
        return checked

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        key = (function, *map(_kind, args), *kwargs, *map(_kind, kwargs.values()))
        if key in _checked:
            return function(*args, **kwargs)
        result = checked(*args, **kwargs)
        _checked.add(key)
        return result

    return call


def _kind(value: Any) -> Any:
    """Return an array's shape and type of numbers; any other object is its own kind."""
    shape = getattr(value, "shape", None)
    return (shape, getattr(value, "dtype", None)) if isinstance(shape, tuple) else id(value)


def check_from_here_on() -> None:
    """Check all functions anew; called before each test."""
    _checked.clear()


# The import hook looks this name up whenever it imports a module.
jaxtyping.jaxtyped = check_new_shapes

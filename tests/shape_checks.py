"""The whole suite runs with the shapes in signatures checked, such as `Float[Tensor, "token hidden"]`.

pytest's option `--jaxtyping-packages` in pyproject.toml names `check_shapes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray


def check_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check a function's arrays and nothing else.

    Only arrays, because a plain argument of a wrong type has to reach the function's own check: what the user
    then reads is under test.
    """
    hints = function.__annotations__
    function.__annotations__ = {name: hint for name, hint in hints.items() if _is_array(hint)}
    return beartype(function) if function.__annotations__ else function


def _is_array(hint: object) -> bool:
    """Say whether a jaxtyping shape stands in a hint, also inside a union or a container."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(_is_array(part) for part in get_args(hint))

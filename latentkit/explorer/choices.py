"""Trait types of an explorer, and the checks of their values against the data that it shows."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from latentkit.errors import ArgumentError, nearest
from latentkit.explorer.data import COLOURMAPS

__all__ = [
    "Real",
    "Whole",
    "check_limits",
    "check_name",
    "check_position",
    "check_range",
    "check_threshold",
]


class Whole(traitlets.Int[Any, Any]):
    """Whole number of any library: Python's, numpy's, or an array without dimensions."""

    def validate(self, obj: Any, value: Any) -> int:
        """Convert to ``int``; refuse fractions, truth values and texts."""
        del obj
        with contextlib.suppress(TypeError):
            return operator.index(np.asarray(value)[()])  # an array of truth values has no index
        what = f"{self.name} must be a whole number" if self.name else "token_range must be two whole numbers"
        msg = f"{what}, got {value!r}."
        raise ArgumentError(msg)


class Real(traitlets.Float[Any, Any]):
    """Real number of any library: Python's, numpy's, or an array without dimensions."""

    def validate(self, obj: Any, value: Any) -> float | None:
        """Convert to ``float``; refuse truth values and texts."""
        del obj
        if not isinstance(value, bool | str):
            with contextlib.suppress(TypeError, ValueError):
                return float(value)
        msg = f"{self.name} must be a number, got {value!r}."
        raise ArgumentError(msg)


def check_name(header: Mapping[str, Any], trait: str, value: str) -> str:
    """Refuse a name that this explorer does not offer, such as a variable that the trace lacks."""
    known = {
        "variable": [one["name"] for one in header["variables"]],
        "colormap": COLOURMAPS,
        "scale": ("", "log", "linear"),
        "criterion": ("", *(rule["name"] for rule in header["rules"])),
        "theme": ("auto", "light", "dark"),
    }[trait]
    if value not in known:
        msg = f"{trait} is {value!r}, which this explorer does not have. {nearest(value, known)}"
        raise ArgumentError(msg)
    return str(value)


def check_position(header: Mapping[str, Any], trait: str, value: int) -> int:
    """Refuse an iteration or a token that the first trace does not have."""
    axis = "column" if trait == "iteration" else "row"
    positions = header["panels"][0][f"{axis}s"]
    if value not in positions:
        what = header[axis].lower()
        msg = f"There is no {what} {value}; there are {min(positions)} to {max(positions)}."
        raise ArgumentError(msg)
    return value


def check_range(header: Mapping[str, Any], value: Sequence[int]) -> list[int]:
    """Refuse a range that extends beyond the tokens of the first trace or contains none of them."""
    rows = header["panels"][0]["rows"]
    low, high = min(rows), max(rows)
    if len(value) != 2 or not low <= value[0] <= value[1] <= high:
        needed = f"two of the tokens {low} to {high}, the lower one first"
        msg = f"token_range must be {needed}, got {list(value)!r}."
        raise ArgumentError(msg)
    if not any(value[0] <= row <= value[1] for row in rows):
        msg = f"token_range {list(value)!r} contains none of the tokens {', '.join(map(str, rows))}."
        raise ArgumentError(msg)
    return list(value)


def check_limits(vmin: float | None, vmax: float | None, *, log: bool) -> None:
    """Refuse ends of the colour scale that are not finite or not in order, and 0 on a logarithmic scale."""
    for name, value in (("vmin", vmin), ("vmax", vmax)):
        if value is not None and not math.isfinite(value):
            msg = f"{name} must be a finite number, or None for the automatic limit, got {value!r}."
            raise ArgumentError(msg)
        if value is not None and log and value <= 0:
            advice = "Pass scale='linear' to show 0."
            msg = f"{name} must be above 0 on a logarithmic scale, got {value!r}. {advice}"
            raise ArgumentError(msg)
    if vmin is not None and vmax is not None and vmin >= vmax:
        msg = f"vmin must be below vmax, got vmin={vmin!r} and vmax={vmax!r}."
        raise ArgumentError(msg)


def check_threshold(value: float | None) -> float | None:
    """Refuse a threshold below which no value can lie."""
    if value is not None and not 0 < value < math.inf:
        msg = f"threshold must be a finite number above 0, or None for the default, got {value!r}."
        raise ArgumentError(msg)
    return value

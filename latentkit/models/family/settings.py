"""Reads fields of a family's ``config.json`` and raises on values that the adapter does not support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentkit.errors import ModelError

__all__ = ["need_divisible", "real_fields", "refuse_others", "whole_fields"]

Config = Mapping[str, Any]


def whole_fields(config: Config, family: str, names: tuple[str, ...]) -> dict[str, int]:
    """Return the named fields; each must be an integer of at least 1."""
    _need(config, family, names)
    for name in names:
        value = config[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ModelError(f"The config says {name} = {value!r}; it must be a whole number of at least 1.")
    return {name: config[name] for name in names}


def real_fields(config: Config, family: str, names: tuple[str, ...]) -> dict[str, float]:
    """Return the named fields as floats; each must be a number above 0."""
    _need(config, family, names)
    for name in names:
        value = config[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise ModelError(f"The config says {name} = {value!r}; it must be a number above 0.")
    return {name: float(config[name]) for name in names}


def refuse_others(config: Config, family: str, only: Mapping[str, tuple[Any, ...]]) -> None:
    """Raise if a field is present and its value is not one that the adapter supports."""
    for name, values in only.items():
        if name in config and config[name] not in values:
            allowed = " or ".join(repr(value) for value in values)
            raise ModelError(
                f"The config says {name} = {config[name]!r}; the adapter for {family} covers {allowed}. "
                "This checkpoint is of another architecture."
            )


def need_divisible(larger: tuple[str, int], smaller: tuple[str, int]) -> None:
    """Raise if the first value (such as the number of heads) is not a multiple of the second (groups)."""
    if larger[1] % smaller[1]:
        raise ModelError(
            f"The config says {larger[0]} = {larger[1]} and {smaller[0]} = {smaller[1]}; the first must be "
            "divisible by the second."
        )


def _need(config: Config, family: str, names: tuple[str, ...]) -> None:
    if missing := [name for name in names if name not in config]:
        raise ModelError(
            f"The config lacks {', '.join(missing)}, which the config of {family} states. Is this "
            "config.json that of another kind of model?"
        )

"""What can be run: the contract, Huginn's architecture, the shipped nano, and `load_model`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentkit.models.contract import RecurrentModel
    from latentkit.models.loading import MODELS, load_model

__all__ = ["MODELS", "RecurrentModel", "load_model"]

_HOME = {"MODELS": "loading", "load_model": "loading", "RecurrentModel": "contract"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: training needs the architecture only."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

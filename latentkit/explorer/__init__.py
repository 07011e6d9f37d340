"""Widgets for notebooks: an explorer of traces and sliders over them, which need no model and no torch.

ipywidgets is imported with the first name that is used, not with the package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentkit.explorer.decoding import slide_decoding, slide_exits
    from latentkit.explorer.layers import slide_layer_kl
    from latentkit.explorer.model import ModelExplorer, explore_model
    from latentkit.explorer.sliders import slide_convergence, slide_readout
    from latentkit.explorer.trajectory import slide_trajectory
    from latentkit.explorer.widget import TraceExplorer, explore

__all__ = [
    "ModelExplorer",
    "TraceExplorer",
    "explore",
    "explore_model",
    "slide_convergence",
    "slide_decoding",
    "slide_exits",
    "slide_layer_kl",
    "slide_readout",
    "slide_trajectory",
]

_HOME = {
    "ModelExplorer": "model",
    "TraceExplorer": "widget",
    "explore": "widget",
    "explore_model": "model",
    "slide_convergence": "sliders",
    "slide_decoding": "decoding",
    "slide_exits": "decoding",
    "slide_layer_kl": "layers",
    "slide_readout": "sliders",
    "slide_trajectory": "trajectory",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

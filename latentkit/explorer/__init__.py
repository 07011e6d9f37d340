"""Widgets for notebooks: sliders over a trace, which need no model and no torch.

ipywidgets is imported with the first name that is used, not with the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentkit.explorer.sliders import slide_convergence, slide_readout

__all__ = ["slide_convergence", "slide_readout"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from latentkit.explorer import sliders

    return getattr(sliders, name)


def __dir__() -> list[str]:
    return sorted(__all__)

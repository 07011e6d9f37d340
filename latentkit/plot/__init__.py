"""Pictures from traces: each draws what it is given and hands back the matplotlib axes.

Matplotlib is imported with the first name that is used, not with the package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentkit.plot.accuracy import plot_accuracy
    from latentkit.plot.alt import alt_text, with_alt
    from latentkit.plot.colour import distance_limits
    from latentkit.plot.convergence import plot_convergence
    from latentkit.plot.decoding import plot_decoding
    from latentkit.plot.description import describe_convergence
    from latentkit.plot.distance import plot_distance
    from latentkit.plot.exits import plot_exits
    from latentkit.plot.labels import visible_token
    from latentkit.plot.layer_kl import plot_layer_kl, plot_layer_profile
    from latentkit.plot.layer_selection import describe_layer_kl, layer_kl_limits
    from latentkit.plot.rank import plot_rank
    from latentkit.plot.runs import plot_runs
    from latentkit.plot.settling import plot_settling
    from latentkit.plot.trajectory import plot_trajectory

__all__ = [
    "alt_text",
    "describe_convergence",
    "describe_layer_kl",
    "distance_limits",
    "layer_kl_limits",
    "plot_accuracy",
    "plot_convergence",
    "plot_decoding",
    "plot_distance",
    "plot_exits",
    "plot_layer_kl",
    "plot_layer_profile",
    "plot_rank",
    "plot_runs",
    "plot_settling",
    "plot_trajectory",
    "visible_token",
    "with_alt",
]

_HOME = {
    "alt_text": "alt",
    "describe_convergence": "description",
    "describe_layer_kl": "layer_selection",
    "distance_limits": "colour",
    "layer_kl_limits": "layer_selection",
    "plot_accuracy": "accuracy",
    "plot_convergence": "convergence",
    "plot_decoding": "decoding",
    "plot_exits": "exits",
    "plot_layer_kl": "layer_kl",
    "plot_layer_profile": "layer_kl",
    "plot_distance": "distance",
    "plot_settling": "settling",
    "plot_trajectory": "trajectory",
    "plot_rank": "rank",
    "plot_runs": "runs",
    "visible_token": "labels",
    "with_alt": "alt",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})

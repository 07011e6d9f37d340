"""Watch a language model think by repeating a block.

Every public name is imported when it is first asked for, so ``import latentkit`` is fast and a saved
trace can be opened and plotted where torch is not installed.

Examples
--------
>>> import latentkit as lk
>>> "load_model" in dir(lk)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and mypy see; tests/test_layers.py keeps it equal to the tables below
    from latentkit import classroom as classroom
    from latentkit import errors as errors
    from latentkit import measure as measure
    from latentkit import prompts as prompts
    from latentkit.errors import LatentkitError as LatentkitError
    from latentkit.explorer import TraceExplorer as TraceExplorer
    from latentkit.explorer import explore as explore
    from latentkit.explorer import explore_model as explore_model
    from latentkit.explorer import slide_convergence as slide_convergence
    from latentkit.explorer import slide_decoding as slide_decoding
    from latentkit.explorer import slide_exits as slide_exits
    from latentkit.explorer import slide_layer_kl as slide_layer_kl
    from latentkit.explorer import slide_readout as slide_readout
    from latentkit.explorer import slide_trajectory as slide_trajectory
    from latentkit.measure import compare_settling as compare_settling
    from latentkit.measure import contraction_rate as contraction_rate
    from latentkit.measure import exit_iteration as exit_iteration
    from latentkit.measure import measured_floor as measured_floor
    from latentkit.measure import noise_floor as noise_floor
    from latentkit.measure import principal_components as principal_components
    from latentkit.measure import readout_rank as readout_rank
    from latentkit.measure import settling_iteration as settling_iteration
    from latentkit.measure import token_slice as token_slice
    from latentkit.measure import trace_distance as trace_distance
    from latentkit.measure import trajectory_kind as trajectory_kind
    from latentkit.models import load_model as load_model
    from latentkit.plot import plot_accuracy as plot_accuracy
    from latentkit.plot import plot_convergence as plot_convergence
    from latentkit.plot import plot_decoding as plot_decoding
    from latentkit.plot import plot_distance as plot_distance
    from latentkit.plot import plot_exits as plot_exits
    from latentkit.plot import plot_layer_kl as plot_layer_kl
    from latentkit.plot import plot_layer_profile as plot_layer_profile
    from latentkit.plot import plot_rank as plot_rank
    from latentkit.plot import plot_runs as plot_runs
    from latentkit.plot import plot_settling as plot_settling
    from latentkit.plot import plot_trajectory as plot_trajectory
    from latentkit.run import run_decoding as run_decoding
    from latentkit.run import run_layer_kl as run_layer_kl
    from latentkit.run import run_lens as run_lens
    from latentkit.run import run_local_contraction as run_local_contraction
    from latentkit.run import run_path_independence as run_path_independence
    from latentkit.run import run_recurrence as run_recurrence
    from latentkit.trace import open_trace as open_trace
    from latentkit.trace import save_trace as save_trace
    from latentkit.training.curves import run_problems as run_problems

__version__ = "0.1.0"

_HOME = {
    "LatentkitError": "errors",
    "TraceExplorer": "explorer",
    "compare_settling": "measure",
    "contraction_rate": "measure",
    "exit_iteration": "measure",
    "explore": "explorer",
    "explore_model": "explorer",
    "load_model": "models",
    "measured_floor": "measure",
    "noise_floor": "measure",
    "open_trace": "trace",
    "plot_accuracy": "plot",
    "plot_convergence": "plot",
    "plot_decoding": "plot",
    "plot_distance": "plot",
    "plot_exits": "plot",
    "plot_layer_kl": "plot",
    "plot_layer_profile": "plot",
    "plot_rank": "plot",
    "plot_runs": "plot",
    "plot_settling": "plot",
    "plot_trajectory": "plot",
    "principal_components": "measure",
    "readout_rank": "measure",
    "run_decoding": "run",
    "run_layer_kl": "run",
    "run_lens": "run",
    "run_local_contraction": "run",
    "run_path_independence": "run",
    "run_problems": "training.curves",
    "run_recurrence": "run",
    "save_trace": "trace",
    "settling_iteration": "measure",
    "slide_convergence": "explorer",
    "slide_decoding": "explorer",
    "slide_exits": "explorer",
    "slide_layer_kl": "explorer",
    "slide_readout": "explorer",
    "slide_trajectory": "explorer",
    "token_slice": "measure",
    "trace_distance": "measure",
    "trajectory_kind": "measure",
}
_MODULES = ("classroom", "errors", "measure", "prompts")

__all__ = [*_HOME, *_MODULES, "__version__"]  # noqa: PLE0604  (they are strings; the rule cannot see it)


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562), or say which one was meant."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up is an ordinary one
        return value
    if name.startswith("__"):  # Python and its tools ask for these and expect a plain no
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from latentkit.errors import nearest

    raise AttributeError(f"latentkit has no {name!r}. {nearest(name, [*_HOME, *_MODULES])}")


def __dir__() -> list[str]:
    return sorted(__all__)

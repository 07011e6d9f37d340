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
    from latentkit import prompts as prompts
    from latentkit.errors import LatentkitError as LatentkitError
    from latentkit.explorer import slide_convergence as slide_convergence
    from latentkit.explorer import slide_readout as slide_readout
    from latentkit.measure import exit_iteration as exit_iteration
    from latentkit.measure import readout_rank as readout_rank
    from latentkit.models import load_model as load_model
    from latentkit.plot import plot_convergence as plot_convergence
    from latentkit.plot import plot_decoding as plot_decoding
    from latentkit.plot import plot_exits as plot_exits
    from latentkit.plot import plot_layer_kl as plot_layer_kl
    from latentkit.plot import plot_layer_profile as plot_layer_profile
    from latentkit.plot import plot_rank as plot_rank
    from latentkit.run import run_decoding as run_decoding
    from latentkit.run import run_layer_kl as run_layer_kl
    from latentkit.run import run_lens as run_lens
    from latentkit.run import run_recurrence as run_recurrence
    from latentkit.trace import open_trace as open_trace
    from latentkit.trace import save_trace as save_trace

__version__ = "0.1.0"

_HOME = {
    "LatentkitError": "errors",
    "exit_iteration": "measure",
    "load_model": "models",
    "open_trace": "trace",
    "plot_convergence": "plot",
    "plot_decoding": "plot",
    "plot_exits": "plot",
    "plot_layer_kl": "plot",
    "plot_layer_profile": "plot",
    "plot_rank": "plot",
    "readout_rank": "measure",
    "run_decoding": "run",
    "run_layer_kl": "run",
    "run_lens": "run",
    "run_recurrence": "run",
    "save_trace": "trace",
    "slide_convergence": "explorer",
    "slide_readout": "explorer",
}
_MODULES = ("classroom", "errors", "prompts")

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

"""Watch a language model think by repeating a block.

Every public name is imported when it is first asked for, so ``import latentkit`` is fast and a saved
trace can be opened and plotted where torch is not installed.

Examples
--------
>>> import latentkit as lk
>>> "load_model" in dir(lk)
True
"""

import lazy_loader

from latentkit.threads import sleep_while_waiting

__version__ = "0.1.0"

sleep_while_waiting()  # before torch is loaded

# The public names stand in __init__.pyi, once, for this module and for editors and mypy.
_load, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*_names, "__version__"]  # noqa: PLE0604  (they are strings; the rule cannot see it)


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562); an unknown name gets an error with the nearest one."""
    if name in _names or name.startswith("__"):
        return _load(name)
    from latentkit.errors import nearest

    raise AttributeError(f"latentkit has no {name!r}. {nearest(name, sorted(_names))}")

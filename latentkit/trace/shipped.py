"""Results of real models that the package ships: opened by name, without a model and without a network."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from latentkit.arguments import is_name_of
from latentkit.errors import ArgumentError, nearest
from latentkit.trace.files import open_trace

__all__ = ["examples", "open_example"]

_FOLDER = Path(__file__).parent / "shipped_results"


def examples() -> list[str]:
    """Return the names of the results that come with the package.

    ``benchmarks/shipped_results.py`` makes them: for SmolLM2-135M-Instruct the effect of each layer, its lens
    and the difference to another prompt, on a fact, on the question about *Faust* (``…_faust``) and on a sum
    (``…_arithmetic``).

    Examples
    --------
    >>> "smollm2_layer_effect" in examples()
    True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.nc"))


def open_example(name: str) -> xr.Dataset:
    """Open a result of a real model that comes with the package.

    Parameters
    ----------
    name : str
        One of `examples`.

    Returns
    -------
    Dataset
        As the ``run_*`` function gave it; its attributes name the model, the prompt and the weights.

    Raises
    ------
    ArgumentError
        If there is none of this name.

    Examples
    --------
    >>> result = open_example("smollm2_layer_effect")
    >>> result.attrs["model"], dict(result.sizes)
    ('smollm2', {'layer': 30, 'generated_token': 5})
    """
    known = examples()
    if not is_name_of(name, known):
        msg = f"No example named {name!r}. {nearest(str(name), known)}"
        raise ArgumentError(msg)
    return open_trace(_FOLDER / f"{name}.nc")

"""Check a dataset against the table of its kind."""

from __future__ import annotations

import xarray as xr

from latentkit.arguments import is_name_of
from latentkit.errors import TraceError, nearest
from latentkit.trace.kinds import KINDS, Kind, Variable

__all__ = ["check_trace", "need_dataset", "need_dim", "trace_kind"]

_DTYPES = {"float": "fiu", "int": "iu", "bool": "b", "text": "OUT"}  # numpy's letters


def trace_kind(trace: xr.Dataset) -> Kind:
    """Return the kind of a trace, which its attribute ``kind`` names.

    Raises
    ------
    TraceError
        If it is not a dataset, or has no known kind.
    """
    advice = "Pass the result of a `run_*` function"
    need_dataset(trace, advice)
    name = trace.attrs.get("kind")
    if name is None:
        msg = (
            f"This dataset has no attribute 'kind', so it is not a trace. {advice}, or name the kind of a "
            "dataset of your own, as in dataset.assign_attrs(kind='recurrence')."
        )
        raise TraceError(msg)
    if name not in KINDS:
        msg = f"No kind of trace is named {name!r}. {nearest(str(name), KINDS)}"
        raise TraceError(msg)
    return KINDS[name]


def need_dataset(
    trace: xr.Dataset, advice: str = "Pass the result of a `run_*` function", *, name: str = ""
) -> None:
    """Raise a `TraceError` unless a trace is a dataset; the message holds the argument's name if given."""
    if not isinstance(trace, xr.Dataset):
        place = f" as {name}" if name else ""
        msg = f"Expected a trace (an xarray.Dataset){place}, got {type(trace).__name__}. {advice}."
        raise TraceError(msg)


def check_trace(trace: xr.Dataset) -> xr.Dataset:
    """Return the dataset unchanged if it is a trace, else raise an error that states the difference.

    Parameters
    ----------
    trace : Dataset
        From a ``run_*`` function, or assembled by hand with the attribute ``kind``.

    Returns
    -------
    Dataset
        The same object.

    Raises
    ------
    TraceError
        If it is not a dataset, has no known kind, lacks a required variable of its kind, or has one with
        other dimensions or another dtype.
    """
    kind = trace_kind(trace)
    if kind.name == "sweep":
        of = trace_kind(xr.Dataset(attrs={"kind": trace.attrs.get("of")}))
        present = {name: each for name, each in of.variables(trace.attrs).items() if name in trace.variables}
        for name, variable in present.items():
            _check_variable(kind, name, variable, trace[name].isel(prompt=0, missing_dims="ignore"))
        return trace
    table = kind.variables(trace.attrs)
    if missing := [name for name, one in table.items() if one.required and name not in trace.variables]:
        msg = (
            f"A trace of the kind {kind.name!r} has {', '.join(missing)}, which this dataset lacks. Pass the "
            f"result of {kind.function}."
        )
        raise TraceError(msg)
    for name, variable in table.items():
        if name in trace.variables:
            _check_variable(kind, name, variable, trace[name])
    return trace


def _check_variable(kind: Kind, name: str, expected: Variable, found: xr.DataArray) -> None:
    # A coordinate becomes a scalar when one value of its dimension is selected.
    if found.dims not in expected.all_dims and not (expected.coordinate and found.dims == ()):
        leading = expected.leading
        several = f", with several {leading}s {leading!r} in front" if leading else ""
        msg = (
            f"The variable {name} has the dimensions {found.dims}; in a trace of the kind {kind.name!r} it "
            f"has {expected.dims}{several}. Transpose it, or keep its dimensions in a selection."
        )
        raise TraceError(msg)
    if found.dtype.kind not in _DTYPES[expected.dtype]:
        msg = (
            f"The variable {name} has the dtype {found.dtype}; in a trace of the kind {kind.name!r} it holds "
            f"{expected.dtype} values. Convert it with `.astype`."
        )
        raise TraceError(msg)


def need_dim(data: xr.Dataset | xr.DataArray, dim: str, advice: str) -> None:
    """Raise a `TraceError` that ends with ``advice`` unless ``data`` has the dimension ``dim``."""
    dims = getattr(data, "dims", None)
    if dims is None:
        given = type(data).__name__
        raise TraceError(f"Expected values with labels (an xarray.DataArray), got {given}. {advice}")
    if not is_name_of(dim, dims):
        msg = f"Expected a dimension {dim!r}, got {tuple(data.dims)}. {advice}"
        raise TraceError(msg)

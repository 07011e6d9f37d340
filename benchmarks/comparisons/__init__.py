"""Comparisons of `benchmarks.bench`: each takes ``quick`` and returns the rows of its table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.comparisons.pages import engine, explorer
from benchmarks.comparisons.row import Row
from benchmarks.comparisons.runs import cached, layers, one_trace, tracing
from benchmarks.comparisons.starts import kernels, sizes, starting

__all__ = ["COMPARISONS", "Row"]

#: By name, in the order of the table.
COMPARISONS: dict[str, Callable[..., list[Row]]] = {
    each.__name__: each
    for each in (tracing, one_trace, cached, layers, explorer, kernels, engine, starting, sizes)
}

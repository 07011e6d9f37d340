"""What a trace is: its kinds, their dimensions and variables; how it is built, checked, saved and opened.

A trace is a plain `xarray.Dataset` whose attribute ``kind`` is a key of `KINDS`, so ``.sel``, ``.plot`` and
``.to_dataframe`` work as usual. This package does not need torch: a trace made on a GPU opens on any laptop.
"""

from __future__ import annotations

from latentkit.trace.checking import check_trace, need_dim, trace_kind
from latentkit.trace.files import open_trace, save_trace
from latentkit.trace.kinds import KINDS, Kind, Variable, build_trace
from latentkit.trace.shipped import examples, open_example
from latentkit.trace.stores import select_prompt

__all__ = [
    "KINDS",
    "Kind",
    "Variable",
    "build_trace",
    "check_trace",
    "examples",
    "need_dim",
    "open_example",
    "open_trace",
    "save_trace",
    "select_prompt",
    "trace_kind",
]

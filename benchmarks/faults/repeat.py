"""Run the same trace with 1 and 2 threads and in other processes, and compare all values.

    python -m benchmarks.faults.repeat

Runs with the same number of threads must be identical, in this process and in another. With another number
of threads, sums are made in another order: distances may differ by 5e-6 of the largest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import xarray as xr

import latentkit as lk

RUN = """
import sys
import latentkit as lk
from benchmarks.faults.repeat import traced
lk.save_trace(traced(), sys.argv[1])
"""


def traced() -> xr.Dataset:
    """Return a trace of nano with states and readouts."""
    words = "The cat sat on the mat and looked at the moon. " * 3
    return lk.run_recurrence(lk.load_model("nano"), words, iterations=64, keep_states=True, progress=False)


def elsewhere(folder: Path, threads: int) -> xr.Dataset:
    """Return the trace of another process."""
    path = folder / f"{threads}.nc"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-c", RUN, str(path)], env=environment, check=True)
    return lk.open_trace(path)


def apart(one: xr.Dataset, two: xr.Dataset) -> str:
    """Return how far two traces are apart."""
    if one.identical(two):
        return "identical"
    found = []
    for name, values in one.variables.items():
        if values.dtype.kind == "f":
            gap = np.nanmax(np.abs(values.values - two[name].values)) / np.nanmax(np.abs(values.values))
            found.append(f"{name} {gap:.1e}")
        elif not np.array_equal(values.values, two[name].values):
            found.append(f"{name} DIFFERS in {int((values.values != two[name].values).sum())}")
    return ", ".join(found)


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # `load_model` then leaves the number of threads alone
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            runs[f"{threads} thread(s), here"] = traced()
            runs[f"{threads} thread(s), again"] = traced()
            runs[f"{threads} thread(s), another process"] = elsewhere(Path(folder), threads)
    for (one, a), (two, b) in pairwise(runs.items()):
        print(f"{one} | {two}: {apart(a, b)}")


if __name__ == "__main__":
    main()

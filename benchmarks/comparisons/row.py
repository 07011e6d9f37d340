"""A row of the table, and measuring two sides in turn."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Row", "alternate", "python_seconds"]


class Row(NamedTuple):
    """One comparison.

    Attributes
    ----------
    what : str
        What was done.
    ours, other : list of float
        Measurements of latentkit, and of what stands beside it; the latter may be empty.
    unit : str
    other_name : str
    aim : str
        The aim that the project states, if it does.
    costs : bool
        Whether latentkit does more than the other side, so that the ratio is a price.
    """

    what: str
    ours: list[float]
    other: list[float]
    unit: str = "s"
    other_name: str = ""
    aim: str = ""
    costs: bool = False


def alternate(
    one: Callable[[], Any], other: Callable[[], Any], rounds: int
) -> tuple[list[float], list[float]]:
    """Return the seconds of both, measured in turn after one round of warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for kept, run in zip(times, (one, other), strict=True):
            begin = time.perf_counter()
            run()
            if turn:
                kept.append(time.perf_counter() - begin)
    return times


def python_seconds(code: str, rounds: int) -> list[float]:
    """Return the seconds that a new Python process takes for some code, after one to warm the disk up."""
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    return times[1:]

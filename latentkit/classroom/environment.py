"""Whether this computer has what the lessons need, in one sentence."""

from __future__ import annotations

import platform
import subprocess
import sys

import latentkit as lk
from latentkit.classroom.card import Card

__all__ = ["check_environment"]


def check_environment() -> Card:
    """Ask the doctor, as ``latentkit doctor`` on the command line, and say what it found.

    Returns
    -------
    Card
        One sentence if all is well; else each thing that is missing, with what to type.

    Notes
    -----
    The doctor runs in a process of its own, with this notebook's Python.
    """
    command = [sys.executable, "-m", "latentkit.cli", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    if done.returncode == 0:
        return Card(
            "All is well",
            f"latentkit {lk.__version__} on Python {platform.python_version()}: "
            f"{sum(row[0] == 'ok' for row in rows)} checks passed, and nano is on board.",
            "#2a7f3f",
        )
    broken = [row[1] for row in rows if row[0] == "FAIL"]
    if not broken:  # the doctor itself did not get that far
        broken = [done.stderr.strip() or "The doctor said nothing."]
    return Card("Something is missing", "\n".join(["", *broken]), "#b45309")

"""Check whether this computer has what the lessons need."""

from __future__ import annotations

import platform
import subprocess
import sys

import latentkit as lk
from latentkit.classroom.card import Card

__all__ = ["check_environment"]


def check_environment() -> Card:
    """Run ``latentkit doctor`` and return its result.

    Returns
    -------
    Card
        One sentence if all checks pass; otherwise each missing part, with the command that installs it.

    Notes
    -----
    The doctor runs in a subprocess, with this notebook's Python.
    """
    command = [sys.executable, "-m", "latentkit.cli", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (fixed command)
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    if done.returncode == 0:
        return Card(
            "All is well",
            f"latentkit {lk.__version__} on Python {platform.python_version()}: "
            f"{sum(row[0] == 'ok' for row in rows)} checks passed, and nano is installed.",
            "#2a7f3f",
        )
    broken = [row[1] for row in rows if row[0] == "FAIL"]
    if not broken:  # the doctor itself failed
        broken = [done.stderr.strip() or "The doctor gave no message."]
    return Card("Something is missing", "\n".join(["", *broken]), "#b45309")

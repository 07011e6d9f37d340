"""What a teacher asks before class: memory per student, cores, network, widgets, browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal, NamedTuple

from latentkit.errors import ArgumentError
from latentkit.threads import available_cores

__all__ = ["Measured", "class_findings", "measure_student"]

# What a student's kernel does in the first lesson, with every connection refused.
_STUDENT = """
import json, socket, sys, time
def refuse(*_): raise OSError("no network")
socket.socket.connect = refuse
import latentkit as lk
import latentkit.explorer, latentkit.sliders, matplotlib.pyplot
model = lk.load_model("nano")
lk.run_recurrence(model, "She opened the door", iterations=4, progress=False)
start = time.perf_counter()
trace = lk.run_recurrence(model, "She opened the door and saw a", iterations=64, progress=False)
lk.plot_convergence(trace)
import psutil
memory = psutil.Process().memory_info().rss
json.dump({"memory": memory, "seconds": time.perf_counter() - start}, sys.stdout)
"""
# JupyterLab and the server, per student, when each student has a server of their own (JupyterHub).
_SERVER = 150e6

Row = tuple[Literal["ok", "note", "FAIL"], str, str]


class Measured(NamedTuple):
    """Memory of one student's kernel in bytes, and seconds for one trace and its picture."""

    memory: float
    seconds: float


def measure_student() -> Measured | str:
    """Run what a student runs in the first lesson, without a network, and measure it.

    Returns
    -------
    Measured or str
        The measurement, or what went wrong.
    """
    command = [sys.executable, "-c", _STUDENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (fixed command)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Measured(found["memory"], found["seconds"])


def class_findings(
    students: int, *, measured: Measured | str | None = None, available: float | None = None
) -> list[Row]:
    """Return the doctor's rows for a class.

    Parameters
    ----------
    students : int
        How many work at the same time on this computer; 1 for a laptop each.
    measured : Measured or str, optional
        By default `measure_student` is called.
    available : float, optional
        Free memory in bytes; by default this computer's.

    Returns
    -------
    list of tuple
        Verdict ("ok", "note" or "FAIL"), subject, finding.

    Raises
    ------
    ArgumentError
        If ``students`` is not positive.
    """
    if students < 1:
        raise ArgumentError(f"The number of students must be at least 1, got {students}.")
    found = measure_student() if measured is None else measured
    if isinstance(found, str):
        return [("FAIL", "a student's kernel", f"the first lesson stops: {found}"), _widgets(), _browser()]
    return [
        ("ok", "without network", "nano loads and runs with every connection refused"),
        _memory(students, found, available),
        _cores(students, found),
        _widgets(),
        _browser(),
    ]


def _memory(students: int, found: Measured, available: float | None) -> Row:
    import psutil

    free = float(psutil.virtual_memory().available) if available is None else available
    each = found.memory + (_SERVER if students > 1 else 0)
    needed = students * each
    text = f"{each / 1e6:.0f} MB each, {needed / 1e9:.1f} GB for {students}; free: {free / 1e9:.1f} GB"
    if needed > free:
        return "FAIL", "memory", f"{text}: enough for {int(free // each)}. Close notebooks or split the class"
    return "ok" if needed < 0.8 * free else "note", "memory", text


def _cores(students: int, found: Measured) -> Row:
    cores = available_cores()
    wait = found.seconds * max(students / cores, 1.0)
    text = (
        f"{cores} cores; a trace takes {found.seconds:.1f} s alone, {wait:.0f} s if {students} start at once"
    )
    advice = ". Let them start in turns, or hand out traces made before" if wait > 30 else ""
    return "note" if wait > 30 else "ok", "cores", text + advice


def _widgets() -> Row:
    from importlib.util import find_spec

    if find_spec("jupyter_core") is None:
        return "note", "widgets", "JupyterLab is not installed; run: pip install 'latentkit[lab]'"
    from jupyter_core.paths import jupyter_path

    wanted = {"anywidget": "anywidget", "ipywidgets": "@jupyter-widgets/jupyterlab-manager"}
    folders = [Path(path) for path in jupyter_path("labextensions")]
    missing = [name for name, place in wanted.items() if not any((each / place).is_dir() for each in folders)]
    if missing:
        names = " ".join(missing)
        return "FAIL", "widgets", f"JupyterLab lacks extensions. Run: pip install --force-reinstall {names}"
    return "ok", "widgets", "JupyterLab has the extensions of anywidget and ipywidgets"


def _browser() -> Row:
    names = ("firefox", "chromium", "chromium-browser", "google-chrome", "microsoft-edge", "open", "start")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None and sys.platform == "win32":
        found = "the system's"
    missing = "none found; students of a hub use their own"
    return ("ok", "browser", found) if found else ("note", "browser", missing)

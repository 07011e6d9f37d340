"""The command line: `latentkit lab | reset | doctor | assign | slides | …`; `latentkit --help` lists all.

Each command imports what it needs, so `latentkit --help` and error messages are fast.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import latentkit as lk
from latentkit.errors import LatentkitError
from latentkit.threads import CHOSEN_BY, available_cores

__all__ = ["main"]

LESSONS = "latentkit-lessons"  # folder of the reader's copies, in the current folder
NANO_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

# On its first start JupyterLab asks whether it may download its news. This setting answers no, because the
# lessons need no network; users can change it in JupyterLab's settings.
LAB_DEFAULTS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}

WITHOUT_PARSER = {"lab", "reset", "doctor"}  # commands that read their few arguments themselves


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after ``latentkit``; by default those of the shell. Arguments after the command's name are
        passed on unchanged: ``latentkit lab --port=8889`` passes ``--port=8889`` to JupyterLab.

    Returns
    -------
    int
        0 for success, 1 if `doctor` found a problem, 2 if the command failed.
    """
    parser = argparse.ArgumentParser(
        prog="latentkit",
        description="Watch a language model think by repeating a block.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:12}{run.__doc__}" for name, run in COMMANDS.items()),
    )
    parser.add_argument("--version", action="version", version=f"latentkit {lk.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="command", help=" | ".join(COMMANDS))
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="arguments of the command")
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = parser.parse_args(words or ["--help"])
    if arguments.command in WITHOUT_PARSER and arguments.rest in (["-h"], ["--help"]):
        print(COMMANDS[arguments.command].__doc__)
        return 0
    try:
        return COMMANDS[arguments.command](arguments.rest)
    except LatentkitError as error:
        print(f"latentkit {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # a shell's exit status for a program ended by Ctrl-C


def _lab(argv: list[str]) -> int:
    """Open copies of the lessons in JupyterLab: latentkit lab [folder] [options of JupyterLab]."""
    from latentkit.lessons import lay_lessons

    named = argv[:1] if argv and not argv[0].startswith("-") else []
    folder = Path(*named or [LESSONS]).resolve()
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise LatentkitError(
            "JupyterLab is not installed here. Install it with: pip install 'latentkit[lab]'"
        ) from None
    laid = lay_lessons(folder)
    print(f"Your copies of the lessons are in {folder}. They are never overwritten.")
    for name in laid.outdated:
        print(f"{name} has a newer version: `latentkit reset {name}` lays it and keeps your copy.")
    options = [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{laid.first}"]
    options.append("--LabApp.extension_manager=readonly")  # its list of extensions needs a network
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # containers often run as root, which JupyterLab refuses
    with TemporaryDirectory(prefix="latentkit-lab-") as settings:
        Path(settings, "overrides.json").write_text(json.dumps(LAB_DEFAULTS), encoding="utf-8")
        LabApp.launch_instance([*options, f"--LabApp.app_settings_dir={settings}", *argv[len(named) :]])
    return 0


def _reset(argv: list[str]) -> int:
    """Lay one lesson anew and keep the changed copy: latentkit reset 02 [folder]."""
    from latentkit.lessons import lay_lesson_anew

    if not 1 <= len(argv) <= 2 or argv[0].startswith("-"):
        raise LatentkitError(
            "Name one lesson and, if it is not the usual one, its folder: latentkit reset 02"
        )
    folder = Path(argv[1]) if argv[1:] else Path(LESSONS)
    laid, kept = lay_lesson_anew(argv[0], folder.resolve())
    print(f"{laid} is as it was at first." + (f" Your changed copy is {kept.name}." if kept else ""))
    return 0


@dataclass
class Finding:
    """One line of the doctor's table."""

    verdict: Literal["ok", "note", "FAIL"]
    what: str
    found: str


def _doctor(argv: list[str]) -> int:
    """Check this computer; `latentkit doctor --students 30` checks whether it serves a class."""
    students = _students(argv)
    findings = [
        _python(),
        *_packages(),
        _jupyterlab(),
        _device(),
        _threads(),
        _nano(),
        _lessons_found(),
        _chromium(),
    ]
    if students:
        from latentkit.assign.teaching.readiness import class_findings

        findings += [Finding(*row) for row in class_findings(students)]
    width = max(len(finding.what) for finding in findings)
    print(f"latentkit {lk.__version__} in {Path(__file__).parent}\n")
    for finding in findings:
        print(f"  {finding.verdict:4}  {finding.what:{width}}  {finding.found}")
    broken = sum(finding.verdict == "FAIL" for finding in findings)
    print(f"\n{broken} of {len(findings)} checks failed." if broken else "\nAll is well.")
    return 1 if broken else 0


def _students(argv: list[str]) -> int:
    """Read the doctor's only option."""
    match argv:
        case []:
            return 0
        case ["--students", number] if number.isdecimal():
            return int(number)
    raise LatentkitError(f"doctor takes only --students and a number, got {' '.join(argv)!r}.")


def _python() -> Finding:
    return Finding("ok", "Python", f"{sys.version.split()[0]} at {sys.executable}")


def _packages() -> Iterator[Finding]:
    """Compare the installed packages with the requirements in latentkit's metadata."""
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(line) for line in metadata.requires("latentkit") or ()]
    except metadata.PackageNotFoundError:
        yield Finding("FAIL", "latentkit", "not installed in this Python. Run: pip install -e '.[lab]'")
        return
    for requirement in asked:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue  # belongs to an extra
        wanted = f"{requirement.name}{requirement.specifier}"
        found = _version(requirement.name)
        if found and requirement.specifier.contains(found, prereleases=True):
            yield Finding("ok", requirement.name, found)
        else:
            state = f"{found} is too old" if found else "not installed"
            yield Finding("FAIL", requirement.name, f"{state}. Run: pip install '{wanted}'")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _jupyterlab() -> Finding:
    found = _version("jupyterlab")
    advice = "not installed; to open the lessons run: pip install 'latentkit[lab]'"
    return Finding("ok" if found else "note", "jupyterlab", found or advice)


def _device() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library of torch does not run here
        return Finding("FAIL", "torch's device", f"torch cannot be imported: {error}")
    if torch.cuda.is_available():
        return Finding("ok", "torch's device", f"cuda, {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Finding("ok", "torch's device", "mps")
    return Finding("ok", "torch's device", "cpu: enough for every lesson")


def _threads() -> Finding:
    cores = f"{available_cores()} cores for this process"
    chosen = [f"{name}={os.environ[name]}" for name in CHOSEN_BY if name in os.environ]
    number = f"threads set by {', '.join(chosen)}" if chosen else "threads follow the model's size"
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE":
        return Finding("ok", "threads", f"{cores}; {number}; waiting threads sleep")
    advice = "waiting threads spin and slow down other kernels. Set OMP_WAIT_POLICY=PASSIVE"
    return Finding("note", "threads", f"{cores}; {number}; {advice}")


def _nano() -> Finding:
    folder = Path(__file__).parent / "models" / "nano"
    missing = [name for name in NANO_FILES if not (folder / name).is_file()]
    if missing:
        return Finding("FAIL", "nano", f"{', '.join(missing)} missing in {folder}. Install latentkit again.")
    megabytes = (folder / "model.safetensors").stat().st_size / 1e6
    return Finding("ok", "nano", f"{megabytes:.1f} MB of weights included in the package")


def _lessons_found() -> Finding:
    from latentkit.lessons import lesson_folder

    try:
        return Finding("ok", "lessons", str(lesson_folder()))
    except LatentkitError as error:
        return Finding("note", "lessons", str(error))


def _chromium() -> Finding:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return Finding("ok" if found else "note", "Chromium", found or "absent; only the browser tests need it")


def _evaluate(argv: list[str]) -> int:
    """Compute the figures of a model card: latentkit evaluate nano."""
    from latentkit.training.evaluation import evaluate

    return evaluate.main(argv) or 0


def _train(argv: list[str]) -> int:
    """Train a model; see `latentkit train --help`."""
    from latentkit.training import cli

    return cli.main(argv) or 0


def _sweep(argv: list[str]) -> int:
    """Run one function on many prompts of a table; see `latentkit sweep --help`."""
    from latentkit.run.sweep import cli

    return cli.main(argv)


def _assign(argv: list[str]) -> int:
    """Make, repair, grade and report assignments; see `latentkit assign --help`."""
    from latentkit.assign import cli

    return cli.main(argv)


def _wheelhouse(argv: list[str]) -> int:
    """Collect a folder of wheels for computers without a network."""
    from latentkit.assign.teaching import wheelhouse

    return wheelhouse.main(argv)


def _slides(argv: list[str]) -> int:
    """Make slides from a lesson: latentkit slides 02."""
    from latentkit.assign.teaching import slides

    return slides.main(argv)


def _page(argv: list[str]) -> int:
    """Save a page in which nano runs, without a network; see `latentkit page --help`."""
    from latentkit.explorer.live import page_command

    print(page_command(argv))
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "lab": _lab,
    "reset": _reset,
    "doctor": _doctor,
    "page": _page,
    "evaluate": _evaluate,
    "sweep": _sweep,
    "train": _train,
    "assign": _assign,
    "slides": _slides,
    "wheelhouse": _wheelhouse,
}

if __name__ == "__main__":
    sys.exit(main())

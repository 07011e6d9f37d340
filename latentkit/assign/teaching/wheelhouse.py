"""A folder of wheels, from which the kit is installed without a network."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from latentkit.errors import FileError

__all__ = ["main", "make_wheelhouse"]

# What pip needs to build the kit itself from its folder, which `make lab` does.
_BUILD = ("pip", "hatchling", "editables")


def make_wheelhouse(
    folder: Path, *, source: Path | None = None, extra: str = "lab", options: Sequence[str] = ()
) -> list[str]:
    """Collect the wheels of the kit and of all it needs, for this system and this version of Python.

    Parameters
    ----------
    folder : Path
        Where to put them, such as a USB stick.
    source : Path, optional
        Folder of the project, with pyproject.toml and constraints.txt; by default the current one.
    extra : str, optional
        Extra of the kit: "lab" for lessons, "classroom" for graders too.
    options : sequence of str, optional
        Further options for pip, such as ``--extra-index-url``.

    Returns
    -------
    list of str
        Names of the wheels.

    Raises
    ------
    FileError
        If there is no project, or pip fails.
    """
    project = Path.cwd() if source is None else source
    if not (project / "pyproject.toml").is_file():
        raise FileError(f"{project} has no pyproject.toml. Start this in the folder of the project.")
    folder.mkdir(parents=True, exist_ok=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "--wheel-dir",
        str(folder),
        *options,
    ]
    constraints = ["--constraint", str(project / "constraints.txt")]
    for wanted in ([*constraints, f"{project}[{extra}]"], list(_BUILD)):
        done = subprocess.run([*pip, *wanted], check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            last = "\n".join(done.stderr.strip().splitlines()[-3:])
            raise FileError(f"pip could not collect the wheels; it needs a network for this:\n{last}")
    return sorted(path.name for path in folder.glob("*.whl"))


def main(argv: Sequence[str]) -> int:
    """Run `latentkit wheelhouse DIR`."""
    parser = argparse.ArgumentParser(prog="latentkit wheelhouse", description=(__doc__ or "").strip())
    parser.add_argument("folder", type=Path, help="where to put the wheels")
    parser.add_argument("--extra", default="lab", help="lab (lessons) or classroom (graders too)")
    arguments, options = parser.parse_known_args(list(argv))
    wheels = make_wheelhouse(arguments.folder, extra=arguments.extra, options=options)
    size = sum((arguments.folder / name).stat().st_size for name in wheels)
    print(f"{len(wheels)} wheels, {size / 1e6:.0f} MB, in {arguments.folder}.")  # noqa: T201
    print(f"On the other computer, in the folder of the project: make lab WHEELS={arguments.folder}")  # noqa: T201
    return 0

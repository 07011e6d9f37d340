"""Installation: declared and pinned packages, contents of the wheel, `make` and the command line."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import latentkit as lk
from latentkit import cli, lessons
from latentkit.errors import LatentkitError

PROJECT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS = PYPROJECT["optional-dependencies"]

# Names that differ on conda-forge.
CONDA_NAMES = {"torch": "pytorch", "huggingface-hub": "huggingface_hub", "jupyter-core": "jupyter_core"}

# Libraries whose import name differs from their package name.
IMPORT_NAMES = {"ipython": "IPython", "pillow": "PIL"}


def _specifiers(lines):
    requirements = [Requirement(line) for line in lines]
    return {requirement.name: str(requirement.specifier) for requirement in requirements}


def test_environment_yml_has_the_requirements_of_pyproject():
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    *packages, pip = environment["dependencies"]
    asked = _specifiers(PYPROJECT["dependencies"] + EXTRAS["lab"])
    expected = {CONDA_NAMES.get(name, name): specifier for name, specifier in asked.items()}
    expected |= {"python": PYPROJECT["requires-python"], "pip": ""}
    assert _specifiers(packages) == expected
    assert pip == {"pip": ["-e ."]}
    assert environment["channels"] == ["conda-forge"]


def _constraints():
    return _specifiers(
        line for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
    )


def test_constraints_are_exact_versions_from_the_index():
    assert all(re.fullmatch(r"==[\w.]+", specifier) for specifier in _constraints().values())
    assert _constraints()["torch"] == "==2.13.0"


def test_constraints_pin_every_requirement_of_the_lessons_and_the_tests():
    pinned = {canonicalize_name(name): version[2:] for name, version in _constraints().items()}
    lines = PYPROJECT["dependencies"] + EXTRAS["lab"] + EXTRAS["test"]
    for requirement in map(Requirement, lines):
        if requirement.name != "latentkit":
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_every_library_that_the_package_imports_is_declared():
    imported = set()
    for path in Path(lk.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
    extras = [line for extra in ("lab", "train", "cluster", "classroom", "gguf") for line in EXTRAS[extra]]
    installed = _specifiers(PYPROJECT["dependencies"] + extras)
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in installed}
    undeclared = {"latentkit", "torchao"}  # an error tells who asks for `bits` to install torchao
    assert imported - sys.stdlib_module_names - declared == undeclared


def test_the_extra_for_tests_includes_the_one_for_lessons():
    assert any(line.startswith("latentkit[lab") for line in EXTRAS["test"])


def test_installed_metadata_is_of_this_version():
    assert metadata.version("latentkit") == lk.__version__


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_holds_every_file_of_the_package_and_the_lessons(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("latentkit/")}
    package = Path(lk.__file__).parent
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    shipped = {
        path
        for path in (PROJECT / "notebooks").iterdir()
        if path.is_file() and path.suffix in {".ipynb", ".md"}
    }
    assert held == {path.relative_to(PROJECT).as_posix() for path in files} | {
        f"latentkit/notebooks/{path.name}" for path in shipped
    }
    assert {f"latentkit/models/nano/{name}" for name in cli.NANO_FILES} <= held
    assert "latentkit/notebooks/00_start_here.ipynb" in held


LAY = """
import sys
sys.path.insert(0, sys.argv[1])
from latentkit import lessons
print(lessons.lesson_folder(), *lessons.lay_lessons(sys.argv[2]).new, sep="\\n")
"""


def test_the_lessons_of_the_wheel_are_laid_in_a_folder(wheel, tmp_path):
    site, copies = tmp_path / "site", tmp_path / "copies"
    zipfile.ZipFile(wheel).extractall(site)
    command = [sys.executable, "-P", "-c", LAY, str(site), str(copies)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder, *laid = done.stdout.splitlines()
    assert Path(folder) == site / "latentkit" / "notebooks"
    assert [name for name in laid if name.endswith(".ipynb")] == sorted(
        path.name for path in (PROJECT / "notebooks").glob("*.ipynb")
    )
    assert '"execution_count": 1' not in (copies / laid[0]).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_wheel_runs_where_it_is_installed(wheel, tmp_path):
    """In a virtual environment of its own, which sees the requirements that are installed here."""
    here = next(path for path in map(Path, sys.path) if (path / "torch").is_dir())
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    code = (
        "import latentkit as lk; from latentkit.lessons import lesson_folder;"
        "print(lk.load_model('nano').name, lesson_folder())"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    (site,) = (tmp_path / "venv").rglob("site-packages")
    (site / "requirements.pth").write_text(f"{here}\n")
    run = [python, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"nano {site / 'latentkit' / 'notebooks'}\n"
    laid = subprocess.run(
        [*run[:1], "-m", "latentkit.cli", "doctor"], cwd=tmp_path, env=environment, check=False
    )
    assert laid.returncode == 0


# `make`, with a stand-in for Python that only records its arguments.

STAND_IN = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$CALLS"
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/lint-imports"; fi
"""


@pytest.fixture
def make(tmp_path):
    """Call make in a copy of the project's metadata; return the recorded calls of Python."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / name, tmp_path)
    python = tmp_path / "python-stand-in"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    calls = tmp_path / "calls"
    tools = tmp_path / "node_modules" / ".bin"  # with stand-ins for npm and what it installs
    tools.mkdir(parents=True)
    for name in ("npm", "biome", "tsc"):
        (tools / name).write_text(f"#!/usr/bin/env bash\necho {name} $* >> $CALLS\n")
        (tools / name).chmod(0o755)

    def run(*arguments):
        calls.write_text("")
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "ARGS"))}
        command = ["make", *arguments, f"PYTHON={python}", "VENV=.venv"]
        subprocess.run(
            command,
            cwd=tmp_path,
            env=plain | {"CALLS": str(calls), "PATH": f"{tools}:{plain['PATH']}"},
            check=True,
            capture_output=True,
        )
        return [line for line in calls.read_text().splitlines() if not line.startswith("-c")]

    return run


PIP = "-m pip install --disable-pip-version-check"


def test_make_lab_creates_an_environment_installs_and_opens_the_lessons(make):
    assert make("lab", "ARGS=--port=8889") == [
        "-m venv .venv",
        f"{PIP} --constraint constraints.txt --editable .[lab]",
        "-m latentkit.cli lab --port=8889",
    ]


def test_make_test_runs_every_check_and_pytest_last(make):
    assert make("test", "ARGS=-k faust") == [
        "-m venv .venv",
        f"{PIP} --constraint constraints.txt --editable .[test]",
        "-m ruff check .",
        "-m ruff format --check .",
        "-m mypy",
        "--no-logo",
        "biome check",
        "tsc",
        "-m pytest -n logical --maxprocesses=4 -k faust",
    ]


def test_make_test_slow_runs_the_slow_tests_only(make):
    assert make("test-slow", "ARGS=-x")[2:] == ["-m pytest -n logical --maxprocesses=4 -m slow -x"]


def test_second_call_installs_nothing(make):
    make("test")
    assert make("lab") == ["-m latentkit.cli lab"]


def test_changed_constraints_are_installed(make, tmp_path):
    make("lab")
    stamp = (tmp_path / ".venv" / ".lab").stat().st_mtime
    os.utime(tmp_path / "constraints.txt", (stamp + 5, stamp + 5))
    assert any(line.startswith(PIP) for line in make("lab"))


def test_torch_index_is_passed_to_pip(make):
    index = "https://download.pytorch.org/whl/cpu"
    install = next(line for line in make("lab", f"TORCH_INDEX={index}") if line.startswith(PIP))
    assert install == f"{PIP} --extra-index-url {index} --constraint constraints.txt --editable .[lab]"


# The command line.


@pytest.fixture
def lab_options(monkeypatch, tmp_path):
    """Record the options that `latentkit lab` passes to JupyterLab; the current folder is an empty one."""
    from jupyterlab.labapp import LabApp

    monkeypatch.chdir(tmp_path)
    options = []
    monkeypatch.setattr(LabApp, "launch_instance", options.extend)
    return options


def test_lab_opens_fresh_copies_and_keeps_changed_ones(lab_options, tmp_path, capsys):
    folder = tmp_path / "latentkit-lessons"
    assert cli.main(["lab", "--no-browser", "--port=8889"]) == 0
    assert lab_options[:2] == [
        f"--ServerApp.root_dir={folder}",
        "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
    ]
    assert lab_options[-2:] == ["--no-browser", "--port=8889"]
    assert capsys.readouterr().out == (
        f"Your copies of the lessons are in {folder}. They are never overwritten.\n"
    )
    (folder / "02_convergence.ipynb").write_text("mine")
    assert cli.main(["lab"]) == 0
    assert (folder / "02_convergence.ipynb").read_text() == "mine"


def test_lab_takes_a_folder_before_the_options(lab_options, tmp_path):
    assert cli.main(["lab", "my lessons", "--no-browser"]) == 0
    assert lab_options[0] == f"--ServerApp.root_dir={tmp_path / 'my lessons'}"
    assert "my lessons" not in lab_options
    assert (tmp_path / "my lessons" / "00_start_here.ipynb").is_file()


def test_reset_lays_a_lesson_anew_and_keeps_the_changed_copy(lab_options, tmp_path, capsys):
    copy = tmp_path / "latentkit-lessons" / "02_convergence.ipynb"
    cli.main(["lab"])
    fresh = copy.read_bytes()
    copy.write_text("mine")
    capsys.readouterr()
    assert cli.main(["reset", "02"]) == 0
    assert capsys.readouterr().out == (
        f"{copy} is as it was at first. Your changed copy is 02_convergence_kept_1.ipynb.\n"
    )
    assert copy.read_bytes() == fresh
    assert cli.main(["reset", "02"]) == 0
    assert capsys.readouterr().out == f"{copy} is as it was at first.\n"
    assert cli.main(["reset"]) == 2
    assert cli.main(["reset", "02", "elsewhere"]) == 2
    assert capsys.readouterr().err == (
        "latentkit reset: Name one lesson and, if it is not the usual one, its folder: latentkit reset 02\n"
        f"latentkit reset: {tmp_path / 'elsewhere'} holds no lessons of latentkit. Name the folder that "
        "`latentkit lab` opened.\n"
    )


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_lab_allows_root_only_to_root(user, allowed, lab_options, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    cli.main(["lab"])
    assert ("--allow-root" in lab_options) is allowed


def test_lab_without_lessons_names_the_folders_that_it_searched(lab_options, monkeypatch, tmp_path, capsys):
    package = tmp_path / "site-packages" / "latentkit"
    monkeypatch.setattr(lessons, "__file__", str(package / "lessons.py"))
    assert cli.main(["lab"]) == 2
    assert capsys.readouterr().err == (
        f"latentkit lab: No lessons found: there is no .ipynb file in {package / 'notebooks'} or "
        f"{package.parent / 'notebooks'}. Install latentkit again.\n"
    )


def _diagnosis(capsys, subject):
    """Return verdict and finding of one row of the doctor's table."""
    rows = (line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines())
    return next((row[0], row[2]) for row in rows if row[1:2] == [subject])


@pytest.mark.parametrize("command", ["lab", "reset", "doctor"])
def test_each_command_says_how_to_call_it(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "--help"]) == 0
    assert f"latentkit {command} " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_doctor_finds_no_problem_in_this_environment(capsys):
    status = cli.main(["doctor"])
    assert (status, capsys.readouterr().out.splitlines()[-1]) == (0, "All is well.")


def test_doctor_names_a_missing_file_of_nano(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "cli.py"))
    folder = tmp_path / "models" / "nano"
    folder.mkdir(parents=True)
    for name in cli.NANO_FILES[1:]:
        (folder / name).touch()
    assert cli.main(["doctor"]) == 1
    assert _diagnosis(capsys, "nano") == (
        "FAIL",
        f"config.json missing in {folder}. Install latentkit again.",
    )


def test_doctor_says_how_to_replace_a_package_that_is_too_old(monkeypatch, capsys):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "xarray" else real(name))
    assert cli.main(["doctor"]) == 1
    assert _diagnosis(capsys, "xarray") == (
        "FAIL",
        "0.1 is too old. Run: pip install 'xarray>=2025.10'",
    )


def test_an_error_of_the_kit_ends_a_command_without_a_stack_trace(monkeypatch, capsys):
    def fail(argv):
        raise LatentkitError("No model named 'nona'.")

    monkeypatch.setitem(cli.COMMANDS, "evaluate", fail)
    assert cli.main(["evaluate", "nona"]) == 2
    assert capsys.readouterr() == ("", "latentkit evaluate: No model named 'nona'.\n")


def test_arguments_after_a_command_are_passed_on_unchanged(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "train", len)
    assert cli.main(["train", "--help", "-x", "corpus"]) == 3

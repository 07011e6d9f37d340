"""What may be imported when: the package is light until someone asks for more."""

from __future__ import annotations

import json
import pkgutil
import sys
import tomllib
from pathlib import Path

import pytest

import latentkit as lk

PACKAGE = Path(lk.__file__).parent
MODULES = {module.name for module in pkgutil.iter_modules([str(PACKAGE)])}

# The design's two kinds: what works on a saved trace, and what may use a model inside its functions.
WITHOUT_MODELS = {
    "arguments",
    "criteria",
    "errors",
    "files",
    "lessons",
    "measure",
    "netcdf",
    "plot",
    "prompts",
    "trace",
    "view",
} & MODULES
MODELS_INSIDE_FUNCTIONS = {"explorer", "sliders", "classroom", "assign", "testing", "cli"} & MODULES

# The package and what makes it lazy.
LIGHT = {"latentkit", "lazy_loader"}

REPORT = """
import json, sys
json.dump(sorted({name.partition(".")[0] for name in sys.modules}), sys.stdout)
"""


@pytest.fixture
def loaded_by(run_python):
    """The top-level modules that are loaded after a piece of Python and were not before."""
    before = set(json.loads(run_python(REPORT)))

    def loaded(snippet):
        return set(json.loads(run_python(snippet + "\n" + REPORT))) - before

    return loaded


def test_importing_the_package_loads_only_itself_and_the_standard_library(loaded_by):
    assert loaded_by("import latentkit; dir(latentkit)") - sys.stdlib_module_names == LIGHT


def test_a_typo_on_the_command_line_loads_only_itself_and_the_standard_library(loaded_by):
    assert loaded_by("import latentkit.cli") - sys.stdlib_module_names == LIGHT


def test_modules_are_imported_without_torch(block_torch):
    parts = pkgutil.walk_packages([str(PACKAGE)], "latentkit.")  # a lazy package hides what its files import
    light = WITHOUT_MODELS | MODELS_INSIDE_FUNCTIONS
    names = [part.name for part in parts if part.name.split(".")[1] in light]
    assert {name.split(".")[1] for name in names} == light
    imports = "\n".join(f"import {name}" for name in names)  # a traceback names the line
    loaded = block_torch(f"{imports}\nimport sys\nprint(*sys.modules)").split()
    runs_models = {f"latentkit.{name}" for name in ("models", "run", "problems", "training")}
    assert runs_models.isdisjoint(loaded)


def test_torch_is_really_blocked_where_a_test_says_so(block_torch):
    found = block_torch(
        "from importlib.util import find_spec\n"
        "print(find_spec('torch'))\n"
        "try:\n    import torch\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    assert found == "None\nNo module named 'torch'\n"


def test_every_module_that_runs_no_model_stands_in_the_contract():
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    forbidden = next(contract for contract in contracts if contract["type"] == "forbidden")
    assert set(forbidden["source_modules"]) == {f"latentkit.{name}" for name in WITHOUT_MODELS}


@pytest.mark.parametrize("name", dir(lk))
def test_public_name_can_be_had(name):
    assert getattr(lk, name) is not None


def test_no_module_has_the_name_of_a_public_function():
    functions = {name for name in dir(lk) if callable(getattr(lk, name))}
    assert functions.isdisjoint(MODULES)


def test_a_wrong_name_is_told_the_nearest_right_one():
    with pytest.raises(AttributeError) as caught:
        _ = lk.plot_convergance
    known = ", ".join(repr(name) for name in dir(lk) if name != "__version__")
    assert str(caught.value) == (
        f"latentkit has no 'plot_convergance'. Did you mean 'plot_convergence'? Known: {known}."
    )


def test_python_asking_for_a_hook_gets_a_plain_no():
    assert not hasattr(lk, "__wrapped__")

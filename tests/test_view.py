"""The storey that plots, sliders and the explorer share: usable without matplotlib."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import latentkit.view

MODULES = [module.name for module in pkgutil.iter_modules(latentkit.view.__path__)]


def test_no_module_of_view_imports_matplotlib() -> None:
    program = "import sys; sys.modules['matplotlib'] = None; import importlib\n" + "\n".join(
        f"importlib.import_module('latentkit.view.{name}')" for name in MODULES
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(MODULES) >= 8


def test_subpackages_are_reached_as_attributes_without_an_import_of_their_own() -> None:
    program = "import latentkit as lk; print(lk.plot.plot_convergence.__name__, lk.measure.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "plot_convergence latentkit.measure\n", done.stderr

"""Environment of every test (no network, no window system, one thread), test distribution, fixtures."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import matplotlib as mpl
import pytest
import shape_checks
from lab_for_tests import browser, lab  # noqa: F401  (fixtures of the browser tests)
from xdist.scheduler import LoadScopeScheduling

PROJECT = Path(__file__).resolve().parent.parent

# These are read when a library is first imported, so they stand before every test module. Kernels and
# subprocesses inherit them. matplotlib gets no variable: the kernels would inherit it and draw nothing.
os.environ["OMP_NUM_THREADS"] = "1"  # the models are small, and pytest-xdist already uses every core
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir()) / "latentkit-tests-without-a-hub")
mpl.use("agg")

# No deadline, because the machine may be busy. In CI every run draws the same examples.
hypothesis.settings.register_profile(
    "latentkit", deadline=None, derandomize="CI" in os.environ, max_examples=25
)
hypothesis.settings.load_profile("latentkit")


QUICK_LESSONS = {"00_start_here.ipynb", "01_iterative_decoding.ipynb"}  # the others are slow tests


class FileScheduling(LoadScopeScheduling):
    """Keep the tests of a file in one process, and all browser tests in one: they share a JupyterLab."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if Path(file).name.startswith("test_browser") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    config.option.loadscopereorder = False  # keeps the order below
    return FileScheduling(config, log)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that both processes end at about the same time."""
    for item in items:
        if item.path.suffix == ".ipynb" and item.path.name not in QUICK_LESSONS:
            item.add_marker("slow")
    items.sort(key=lambda item: _rank(item.path))  # stable: the order within a file stays


def pytest_runtest_logstart() -> None:
    shape_checks.check_from_here_on()


def _rank(path: Path) -> int:
    if path.name.startswith("test_browser"):
        return 0
    return 1 if path.suffix == ".ipynb" else 2


class NetworkUsedError(OSError):
    """A test tried to reach another machine."""


_attempts: list[str] = []


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse connections to other machines (an audit hook, which covers every socket of the process)."""
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path is a socket of this machine
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host and not _is_this_machine(str(host)):
        _attempts.append(f"{event} {host}")
        raise NetworkUsedError(f"The tests run without a network, and this one tried to reach {host}.")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback or host == "0.0.0.0"
    except ValueError:
        return host == "localhost"


sys.addaudithook(_refuse_network)


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Fail a test that tried to reach the network, even if the code caught the error.

    The value lists the attempts. A test with the fixture `hub_online` may try, without success.
    """
    _attempts.clear()
    yield _attempts
    if _attempts and "hub_online" not in request.fixturenames:
        pytest.fail(f"This test tried to reach the network: {'; '.join(dict.fromkeys(_attempts))}.")


@pytest.fixture
def hub_online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the hub's offline mode; connections still fail, as with the cable unplugged."""
    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the hub's client waits between its attempts


# Hides torch from the import system: its finder returns None, as if torch were not installed.
_WITHOUT_TORCH = """
from importlib.machinery import PathFinder
_find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] == "torch" else _find(name, *rest)
"""


@pytest.fixture(scope="session")
def run_python() -> Callable[[str], str]:
    """Run Python code in a subprocess with warnings as errors; return its output."""

    def run(snippet: str) -> str:
        command = [sys.executable, "-W", "error", "-c", snippet]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def block_torch(run_python: Callable[[str], str]) -> Callable[[str], str]:
    """Run Python code as if torch were not installed; return its output."""
    return lambda snippet: run_python(_WITHOUT_TORCH + snippet)

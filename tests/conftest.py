"""What every test runs under: no network, no window system, shapes checked; and a few fixtures."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import matplotlib as mpl
import pytest
from lab_for_tests import browser, lab  # noqa: F401  (fixtures of the browser tests)

PROJECT = Path(__file__).resolve().parent.parent

# Both are read when their library is first imported, hence here. No variable for matplotlib: the kernels of
# the notebooks would inherit it and draw nothing.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir()) / "latentkit-tests-without-a-hub")
mpl.use("agg")

# No deadline: the machine may be busy. In CI the same examples every time: a change is judged by itself.
hypothesis.settings.register_profile("latentkit", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("latentkit")


class NetworkUsedError(OSError):
    """A test reached for another machine."""


_reached_for: list[str] = []


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse whatever would leave this machine (an audit hook: it sees every socket of the process)."""
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
        _reached_for.append(f"{event} {host}")
        raise NetworkUsedError(f"The tests run without a network, and this one reached for {host}.")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback or host == "0.0.0.0"
    except ValueError:
        return host == "localhost"


sys.addaudithook(_refuse_network)


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Fail a test that reached for the network, also where the code swallowed the refusal.

    The value is what was reached for; a test that asks for `hub_online` may reach, in vain.
    """
    _reached_for.clear()
    yield _reached_for
    if _reached_for and "hub_online" not in request.fixturenames:
        pytest.fail(f"This test reached for the network: {'; '.join(dict.fromkeys(_reached_for))}.")


@pytest.fixture
def hub_online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code believe that there is a network; reaching for it still fails, as with the cable pulled."""
    from huggingface_hub import constants

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the hub's client waits between its tries


# As if torch were not installed: the finder says so, where an import that raises could be told apart.
_WITHOUT_TORCH = """
from importlib.machinery import PathFinder
_find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] == "torch" else _find(name, *rest)
"""


@pytest.fixture(scope="session")
def run_python() -> Callable[[str], str]:
    """Run a piece of Python in a process of its own, warnings being errors, and return what it prints."""

    def run(snippet: str) -> str:
        command = [sys.executable, "-W", "error", "-c", snippet]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def block_torch(run_python: Callable[[str], str]) -> Callable[[str], str]:
    """Run a piece of Python as where torch is not installed, and return what it prints."""
    return lambda snippet: run_python(_WITHOUT_TORCH + snippet)

"""JupyterLab on copies of the lessons, driven in headless Chromium.

A module of browser tests sets ``pytestmark = IN_BROWSER`` and takes fixtures ``lab`` and ``browser``,
which start once per session. `lesson_page` makes a fixture that runs a lesson once for all tests of a module.
Waiting follows the page and the kernel; the limits below only end a test that hangs. Screenshots are saved
in test-results/.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
LESSONS = sorted(path.name for path in (PROJECT / "notebooks").glob("*.ipynb"))
SCREENSHOTS = PROJECT / "test-results"

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

# Playwright counts in milliseconds. Far above what a busy machine needs.
SECOND = 1000
LIMIT = 300 * SECOND  # for one change of the page
RUN_LIMIT = 1200 * SECOND  # for all cells of a notebook

IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.timeout(1800),
]


THEMES = pytest.mark.parametrize("theme", [pytest.param("light", marks=pytest.mark.slow), "dark"])


class Lab(NamedTuple):
    """A running JupyterLab."""

    address: str
    token: str
    folder: Path

    def open(self, path: str) -> str:
        return f"{self.address}/lab/tree/{path}?token={self.token}&reset"

    def api(self, path: str, method: str = "GET") -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.address}/api/{path}", headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def shut_down(self, path: str) -> None:
        """End the kernel of a notebook."""
        for session in json.loads(self.api("sessions")):
            if session["path"] == path:
                self.api(f"sessions/{session['id']}", method="DELETE")


def _wait_until_it_answers(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LIMIT / SECOND
    while time.monotonic() < end:
        assert process.poll() is None, f"JupyterLab ended:\n{log.read_text()}"
        try:
            lab.api("status")
        except URLError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not answer within {LIMIT / SECOND:.0f} s:\n{log.read_text()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`latentkit lab` on fresh copies of the lessons, with the executed ones in saved/."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "lessons"
    (folder / "saved").mkdir(parents=True)
    for name in LESSONS:
        shutil.copy(PROJECT / "notebooks" / name, folder / "saved")
    # Cells outside the window are drawn too, so that the test finds their outputs.
    settings = home / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"windowingMode": "none"}))

    lab = Lab(f"http://127.0.0.1:{_free_port()}", secrets.token_hex(), folder)
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    environment |= {name: str(home / name.lower()) for name in own}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "HF_HUB_OFFLINE": "1"}
    environment |= {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    command = [sys.executable, "-m", "latentkit.cli", "lab", "lessons", "--no-browser"]
    command += [f"--port={urlsplit(lab.address).port}", f"--IdentityProvider.token={lab.token}"]
    command.append("--LabApp.expose_app_in_browser=True")
    log = home / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=out, stderr=out)
        try:
            _wait_until_it_answers(lab, process, log)
            yield lab
        finally:
            process.terminate()  # ends the kernels too
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "The browser tests need Chromium (on Debian: apt-get install chromium)."
    expect.set_options(timeout=LIMIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(lab: Lab, browser: Browser, path: str) -> Iterator[Page]:
    """Open a notebook; afterwards the browser must not have complained or reached for another machine."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(LIMIT)
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    page.on("request", lambda asked: complaints.append(asked.url) if _is_elsewhere(asked.url) else None)
    try:
        page.goto(lab.open(path))
        page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
        yield page
    finally:
        context.close()
        lab.shut_down(path)
    assert complaints == []


def _is_elsewhere(url: str) -> bool:
    return urlsplit(url).hostname not in {"127.0.0.1", None}


@contextmanager
def running(lab: Lab, browser: Browser, name: str) -> Iterator[Page]:
    """Open a fresh copy of a lesson and run all its cells; at the end, take a screenshot."""
    with opened(lab, browser, name) as page:
        try:
            expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            page.wait_for_function(DONE_OR_BROKEN, timeout=RUN_LIMIT)
            errors = page.locator(BROKEN).all_inner_texts()
            assert not errors, "\n".join(errors)
            yield page
        finally:
            save_screenshot(page, f"{Path(name).stem}.png")


def lesson_page(name: str) -> Any:
    """Make a fixture: the page of a lesson whose cells have run, shared by the tests of a module."""

    @pytest.fixture(scope="module")
    def page(lab: Lab, browser: Browser) -> Iterator[Page]:
        with running(lab, browser, name) as page:
            yield page

    return page


def unfold_help(page: Page) -> None:
    """Check that hints and solutions are folded while there is no answer; open the first of each."""
    expect(page.get_by_text("Not attempted yet.").first).to_be_visible()
    for title in ("Hint", "Solution"):
        folded = page.locator("details", has=page.locator("summary", has_text=title))
        folded.first.wait_for()
        assert not any(folded.evaluate_all("all => all.map((one) => one.open)"))
        summary = folded.first.locator("summary")
        if summary.evaluate("one => one.closest('.jp-MarkdownCell') !== null"):
            summary.click()  # in a Markdown cell, Enter opens JupyterLab's editor
        else:
            summary.press("Enter")
        expect(folded.first).to_have_attribute("open", "")


def answer(page: Page, before: str, given: str) -> None:
    """Replace the text of the cell that holds `before` and run the cell, by keyboard."""
    cell = page.locator(".jp-CodeCell", has_text=before).first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(given)
    page.keyboard.press("Control+Enter")


def repainted(page: Page) -> None:
    """Wait until the page has painted what was changed before this call."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


BROKEN = (
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"],'
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
)
# A cell has no execution count until the kernel has replied; the fixture `lab` exposes `jupyterapp`.
DONE_OR_BROKEN = f"""() => document.querySelector('{BROKEN}') ||
    jupyterapp.shell.currentWidget.content.widgets.filter((cell) => cell.model.type === "code")
        .every((cell) => cell.model.executionCount !== null)"""


def save_screenshot(page: Page, name: str) -> None:
    """Make the window as high as the notebook, scroll to its top, and take a picture of it."""
    SCREENSHOTS.mkdir(exist_ok=True)
    notebook = page.locator(".jp-WindowedPanel-outer")
    height = notebook.evaluate("notebook => notebook.querySelector('.jp-WindowedPanel-inner').scrollHeight")
    page.set_viewport_size({"width": 1280, "height": min(height + 140, 12_000)})
    notebook.evaluate("notebook => { notebook.scrollTop = 0; }")
    page.screenshot(path=SCREENSHOTS / name)


def slider(page: Page, name: str) -> Locator:
    return page.locator(".widget-slider").filter(has=page.get_by_text(name, exact=True))


def press(which: Locator, key: str, *, handle: int = 0) -> None:
    """Press a key on a slider's handle and wait until the slider's number changes."""
    number = which.locator(".widget-readout")
    before = number.inner_text()
    knob = which.get_by_role("slider").nth(handle)
    knob.focus()
    knob.press(key)
    expect(number).not_to_have_text(before)

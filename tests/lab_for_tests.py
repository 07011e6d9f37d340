"""A running JupyterLab on a copy of the lessons, and what a test does with it in headless Chromium.

A module of browser tests says ``pytestmark = IN_BROWSER`` and takes the fixtures ``lab`` and ``browser``.
The files of the project are never run in place. What the pages look like is saved in test-results/, to be
looked at.
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
from typing import NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
LESSONS = sorted(path.name for path in (PROJECT / "notebooks").glob("*.ipynb"))
SCREENSHOTS = PROJECT / "test-results"

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

SECOND = 1000  # Playwright counts in milliseconds
START, RUN, REDRAW = 120 * SECOND, 240 * SECOND, 30 * SECOND  # for two slow cores that have other work too

IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (on Debian: apt-get install chromium)"),
]


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


def _wait_until_it_answers(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START / SECOND
    while time.monotonic() < end:
        assert process.poll() is None, f"JupyterLab ended:\n{log.read_text()}"
        try:
            lab.api("status")
        except URLError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not answer within {START / SECOND:.0f} s:\n{log.read_text()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`latentkit lab` on a copy of the lessons: once as they are, once in unrun/ without any output."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    (folder / "unrun").mkdir(parents=True)
    for name in LESSONS:
        shutil.copy(PROJECT / "notebooks" / name, folder)
        notebook = nbformat.read(folder / name, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / "unrun" / name)
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
    command = [sys.executable, "-m", "latentkit.cli", "lab", "--no-browser"]
    command += [f"--port={urlsplit(lab.address).port}", f"--IdentityProvider.token={lab.token}"]
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=REDRAW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(lab: Lab, browser: Browser, path: str) -> Iterator[Page]:
    """Open a notebook; afterwards the browser must not have complained or reached for another machine."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(REDRAW)
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    page.on("request", lambda asked: complaints.append(asked.url) if _is_elsewhere(asked.url) else None)
    try:
        page.goto(lab.open(path), timeout=START)
        page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=START)
        yield page
    finally:
        context.close()
        for session in json.loads(lab.api("sessions")):
            lab.api(f"sessions/{session['id']}", method="DELETE")
    assert complaints == []


def _is_elsewhere(url: str) -> bool:
    return urlsplit(url).hostname not in {"127.0.0.1", None}


@contextmanager
def running(lab: Lab, browser: Browser, name: str) -> Iterator[Page]:
    """Open a lesson as it was before it was built, run all its cells and take a picture at the end."""
    with opened(lab, browser, f"unrun/{name}") as page:
        try:
            expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=START)
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            page.locator(BEGUN).first.wait_for()
            page.wait_for_function(DONE_OR_BROKEN, timeout=RUN)
            assert page.locator(BROKEN).all_inner_texts() == []
            yield page
        finally:
            save_screenshot(page, f"{Path(name).stem}.png")


BEGUN = ".jp-CodeCell .jp-InputPrompt:text-matches('[*0-9]')"
BROKEN = (
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"],'
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
)
DONE_OR_BROKEN = f"""() => {{
    const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")];
    const done = prompts.every((prompt) => /^\\[\\d+\\]:/.test(prompt.innerText));
    return document.querySelector('{BROKEN}') || (prompts.length > 0 && done);
}}"""


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
    """Press a key on a slider's handle, and wait until the number beside the slider is another one."""
    number = which.locator(".widget-readout")
    before = number.inner_text()
    knob = which.get_by_role("slider").nth(handle)
    knob.focus()
    knob.press(key)
    expect(number).not_to_have_text(before)

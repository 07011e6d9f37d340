"""Response time of the explorer to a key, compared with `interact` and matplotlib, and its size.

    python benchmarks/explorer.py [more options for Chromium]

JupyterLab runs in headless Chromium on one notebook with three cells: an explorer of 60 tokens × 64
iterations, one of 512 × 128, and ipywidgets' `interact` drawing 60 × 64 by `plot_convergence`. In each, the
arrow key moves the iteration slider. The measured time is that from the key to the end of the frame that
shows the change. It includes the wait for the next frame of the screen; a slider without any effect, on the
same page, measures that part.
"""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import nbformat
from playwright.sync_api import Locator, Page, sync_playwright

import latentkit as lk
from latentkit import prompts

KEYS, KEYS_OF_MATPLOTLIB = 60, 12
CELLS = [
    "import latentkit as lk\nlk.explore(lk.open_trace('small.nc'), iteration=2)",
    "lk.explore(lk.open_trace('large.nc'), iteration=2)",
    """import matplotlib.pyplot as plt
from ipywidgets import interact
trace = lk.open_trace("small.nc")
def draw(iteration=2):
    ax = lk.plot_convergence(trace)
    ax.axvline(iteration, color="white")
    plt.show()
_ = interact(draw, iteration=(0, 64))""",
]

# From a key to the end of the frame in which `changed` holds.
WATCH = """([changed]) => {
    window.took = [];
    window.watching?.abort();
    window.watching = new AbortController();
    const painted = (begin) => requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => took.push(performance.now() - begin);
        channel.port2.postMessage(0);
    });
    addEventListener("keydown", ({ timeStamp }) => {
        if (!changed) return painted(timeStamp);
        const before = document.querySelector(changed).src;
        const look = () => {
            const picture = document.querySelector(changed);
            if (picture && picture.src !== before && picture.complete) painted(timeStamp);
            else setTimeout(look, 2);
        };
        look();
    }, { capture: true, signal: window.watching.signal });
}"""

IDLE = """() => {
    const slider = Object.assign(document.createElement("input"), {id: "idle", type: "range"});
    slider.style = "position: fixed; top: 0; z-index: 9999";
    slider.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(slider);
}"""


def make_traces(folder: Path) -> None:
    """Save two traces of nano: the published answer, and a text of 512 tokens."""
    model = lk.load_model("nano")
    ids = model.tokenizer.encode(prompts.FIGURES["F1"].answer)
    for name, tokens, iterations in (("small", 60, 64), ("large", 512, 128)):
        prompt = list(itertools.islice(itertools.cycle(ids), tokens))
        trace = lk.run_recurrence(model, prompt, iterations=iterations, progress=False)
        lk.save_trace(trace, folder / f"{name}.nc")


def weigh(path: Path) -> str:
    trace = lk.open_trace(path)
    tracemalloc.start()
    explorer = lk.explore(trace)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = explorer.save_html(path.with_suffix(".html")).stat().st_size
    coded = len(base64.b64encode(explorer.data))
    tokens, iterations, ranks = (trace.sizes[name] for name in ("token", "iteration", "rank"))
    return (
        f"{tokens} × {iterations - 1} with top-{ranks} readouts: block {len(explorer.data) / 1e3:.0f} kB, "
        f"page {size / 1e3:.0f} kB of which {(size - coded) / 1e3:.1f} kB are no data; Python at most "
        f"{most / 1e6:.0f} MB more while packing"
    )


def heap(page: Page, path: Path) -> str:
    """Return the memory of the page's data in the browser, including arrays and canvases."""
    session = page.context.new_cdp_session(page)

    def used() -> float:
        session.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        found: dict[str, Any] = session.send("Runtime.getHeapUsage")
        return float(metrics["JSHeapUsedSize"] + found.get("backingStorageSize", 0))

    session.send("Performance.enable")
    page.goto("about:blank")
    before = used()
    page.goto(path.with_suffix(".html").as_uri())
    page.locator("canvas.lk-cells").wait_for()
    page.wait_for_timeout(1000)
    return f"{(used() - before) / 1e6:.0f} MB of JavaScript heap and array buffers in the page"


def timed(page: Page, slider: Locator, keys: int, changed: str | None = None) -> list[float]:
    """Press the arrow key repeatedly, each time after the previous frame; return milliseconds."""
    slider.scroll_into_view_if_needed()
    slider.focus()
    page.evaluate(WATCH, [changed])
    for pressed in range(1, keys + 4):  # the first three are a warm-up
        slider.press("ArrowRight" if pressed % 60 < 30 else "ArrowLeft")
        page.wait_for_function("count => window.took.length >= count", arg=pressed, timeout=60_000)
    took: list[float] = page.evaluate("window.took")
    return took[3:]


def told(name: str, took: list[float]) -> list[float]:
    ordered = sorted(took)
    print(
        f"{name}: median {statistics.median(took):.1f} ms, one in ten within "
        f"{ordered[len(took) // 10]:.1f} ms, nine in ten within {ordered[9 * len(took) // 10]:.1f} ms "
        f"({len(took)} keys)"
    )
    return took


def started(folder: Path) -> tuple[subprocess.Popen[bytes], Callable[[str], str]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    token = secrets.token_hex()
    command = [sys.executable, "-m", "latentkit.cli", "lab", folder.name, "--no-browser", f"--port={port}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [*command, f"--IdentityProvider.token={token}"], cwd=folder.parent, stdout=quiet, stderr=quiet
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={token}", timeout=10).close()
            break
        except URLError:
            time.sleep(0.3)
    return process, lambda path: f"http://127.0.0.1:{port}/lab/tree/{path}?token={token}&reset"


def main(flags: list[str]) -> None:
    home = Path(tempfile.mkdtemp(prefix="latentkit-explorer-"))
    folder = home / "notebooks"
    folder.mkdir()
    make_traces(folder)
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "timing.ipynb")
    for name in ("small", "large"):
        print(weigh(folder / f"{name}.nc"))
    process, address = started(folder)
    try:
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *flags])
            page = browser.new_page(viewport={"width": 1280, "height": 1600})
            page.set_default_timeout(120_000)
            print(f"Chromium {browser.version}; 512 × 128: {heap(page, folder / 'large.nc')}")
            page.goto(address("timing.ipynb"))
            page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            page.locator(".latentkit-explorer").nth(1).locator("canvas").first.wait_for()
            picture = ".widget-interact img"
            page.locator(picture).wait_for()
            page.wait_for_timeout(2000)
            explorers = page.locator(".latentkit-explorer")
            sliders = [explorers.nth(i).get_by_role("slider", name="Iteration") for i in range(2)]
            page.evaluate(IDLE)
            idle = told("a slider that does nothing", timed(page, page.locator("#idle"), KEYS))
            small = told("explorer, 60 × 64", timed(page, sliders[0], KEYS))
            large = told("explorer, 512 × 128", timed(page, sliders[1], KEYS))
            drawn = page.locator(".widget-interact .widget-slider").get_by_role("slider")
            slow = told("interact + matplotlib, 60 × 64", timed(page, drawn, KEYS_OF_MATPLOTLIB, picture))
            print(f"ratio {statistics.median(slow) / statistics.median(small):.0f}")
            found = {"explorer": small, "explorer_large": large, "interact": slow, "idle": idle}
            print(json.dumps({name: [round(each, 1) for each in took] for name, took in found.items()}))
            browser.close()
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(home)


if __name__ == "__main__":
    main(sys.argv[1:])

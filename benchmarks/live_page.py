"""The live page measured in Chromium, beside Python on one core: size, times, memory, long tasks.

    python benchmarks/live_page.py [page.html]

Needs Chromium and playwright; nothing else should run on the machine.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import torch
from playwright.sync_api import Browser, sync_playwright

import latentkit as lk

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-precise-memory-info")
PROMPT = "Once upon a time there was a small raven who wanted to see all of the nine worlds. Every morning "
ITERATIONS, TOKENS, REPEATS = 64, 60, 3
OBSERVE = """() => {
  window.tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
    .observe({type: "longtask", buffered: false});
}"""
TRACE = """async (asked) => {
  const began = performance.now();
  const found = await latentkit.trace(asked);
  return [(performance.now() - began) / 1000, found.token_ids.length];
}"""


def prompt_of(model, tokens: int) -> str:
    """Return a text of exactly that many tokens, with the begin token."""
    ids = model.tokenizer(PROMPT * 4)["input_ids"]
    begin = model.tokenizer.bos_token_id
    ids = ids[1:] if ids[0] == begin else ids
    for count in range(tokens - 1, tokens + 8):
        text = model.tokenizer.decode(ids[:count])
        if len(lk.run_recurrence(model, text, iterations=1, readout_top=0, progress=False).token) == tokens:
            return text
    raise AssertionError("no such text")


def in_python(model, text: str, limit: int) -> dict[str, float]:
    """Return the shortest time of one trace in Python, on one core, and its time on the processor."""
    torch.set_num_threads(1)
    times, works = [], []
    for _ in range(REPEATS):
        began, worked = time.perf_counter(), time.process_time()
        lk.run_recurrence(model, text, iterations=ITERATIONS, limit=limit, progress=False)
        times.append(time.perf_counter() - began)
        works.append(time.process_time() - worked)
    return {"time": round(min(times), 2), "processor": round(min(works), 2)}


def processor_time() -> float:
    """Return the time that all renderers below this process have spent on the processor."""
    return sum(sum(one.cpu_times()[:2]) for one in renderers())


def in_page(browser: Browser, path: Path, text: str) -> dict[str, object]:
    """Return what was measured in a fresh page."""
    page = browser.new_context(offline=True, viewport={"width": 1280, "height": 1000}).new_page()
    began = time.perf_counter()
    page.goto(path.as_uri() + "#guided")  # the tour: nothing runs at first
    page.locator(".lv-status").wait_for()
    ready = time.perf_counter() - began
    found: dict[str, object] = {"opening to ready, s": round(ready, 2)}
    for fragment, limit in (("limit 64", 64), ("limit 128", 128)):
        asked = {"prompt": text, "iterations": ITERATIONS, "limit": limit}
        times, works = [], []
        for _ in range(REPEATS):
            worked = processor_time()
            seconds, tokens = page.evaluate(TRACE, asked)
            works.append(processor_time() - worked)
            times.append(seconds)
            assert tokens == TOKENS
        best = {"time": round(min(times), 2), "processor": round(min(works), 2)}
        found[f"60 x 64 with readouts, {fragment}, s"] = best
    page.evaluate(OBSERVE)
    page.get_by_label("Prompt", exact=True).fill(text)
    for _ in range(REPEATS):
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_function("document.querySelector('.lv-status').textContent.startsWith('Done')")
        page.evaluate("document.querySelector('.lv-status').textContent = ''")
    tasks = [round(one) for one in page.evaluate("tasks")]
    found["tasks of the main thread over 50 ms while it runs, ms"] = tasks
    found["heap of the page, MB"] = round(page.evaluate("performance.memory.usedJSHeapSize") / 1e6)
    found["memory of the browser's page process, MB"] = round(largest_renderer() / 1e6)
    page.context.close()
    return found


def renderers() -> list[psutil.Process]:
    """Return the browser's page processes below this process."""
    children = psutil.Process().children(recursive=True)
    return [one for one in children if "--type=renderer" in " ".join(one.cmdline())]


def largest_renderer() -> int:
    """Return the resident memory of the largest renderer below this process."""
    return max((one.memory_info().rss for one in renderers()), default=0)


def main() -> None:
    model = lk.load_model("nano")
    text = prompt_of(model, TOKENS)
    with TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else lk.save_live_html(model, Path(folder, "live.html"))
        found: dict[str, object] = {"size of the page, MB": round(path.stat().st_size / 1e6, 2)}
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            found |= in_page(browser, path, text)
            browser.close()
    for limit in (64, 128):
        found[f"Python on one core, limit {limit}, s"] = in_python(model, text, limit)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

"""The live page for tests: prompts of all kinds, Python's numbers for them, and the page in Chromium."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lab_for_tests import LIMIT
from playwright.sync_api import Browser, Page
from test_engine import texts

from latentkit.run.prompting import encode

KEPT = (1, 2, 4, 16, 64)
TOLERANCE = 1e-4

# Arrays of float32 travel as base64; NaN would be lost in JSON.
TRACE = """async (asked) => {
  const found = await latentkit.trace(asked);
  const coded = (values) => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  };
  const all = (one) => Object.fromEntries(Object.entries(one).map(([name, value]) => [name,
    ArrayBuffer.isView(value) ? [value.constructor.name, coded(value)] :
    value && typeof value === "object" && !Array.isArray(value) ? all(value) : value]));
  return all(found);
}"""


def prompts(model, count: int, longest: int, seed: int = 0) -> list[str]:
    """Random prompts of all kinds of Unicode, of one token to `longest`."""
    rng = random.Random(seed)
    pieces = texts(40 * count)
    found = []
    for _ in range(count):
        text = "".join(rng.choice(pieces) for _ in range(rng.choice((1, 2, 3, 12, 40))))
        while len(encode(model.tokenizer, text)) > longest:
            text = text[: len(text) * 3 // 4]
        found.append(text)
    return found


def python_numbers(model, prompt: str, *, seed: int | None = 0) -> dict:
    """What Python makes of a prompt: ids, latent states of the kept iterations, logits of the last one."""
    ids = encode(model.tokenizer, prompt)
    context = model.embed(torch.tensor([ids]))
    state = model.initial_state(context, seed)
    states = {}
    for i in range(1, max(KEPT) + 1):
        state = model.step(state, context)
        if i in KEPT:
            states[i] = model.normalise(state)[0].numpy()
    return {"ids": ids, "states": states, "logits": model.readout(state, context)[0].numpy()}


def decoded(found: dict) -> dict:
    """A trace of the page with numpy arrays."""
    kinds = {"Float32Array": "<f4", "Int32Array": "<i4"}
    arrays = {}
    for name, value in found.items():
        if isinstance(value, dict):
            arrays[name] = decoded(value)
        elif isinstance(value, list) and value and value[0] in kinds:
            arrays[name] = np.frombuffer(base64.b64decode(value[1]), dtype=kinds[value[0]])
        else:
            arrays[name] = value
    return arrays


def traced(page: Page, prompt, **options) -> dict:
    """What the page makes of a prompt."""
    return decoded(page.evaluate(TRACE, {"prompt": prompt, **options}))


def difference(found: dict, expected: dict) -> float:
    """Largest difference of states and logits; infinite for other ids, or another likeliest token."""
    if found["token_ids"] != expected["ids"]:
        return np.inf
    logits = expected["logits"]
    own = found["logits"].reshape(logits.shape)
    best = own.argmax(-1)
    rows = np.arange(len(best))
    if (logits.max(-1) - logits[rows, best] > TOLERANCE).any():  # unless tied
        return np.inf
    gaps = [
        np.abs(found["states"][str(i)].reshape(states.shape) - states).max()
        for i, states in expected["states"].items()
    ]
    largest = max(*gaps, np.abs(own - logits).max())
    return float(largest) if np.isfinite(largest) else np.inf


@contextmanager
def live_page(
    browser: Browser, path: Path, *, fragment: str = "", ready: bool = True, **options
) -> Iterator[Page]:
    """Open a page from a file with the network off; it must neither complain nor ask for anything."""
    complaints: list[str] = []
    size = {"width": 1280, "height": 1000}
    context = browser.new_context(**{"viewport": size, "offline": True, "accept_downloads": True, **options})
    context.set_default_timeout(LIMIT)
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}\n{error.stack}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda asked: complaints.append(asked.url) if _is_foreign(asked.url, path) else None)
    try:
        page.goto(path.as_uri() + fragment)
        if ready:
            page.locator(".lv-status").wait_for()
            page.wait_for_function(IDLE)
        yield page
    finally:
        context.close()
    assert not complaints, complaints


IDLE = """() => window.latentkit && [...document.querySelectorAll(".lv-form .lv-run")].length === 1 &&
  !document.querySelector(".lv-form .lv-run").disabled"""


def _is_foreign(url: str, path: Path) -> bool:
    return url.partition("#")[0] != path.as_uri() and not url.startswith(("data:", "blob:"))

"""The explorer in a browser, and nano in JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import latentkit as lk
from benchmarks.comparisons.row import Row, alternate

__all__ = ["engine", "explorer"]

ROOT = Path(__file__).parent.parent.parent
TIMER = Path(__file__).parent / "engine_time.js"


def explorer(*, quick: bool) -> list[Row]:
    """Frames of the explorer beside ``interact`` with matplotlib, in JupyterLab."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if quick or chromium is None:  # starting JupyterLab is most of the work
        return []
    command = [sys.executable, "-m", "benchmarks.explorer"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    what = "a key moves the iteration of a picture of {}: time to the new frame"
    return [
        Row(what.format("60 × 64"), found["explorer"], found["interact"], "ms", "interact + matplotlib"),
        Row(what.format("512 × 128"), found["explorer_large"], found["idle"], "ms",
            "a slider that does nothing", costs=True),
    ]  # fmt: skip


def engine(*, quick: bool) -> list[Row]:
    """nano in JavaScript beside nano in Python."""
    node = shutil.which("node")
    if node is None:
        return []
    from latentkit.explorer.packing import pack_model

    model, rounds = lk.load_model("nano"), 1 if quick else 5
    tokens, iterations = (8, 4) if quick else (32, 64)
    ids = torch.arange(30, 30 + tokens)[None]

    def python() -> None:
        context = model.embed(ids)
        state = model.initial_state(context, 0)
        for _ in range(iterations):
            state = model.step(state, context)
        model.readout(state, context)

    with tempfile.TemporaryDirectory() as folder:
        block = Path(folder) / "nano.block"
        block.write_bytes(pack_model(model))
        static = ROOT / "latentkit" / "explorer" / "static" / "engine"
        command = [node, str(TIMER), str(static), str(block), str(tokens), str(iterations), str(rounds)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        size = block.stat().st_size / 1e6
    found = json.loads(done.stdout)
    threads, _ = torch.get_num_threads(), torch.set_num_threads(1)
    seconds, _ = alternate(python, lambda: None, rounds)
    torch.set_num_threads(threads)
    what = f"nano in JavaScript, {tokens} tokens × {iterations} iterations"
    return [
        Row(f"{what}, WebAssembly", found["wasm"], seconds, "s", "torch, one thread", costs=True),
        Row(f"{what}, WebAssembly", found["wasm"], found["plain"], "s", "plain JavaScript"),
        Row("nano as the page loads it", [size], [], "MB"),
    ]

"""Sweeps: throughput beside a plain loop, memory by the number of prompts, time to open and draw a store.

    python -m benchmarks.sweep [--only throughput | memory] [--prompts 100] [--many 1000]

Each part runs in a process of its own, one after the other; the last lines are a table in Markdown. Sweeps
whose memory is compared have 16 iterations, so that the largest ends in minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SUBJECTS = (
    "The old man",
    "A girl from the village",
    "The captain",
    "My sister",
    "Nobody in the house",
    "The train",
)
VERBS = ("saw", "opened", "had forgotten", "carried", "was looking for", "bought")
OBJECTS = ("the door", "a small box", "the letter", "his hat", "two apples", "the road to the sea")

_SHORT = 16  # iterations of the sweeps whose memory is compared


def prompts(count: int) -> list[str]:
    """Sentences of several lengths."""
    draw = np.random.default_rng(0)
    return [" ".join(draw.choice(part) for part in (SUBJECTS, VERBS, OBJECTS)) for _ in range(count)]


def loop(folder: Path, count: int) -> dict[str, float]:
    """What a reader would write: one trace after the other, each saved as a file."""
    import latentkit as lk

    model = lk.load_model("nano")
    begin = time.perf_counter()
    for number, prompt in enumerate(prompts(count)):
        lk.save_trace(lk.run_recurrence(model, prompt, progress=False), folder / f"{number}.nc")
    return {"seconds": time.perf_counter() - begin}


def sweep(folder: Path, count: int, workers: int = 0, iterations: int = 64) -> dict[str, float]:
    """The same through `run_sweep`."""
    import latentkit as lk

    model = lk.load_model("nano")
    client = None
    if workers:
        from distributed import Client

        client = Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    begin = time.perf_counter()
    settings = {"iterations": iterations, "limit": 2 * iterations, "progress": False}
    lk.run_sweep(lk.run_recurrence, model, prompts(count), folder / "s.zarr", client=client, **settings)
    seconds = time.perf_counter() - begin
    if client is not None:
        client.close()
    return {"seconds": seconds, "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def draw(folder: Path, count: int) -> dict[str, float]:
    """Open the store that `sweep` left in the folder, and draw one picture."""
    import matplotlib as mpl

    import latentkit as lk

    mpl.use("agg")
    begin = time.perf_counter()
    opened = lk.open_trace(folder / "s.zarr")
    middle = time.perf_counter()
    assert opened.sizes["prompt"] == count
    lk.plot_settling(opened).figure.canvas.draw()
    end = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": middle - begin, "draw": end - middle, "MiB": memory}


PARTS: dict[str, Callable[..., dict[str, float]]] = {"loop": loop, "sweep": sweep, "draw": draw}


def apart(part: str, folder: str, *numbers: int) -> dict[str, float]:
    """Run one part in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import json, pathlib, sweep; "
    code += f"print(json.dumps(sweep.PARTS[{part!r}](pathlib.Path({folder!r}), *{numbers!r})))"
    guarded = f"if __name__ == '__main__':\n    {code}"
    script = Path(folder) / "part.py"
    script.write_text(guarded, encoding="utf-8")
    ran = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def throughput(count: int) -> None:
    """Print the table of prompts per second."""
    folders = [tempfile.TemporaryDirectory() for _ in range(3)]
    plain = apart("loop", folders[0].name, count)["seconds"]
    one = apart("sweep", folders[1].name, count)["seconds"]
    two = apart("sweep", folders[2].name, count, 2)["seconds"]
    print(f"| {count} prompts on nano, 64 iterations with readouts | prompts/s | ratio |\n|---|---|---|")
    for name, seconds in (("a plain loop", plain), ("run_sweep", one), ("run_sweep, 2 workers", two)):
        print(f"| {name} | {count / seconds:.2f} | {plain / seconds:.2f} |")
    for folder in folders:
        folder.cleanup()


def memory(many: int) -> None:
    """Print the memory of a small and a large sweep, and what opening and drawing the large one needs."""
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        few, all_ = apart("sweep", small, many // 10, 0, _SHORT), apart("sweep", large, many, 0, _SHORT)
        shown = apart("draw", large, many)
    print(f"Memory: {few['MiB']:.0f} MiB for {many // 10} prompts, {all_['MiB']:.0f} MiB for {many}.")
    print(f"A store of {many} prompts opens in {shown['seconds']:.2f} s.")
    print(f"One picture of it takes {shown['draw']:.2f} s and {shown['MiB']:.0f} MiB in all.")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("throughput", "memory"))
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--many", type=int, default=1000)
    asked = parser.parse_args()
    if asked.only != "memory":
        throughput(asked.prompts)
    if asked.only != "throughput":
        memory(asked.many)


if __name__ == "__main__":
    main()

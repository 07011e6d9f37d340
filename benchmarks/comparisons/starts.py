"""Import and load times, kernels at once, and sizes."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import latentkit as lk
from benchmarks.comparisons.row import Row, python_seconds

__all__ = ["kernels", "sizes", "starting"]

PACKAGE = Path(lk.__file__).parent


def starting(*, quick: bool) -> list[Row]:
    """Import and load times of a new process."""
    rounds = 1 if quick else 5
    empty = python_seconds("pass", rounds)
    load = 'import latentkit as lk; lk.load_model("nano")'
    shipped = 'import latentkit as lk; lk.plot_layer_kl(lk.open_example("smollm2_layer_effect"))'
    return [
        Row("`import latentkit` in a new process", python_seconds("import latentkit", rounds), empty, "s",
            "an empty Python", costs=True),
        Row("first picture of a shipped result, in a new process", python_seconds(shipped, rounds), [], "s"),
        Row("nano loaded, in a new process", python_seconds(load, rounds),
            python_seconds("import torch, transformers", 1 if quick else rounds), "s",
            "`import torch, transformers` alone", costs=True),
    ]  # fmt: skip


def kernels(*, quick: bool) -> list[Row]:
    """Several processes that trace at the same time, beside one alone."""
    from benchmarks.faults.kernels import at_once
    from latentkit.threads import CHOSEN_BY, available_cores

    environment = {k: v for k, v in os.environ.items() if k not in (*CHOSEN_BY, "OMP_WAIT_POLICY")}
    alone = [at_once(1, environment)[0][0] for _ in range(1 if quick else 3)]
    rows = []
    for count in () if quick else (4, 8):
        seconds = [each for each, *_ in at_once(count, environment)]
        fair = [each * max(1.0, count / available_cores()) for each in alone]
        what = f"{count} kernels trace at once, seconds of each"
        rows.append(Row(what, seconds, fair, "s", "one alone × kernels / cores", costs=True))
    return rows or [Row("one kernel alone", alone, [], "s")]


def sizes(*, quick: bool) -> list[Row]:  # noqa: ARG001 (nothing to shorten)
    """Sizes of what is installed and shipped."""
    block, weights = io.BytesIO(), PACKAGE / "models" / "nano" / "model.safetensors"
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    with zipfile.ZipFile(block, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(PACKAGE))
    results = [path for path in files if path.suffix == ".nc"]
    return [
        Row("the package as a zip (about its wheel)", [block.tell() / 1e6], [], "MB"),
        Row("of this: nano's weights", [weights.stat().st_size / 1e6], [], "MB"),
        Row(
            f"{len(results)} shipped results", [sum(path.stat().st_size for path in results) / 1e3], [], "kB"
        ),
    ]

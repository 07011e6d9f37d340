"""Damage model folders and load them.

    python -m benchmarks.faults.models [--count 1000] [--seed 0]

One file of nano's folder is damaged at a time: bytes of the weights' header, values and keys of the JSON
files, cut or missing files. A folder must load or be refused with one of latentkit's errors. Folders that
load with other weights are counted: the released layout has no checksum of the weights."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch

import latentkit as lk
from benchmarks.faults.traces import TooSlow, damaged

NANO = Path(lk.__file__).parent / "models" / "nano"
ODD: list[Any] = [None, -1, 0, 1.5, 10**9, "8", [], {}, True, float("nan"), "float33", "linear"]


def damage_json(path: Path, rng: random.Random) -> None:
    content = json.loads(path.read_text())
    key = rng.choice(list(content))
    match rng.randrange(3):
        case 0:
            del content[key]
        case 1:
            content[key] = rng.choice(ODD)
        case 2:
            content[rng.choice(["num_hidden_layers", "auto_map", "n_embd", "added"])] = rng.choice(ODD)
    path.write_text(json.dumps(content))


def damage(folder: Path, rng: random.Random) -> str:
    """Damage one file; return its name."""
    name = rng.choice(
        ["config.json"] * 4 + ["model.safetensors"] * 2 + ["tokenizer.json", "tokenizer_config.json"]
    )
    path = folder / name
    match rng.randrange(5):
        case 0:
            path.unlink()
        case 1 | 2 if name.endswith(".json"):
            damage_json(path, rng)
        case _:
            raw = path.read_bytes()
            head = 4096 if rng.random() < 0.7 else len(raw)
            path.write_bytes(damaged(raw[:head], rng) + raw[head:])
    return name


def logits(model: Any) -> torch.Tensor:
    """Return the logits after three tokens and two iterations from a zero state."""
    context = model.embed(torch.tensor([[1, 2, 3]]))
    state = model.initial_state(context, None)
    for _ in range(2):
        state = model.step(state, context)
    found: torch.Tensor = model.readout(state, context)
    return found


def outcome(folder: Path, right: torch.Tensor) -> str:
    def stop(_number: int, _frame: Any) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    try:
        found = logits(lk.load_model(folder, dtype="float32"))
    except lk.LatentkitError:
        return "refused"
    except TooSlow:
        return "HANG"
    except Exception as error:
        return f"FOREIGN {type(error).__name__}: {str(error)[:90]}"
    finally:
        signal.alarm(0)
    return "same weights" if torch.equal(found, right) else "other weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, found = random.Random(arguments.seed), Counter[str]()
    right = logits(lk.load_model(NANO, dtype="float32"))
    for _ in range(arguments.count):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(shutil.copytree(NANO, Path(place, "model")))
            name = damage(folder, rng)
            came = outcome(folder, right)
            found[came.split()[0] if came.startswith("FOREIGN") else came] += 1
            if came.startswith(("FOREIGN", "HANG")):
                print(f"{name}: {came}", flush=True)
    print(dict(found))


if __name__ == "__main__":
    main()

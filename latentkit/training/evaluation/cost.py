"""Size and speed of a model: the figures of a model card that depend on the machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Cost", "measure_cost"]


class Cost(NamedTuple):
    """Size of the weights in megabytes, seconds to load them, seconds for 60 tokens × 128 iterations."""

    megabytes: float
    load: float
    trace: float


def measure_cost(name: str) -> Cost | None:
    """Time loading a model and tracing 60 tokens × 128 iterations with readouts; each is the best of three.

    Return None if the model is neither a local folder nor nano: the measured time would include a download.
    """
    from latentkit.models import load_model
    from latentkit.run import run_recurrence
    from latentkit.training.cli import NANO

    folder = NANO if name == "nano" else Path(name)
    if not folder.is_dir():
        return None
    megabytes = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6

    def load() -> Any:
        return load_model(name, dtype="float32", device="cpu")

    model = load()

    def trace() -> Any:
        return run_recurrence(model, list(range(60)), iterations=128, readout_top=5, progress=False)

    return Cost(megabytes, _fastest(load), _fastest(trace))


def _fastest(action: Any, times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)

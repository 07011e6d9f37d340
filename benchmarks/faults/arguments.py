"""Give every parameter of every public function wrong values.

    python -m benchmarks.faults.arguments [FUNCTION ...] [--accepted]

Each value must be used, or refused with one of latentkit's errors within a second. Errors of other libraries
and slow calls are listed; there must be none. With --accepted, the accepted values are listed for review.
"""

from __future__ import annotations

import argparse
import inspect
import signal
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch

import latentkit as lk

WRONG: dict[str, Any] = {
    "None": None, "-1": -1, "0": 0, "1.5": 1.5, "nan": float("nan"), "inf": float("inf"), "'8'": "8",
    "''": "", "[]": [], "{}": {}, "(1, 2)": (1, 2), "int64(3)": np.int64(3), "float32(0.5)": np.float32(0.5),
    "10**18": 10**18, "2**64": 2**64, "tensor": torch.ones(2), "path": Path("absent"), "b'Hi'": b"Hi",
    "True": True, "object": object(), "{1: 2}": {1: 2}, "[None]": [None],
    "slice": slice(3), "array": np.ones((2, 2)),
}  # fmt: skip
SECONDS = 1.0


class TooSlow(BaseException):
    """Raised by the alarm."""


def calls(folder: Path) -> dict[str, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return a valid call of each public function: positional arguments and keywords."""
    model, quiet = lk.load_model("nano-untrained"), {"progress": False}
    trace = lk.run_recurrence(model, "The cat sat.", iterations=6, limit=12, keep_states=True, **quiet)
    decoding = lk.run_decoding(model, "The cat", new_tokens=3, iterations=4, **quiet)
    layers = lk.run_layer_lens(model, "The cat", iterations=3, new_tokens=2, **quiet)
    problems = lk.run_problems(model, {"lookup": [1]}, problems=2, iterations=[1, 2], **quiet)
    file = lk.save_trace(trace, folder / "trace.nc")
    short = {"iterations": 2, **quiet}
    return {
        "run_recurrence": ((model, "The cat."), {"limit": 4, **short}),
        "run_decoding": ((model, "The cat."), {"new_tokens": 2, **short}),
        "run_lens": ((model, "The cat."), short),
        "run_local_contraction": ((model, "The cat."), quiet),
        "run_path_independence": ((model, "The cat."), {"limit": 4, **quiet}),
        "run_layer_effect": ((model, "The cat."), {"new_tokens": 1, **short}),
        "run_layer_lens": ((model, "The cat."), {"new_tokens": 1, **short}),
        "run_layer_difference": ((model, "The cat.", "The dog."), {"new_tokens": 1, **short}),
        "run_problems": ((model, {"lookup": [1]}), {"problems": 2, "iterations": [1], **quiet}),
        "save_trace": ((trace, folder / "saved.nc"), {}),
        "open_trace": ((file,), {}),
        "load_model": (("nano-untrained",), {}),
        "settling_iteration": ((trace,), {}),
        "contraction_rate": ((trace,), {}),
        "trajectory_kind": ((trace,), {}),
        "principal_components": ((trace,), {}),
        "compare_settling": ((trace, trace), {}),
        "trace_distance": ((trace, trace), {}),
        "exit_iteration": ((trace,), {}),
        "noise_floor": ((), {"dtype": "bfloat16", "hidden": 32}),
        "measured_floor": ((trace,), {}),
        "readout_rank": ((trace, " the"), {}),
        "token_slice": ((trace, "cat"), {}),
        "plot_convergence": ((trace,), {}),
        "plot_distance": ((trace,), {}),
        "plot_settling": ((trace,), {}),
        "plot_trajectory": ((trace,), {}),
        "plot_decoding": ((decoding,), {}),
        "plot_exits": ((decoding,), {}),
        "plot_rank": ((trace, [" the"]), {}),
        "plot_runs": (({"one": trace},), {}),
        "plot_layer_kl": ((layers,), {}),
        "plot_layer_profile": ((layers,), {}),
        "plot_accuracy": ((problems,), {}),
        "explore": ((trace,), {}),
        "explore_model": ((model,), {}),
        "slide": ((trace,), {}),
    }


def outcome(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> str:
    """Call the function and return a description of the outcome."""

    def stop(_number: int, _frame: Any) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 20 * SECONDS)
    try:
        function(*args, **kwargs)
    except lk.LatentkitError as error:
        return "ours" if name.rstrip("_") in str(error) or len(args) else f"ours, without the name: {error}"
    except TooSlow:
        return "SLOW"
    except Exception as error:
        return f"FOREIGN {type(error).__name__}: {str(error)[:90]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        plt.close("all")
    return "accepted"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function", nargs="*")
    parser.add_argument("--accepted", action="store_true")
    arguments = parser.parse_args()
    mpl.use("Agg")
    warnings.simplefilter("ignore")
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        right = calls(Path(folder))
        public = [name for name in dir(lk) if inspect.isfunction(getattr(lk, name))]
        if absent := sorted(set(public) - right.keys()):
            print("no right call is known of:", *absent)
        for function in arguments.function or [name for name in public if name in right]:
            args, kwargs = right[function]
            call = getattr(lk, function)
            for place, parameter in enumerate(inspect.signature(call).parameters.values()):
                if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                    continue
                for label, value in WRONG.items():
                    changed = (*args[:place], value, *args[place + 1 :]) if place < len(args) else args
                    more = kwargs if place < len(args) else {**kwargs, parameter.name: value}
                    found = outcome(call, changed, more, parameter.name)
                    total[found.split()[0].rstrip(",")] += 1
                    if found != "ours" and (found != "accepted" or arguments.accepted):
                        print(f"{function}({parameter.name}={label}): {found}", flush=True)
    print(dict(total))


if __name__ == "__main__":
    main()

"""Give every parameter of every public function wrong values.

    python -m benchmarks.faults.arguments [FUNCTION ...] [--accepted] [--part 0/2]

Each value must be used, or refused within a second of processor time with one of latentkit's errors that
names the parameter. Errors of other libraries, errors without the name and slow calls are listed; there must
be none. With --accepted, the accepted values are listed for review. --part runs a part of the functions.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import os
import re
import signal
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
import xarray as xr

import latentkit as lk
from latentkit import measure, problems

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
    trace = lk.run_recurrence(model, "The cat sat.", iterations=16, limit=24, keep_states=True, **quiet)
    decoding = lk.run_decoding(model, "The cat", new_tokens=3, iterations=4, **quiet)
    layers = lk.run_layer_lens(model, "The cat", iterations=3, new_tokens=2, **quiet)
    solved = lk.run_problems(model, {"lookup": [1]}, problems=2, iterations=[1, 2], **quiet)
    chances = trace.entropy.where(trace.iteration > 0) * 0 + 0.1
    gated = trace.assign(exit_probability=chances)
    likely = str(trace.readout_text.isel(token=-1).values.flat[0])
    counts = xr.DataArray([1, 2], dims="seed")
    file = lk.save_trace(trace, folder / "trace.nc")
    short = {"iterations": 2, **quiet}
    sweep = lk.run_sweep("run_recurrence", model, ["a", "b"], folder / "sweep.zarr", **short)
    return {
        "run_recurrence": ((model, "The cat."), {"limit": 4, **short}),
        "run_decoding": ((model, "The cat."), {"new_tokens": 2, **short}),
        "run_lens": ((model, "The cat."), short),
        "run_local_contraction": ((model, "The cat."), quiet),
        "run_path_independence": ((model, "The cat."), {"iterations": 4, **quiet}),
        "run_layer_effect": ((model, "The cat."), {"new_tokens": 1, **short}),
        "run_layer_lens": ((model, "The cat."), {"new_tokens": 1, **short}),
        "run_layer_difference": ((model, "The cat.", "The dog."), {"new_tokens": 1, **short}),
        "run_sweep": (("run_recurrence", model, ["a", "b"], folder / "sweep.zarr"), short),
        "estimate": (("run_recurrence", model, "The cat."), {"limit": 4, "iterations": 2}),
        "select_prompt": ((sweep, 0), {}),
        "measure.median_distance": ((trace,), {}),
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
        "exit_iteration": ((trace, "entropy-diff"), {}),
        "noise_floor": ((), {"dtype": "bfloat16", "hidden": 32}),
        "measured_floor": ((trace,), {}),
        "readout_rank": ((trace.isel(token=-1), likely), {}),
        "token_slice": ((trace, "cat"), {}),
        "plot_convergence": ((trace,), {}),
        "plot_distance": ((trace,), {}),
        "plot_settling": ((trace,), {}),
        "plot_trajectory": ((trace,), {}),
        "plot_decoding": ((decoding,), {}),
        "plot_exits": ((decoding,), {}),
        "plot_rank": ((trace.isel(token=-1), likely), {}),
        "plot_runs": (({"one": trace},), {}),
        "plot_layer_kl": ((layers,), {}),
        "plot_layer_profile": ((layers,), {}),
        "plot_accuracy": ((solved,), {}),
        "answer_iteration": ((trace,), {}),
        "color_limits": ((trace,), {}),
        "examples": ((), {}),
        "open_example": (("smollm2_layer_lens",), {}),
        "with_alt": ((lk.plot_convergence(trace),), {}),
        "measure.exit_criteria": ((trace,), {}),
        "measure.trace_floor": ((trace,), {}),
        "measure.exit_distribution": ((gated,), {}),
        "measure.gate_exit": ((gated, 0.5), {}),
        "measure.mean_interval": ((counts,), {}),
        "measure.geometric_mean_interval": ((counts,), {}),
        "measure.share_interval": ((counts, 2), {}),
        "measure.step_cosine": ((trace,), {}),
        "measure.stable_from": ((trace.readout_id.isel(rank=0) > 0,), {}),
        "problems.draw_problems": (("lookup", 2), {}),
        "problems.make_problem": (("lookup",), {"seed": 0}),
        "explore": ((trace,), {}),
        "explore_model": ((model,), {}),
        "slide": ((trace,), {}),
        "save_live_html": ((model, folder / "live.html"), {}),
    }


def outcome(call: Callable[[], Any], name: str) -> str:
    """Make the call and return a description of the outcome."""

    def stop(_number: int, _frame: Any) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 30 * SECONDS)
    begin = time.process_time()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars
            call()
        came = "accepted"
    except lk.LatentkitError as error:
        stem = name.rstrip("_s").replace("_", "[_ ]")
        came = "ours" if re.search(stem, str(error), re.IGNORECASE) else f"UNNAMED {error}"
    except TooSlow:
        came = "SLOW"
    except Exception as error:
        came = f"FOREIGN {type(error).__name__}: {str(error)[:90]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        plt.close("all")
    seconds = time.process_time() - begin
    slow = seconds > SECONDS and came != "accepted"  # an accepted call may have work to do
    return f"SLOW {seconds:.1f} s, {came}" if slow else came


def cases(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield each parameter with each wrong value, and the call."""
    for place, parameter in enumerate(inspect.signature(call).parameters.values()):
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        for label, value in WRONG.items():
            given, more = args, {**kwargs, parameter.name: value}
            if place < len(args) or parameter.kind is parameter.VAR_POSITIONAL:
                given, more = (*args[:place], value, *args[place + 1 :]), kwargs
            yield parameter.name, label, partial(call, *given, **more)


def public_functions() -> dict[str, Callable[..., Any]]:
    """Return the public functions by name: of the package, of `measure`, and of `problems`."""
    found = {name: getattr(lk, name) for name in dir(lk)}
    for part in (measure, problems):
        short = part.__name__.rpartition(".")[2]
        named = {f"{short}.{name}": getattr(part, name) for name in part.__all__}
        found |= {name: each for name, each in named.items() if name.partition(".")[2] not in found}
    return {name: each for name, each in found.items() if inspect.isfunction(each)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function", nargs="*")
    parser.add_argument("--accepted", action="store_true")
    parser.add_argument("--part", default="0/1")
    arguments = parser.parse_args()
    mpl.use("Agg")
    warnings.simplefilter("ignore")
    part, parts = map(int, arguments.part.split("/"))
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # some wrong values are paths
        right, public = calls(Path(folder)), public_functions()
        if absent := sorted(public.keys() - right.keys()):
            print("no right call is known of:", *absent)
        for function in arguments.function or sorted(public.keys() & right.keys())[part::parts]:
            if (
                found := outcome(partial(public[function], *right[function][0], **right[function][1]), "")
            ) != "accepted":
                print(f"{function}: the right call fails: {found}", flush=True)
            for name, label, call in cases(public[function], *right[function]):
                found = outcome(call, name)
                total[found.split()[0]] += 1
                if found != "ours" and (found != "accepted" or arguments.accepted):
                    print(f"{function}({name}={label}): {found}", flush=True)
        os.chdir("/")
    print(sum(total.values()), dict(total))


if __name__ == "__main__":
    main()

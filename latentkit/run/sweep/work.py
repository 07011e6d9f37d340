"""The work of a sweep: one batch of prompts to traces or errors, here or on another machine."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import xarray as xr

from latentkit.errors import ArgumentError, LatentkitError, nearest
from latentkit.run.decoding import run_decoding
from latentkit.run.layers import run_layer_difference, run_layer_effect, run_layer_lens
from latentkit.run.recurrence import run_lens, run_local_contraction, run_path_independence, run_recurrence
from latentkit.run.recurrence.batch import trace_batch

__all__ = ["RUNS", "Outcome", "can_batch", "loaded", "run_batch", "run_name"]

#: The functions that a sweep can run, by their names.
RUNS: dict[str, Callable[..., xr.Dataset]] = {
    run.__name__: run
    for run in (
        run_recurrence,
        run_decoding,
        run_lens,
        run_local_contraction,
        run_path_independence,
        run_layer_effect,
        run_layer_lens,
        run_layer_difference,
    )
}
_BATCHED_OPTIONS = {"iterations", "limit", "seed", "seeds", "readout_top", "keep_states"}


class Outcome(NamedTuple):
    """Outcome of one prompt: a trace or an error."""

    number: int
    trace: xr.Dataset | None
    error: str = ""


def run_name(run: Any) -> str:
    """Return the name of a function in `RUNS`, from the function or its name."""
    name = run if isinstance(run, str) else getattr(run, "__name__", repr(run))
    if name not in RUNS:
        raise ArgumentError(
            f"run is {run!r}; pass a run_* function of one prompt. {nearest(str(name), RUNS)}"
        )
    return str(name)


def can_batch(run: str, options: Mapping[str, Any]) -> bool:
    """Whether the run has a form for several prompts of equal length."""
    return run == "run_recurrence" and options.keys() <= _BATCHED_OPTIONS


def run_batch(
    run: str, model: Any, prompts: Mapping[int, Mapping[str, Any]], options: Mapping[str, Any]
) -> list[Outcome]:
    """Run prompts of equal length together, or one after the other where a batch fails.

    Parameters
    ----------
    run : str
        A key of `RUNS`.
    model : RecurrentModel or str
        A model, or a name for `load_model`, which each process loads once.
    prompts : mapping of int to mapping
        ``prompt``, ``system`` and ``chat`` by the prompt's number.
    options : mapping
        Keyword arguments of the run.

    Raises
    ------
    KeyboardInterrupt
        If it is interrupted; nothing of the batch is kept.
    """
    model = loaded(model) if isinstance(model, str) else model
    if len(prompts) > 1:
        try:
            traces = trace_batch(model, list(prompts.values()), **options)
            return [Outcome(number, trace) for number, trace in zip(prompts, traces, strict=True)]
        except Exception:  # noqa: BLE001, S110  (one of them fails; run alone, each has its own error)
            pass
    return [_one(run, model, number, prompt, options) for number, prompt in prompts.items()]


def _one(run: str, model: Any, number: int, prompt: Mapping[str, Any], options: Mapping[str, Any]) -> Outcome:
    try:
        trace = RUNS[run](model, prompt["prompt"], **_asked(prompt), **options, progress=False)
    except LatentkitError as error:
        return Outcome(number, None, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  (after any error the other prompts still run)
        line = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(number, None, f"{type(error).__name__}: {error} ({line.name}, line {line.lineno})")
    if trace.attrs.get("interrupted"):
        raise KeyboardInterrupt
    return Outcome(number, trace)


def _asked(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a prompt sets."""
    return {name: prompt[name] for name in ("system", "chat") if prompt[name]}


@functools.lru_cache(maxsize=1)
def loaded(name: str) -> Any:
    """Return a model that is loaded once in this process."""
    from latentkit.models import load_model

    return load_model(name)

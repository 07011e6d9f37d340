"""`run_sweep`: the same run on many prompts, into one store; it continues after a crash."""

from __future__ import annotations

import inspect
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.arguments import file_path, shown_value
from latentkit.errors import ArgumentError, nearest
from latentkit.run.arguments import flag
from latentkit.run.progress import Progress
from latentkit.run.prompting import token_texts
from latentkit.run.provenance import provenance
from latentkit.run.sweep.prompts import PromptTable, batches, read_prompts, token_counts
from latentkit.run.sweep.spread import spread
from latentkit.run.sweep.store import SweepStore
from latentkit.run.sweep.work import RUNS, Outcome, can_batch, loaded, run_batch, run_name
from latentkit.trace import KINDS, open_trace

__all__ = ["run_sweep"]

_OF_THE_SWEEP = {"model", "prompt", "system", "chat", "progress"}  # arguments that no option may set


def run_sweep(
    run: str | Callable[..., xr.Dataset],
    model: Any,
    prompts: Any,
    store: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | None = None,
    client: Any = None,
    retry_failed: bool = False,
    progress: bool = True,
    **options: Any,
) -> xr.Dataset:
    """Run one function on many prompts; each result is stored as its prompt ends.

    Parameters
    ----------
    run : function or str
        A ``run_*`` function that takes one prompt, or its name: ``lk.run_recurrence``.
    model : RecurrentModel or str
        A model, or a name for `load_model`, which each worker then loads once.
    prompts : sequence of prompts, mapping of columns, or pandas DataFrame
        Prompts as in `run_recurrence`. A table has a column ``prompt``, perhaps ``system`` and ``chat``; its
        other columns label the prompts and become coordinates.
    store : path
        Folder of the results, for example ``"night.zarr"``. If it holds the same sweep, the sweep
        continues where it ended; the store of another sweep is refused.
    seeds : list of int, optional
        Passed to functions that take several seeds.
    client : dask.distributed.Client, optional
        Runs the prompts on its workers instead of in this process: processes of this machine
        (``Client(n_workers=4)``), jobs of SLURM (``Client(dask_jobqueue.SLURMCluster(...))``), or pods of
        Kubernetes (``Client(dask_kubernetes.operator.KubeCluster(...))``). Only this process writes the
        store.
    retry_failed : bool
        Run prompts again that failed earlier.
    progress : bool
        Show a progress bar with the remaining time.
    **options
        Arguments of ``run``.

    Returns
    -------
    Dataset [prompt, ...]
        As `open_trace` of the store: of the kind "sweep", variables read when they are used.
        ``status``, ``error`` and ``length`` of each prompt are coordinates; `select_prompt` returns the trace
        of one prompt.

    Raises
    ------
    ArgumentError
        If an argument is out of its range, or the store belongs to another sweep or is in use.
    FileError
        If the store cannot be written; what is recorded in it stays.

    Notes
    -----
    A prompt that fails is recorded with its error, and the others continue. An interrupt (Ctrl-C), a crash
    or a kill loses at most the prompts that are running; the same call then continues. Prompts with the same
    number of tokens run in one batch where the function allows it; nothing is padded. The batches depend
    only on the prompts, so an interrupted sweep ends with the same values as one without interruption.

    Examples
    --------
    >>> import tempfile
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> folder = tempfile.mkdtemp()
    >>> sweep = lk.run_sweep(
    ...     lk.run_recurrence, model, ["One", "Two"], f"{folder}/two.zarr", iterations=4, progress=False
    ... )
    >>> sweep.status.values.tolist()
    ['done', 'done']
    """
    name, folder = run_name(run), file_path("store", store, "night.zarr")
    if seeds is not None:
        options["seeds"] = seeds
    _check_options(name, options)
    table = read_prompts(prompts)
    here = loaded(model) if isinstance(model, str) else model
    if not hasattr(here, "tokenizer"):
        raise ArgumentError(f"model is {shown_value(model)}; pass a model from load_model, or its name.")
    counts = token_counts(here.tokenizer, table)
    groups = batches(counts, batched=can_batch(name, options))
    with SweepStore(
        folder,
        _asked(name, here, table, options),
        labels=table.labels,
        vocabulary=lambda: token_texts(here.tokenizer, range(here.vocab_size)),
        bounds=_bounds(name, counts, options),
    ) as opened:
        done = opened.recorded(failed=not flag("retry_failed", retry_failed))
        pending = [group for group in groups if not done.issuperset(group)]
        jobs = ({number: table.prompts[number] for number in group} for group in pending)
        work: Iterator[list[Outcome]]
        if client is None:
            work = (run_batch(name, here, job, options) for job in jobs)
        else:
            work = spread(client, name, model, jobs, options)
        total, left = len(table.prompts), sum(len(set(group) - done) for group in pending)
        with Progress(total, here.name, visible=flag("progress", progress)) as bar:
            bar.advance(total - left)
            _collect(opened, work, done, bar)
    return open_trace(store)


def _collect(store: SweepStore, work: Iterator[list[Outcome]], done: set[int], bar: Progress) -> None:
    """Write the outcomes as they come, until all are there or a stop is requested."""
    try:
        for outcomes in work:
            new = [each for each in outcomes if each.number not in done]
            store.write(new)
            bar.advance(len(new))
            if bar.stopped:
                break
        else:
            return
    except KeyboardInterrupt:
        pass
    warnings.warn(
        "Interrupted: the finished prompts are in the store. Repeat the call to run the others.",
        stacklevel=3,
    )


def _check_options(run: str, options: Mapping[str, Any]) -> None:
    known = inspect.signature(RUNS[run]).parameters.keys() - _OF_THE_SWEEP
    for option in options:
        if option not in known:
            raise ArgumentError(
                f"{run} has no argument {option!r} that a sweep can set. {nearest(option, known)}"
            )


def _asked(run: str, model: Any, table: PromptTable, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes two sweeps the same, as JSON values."""
    about = provenance(model)
    found = {
        "run": run,
        "of": next(kind.name for kind in KINDS.values() if run in kind.functions),
        "model": [about["model"], about["revision"], about["dtype"], about["weights_digest"]],
        "options": {name: options[name] for name in sorted(options)},
        "prompts": table.texts,
        "labels": {name: values.tolist() for name, values in table.labels.items()},
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=_plain))
    return plain


def _plain(value: Any) -> Any:
    """Return a value of an option that JSON can hold; a model by its name and weights."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, slice):
        return ["slice", value.start, value.stop, value.step]
    if hasattr(value, "module"):
        about = provenance(value)
        return [about["model"], about["weights_digest"]]
    return list(value) if isinstance(value, (range, tuple, set)) else repr(value)


def _bounds(run: str, counts: Sequence[int | None], options: Mapping[str, Any]) -> dict[str, int]:
    """Return the largest numbers of tokens and of new tokens that a trace of the sweep can have."""
    parameter = inspect.signature(RUNS[run]).parameters.get("new_tokens")
    new = options.get("new_tokens", parameter.default if parameter else 0)
    new = int(new) if isinstance(new, (int, np.integer)) else 0
    return {"token": max((count or 0 for count in counts), default=0) + new, "generated_token": new}

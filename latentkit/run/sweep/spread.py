"""Spread the batches of a sweep over the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import islice
from typing import Any

from latentkit.errors import ArgumentError
from latentkit.run.sweep.work import Outcome, run_batch

__all__ = ["spread"]

_PER_THREAD = 2  # batches queued per worker, so that no worker is idle
_RETRIES = 3  # retries of a batch whose worker died


def spread(
    client: Any,
    run: str,
    model: Any,
    jobs: Iterable[Mapping[int, Mapping[str, Any]]],
    options: Mapping[str, Any],
) -> Iterator[list[Outcome]]:
    """Return an iterator over the outcomes of the batches, in the order in which they end.

    Parameters
    ----------
    client : dask.distributed.Client
    run, options
        As for `run_batch`.
    model : RecurrentModel or str
        A model is sent to each worker once; a name is loaded once by each worker.
    jobs : iterable of mapping
        The prompts of each batch, by their numbers.

    Raises
    ------
    ArgumentError
        If ``client`` is not one, or Dask is not installed.
    """
    try:
        import distributed
    except ImportError:
        msg = "client= needs Dask. Install it with: pip install 'latentkit[cluster]'"
        raise ArgumentError(msg) from None
    if not isinstance(client, distributed.Client):
        msg = f"client is {client!r}; pass a dask.distributed.Client, or None."
        raise ArgumentError(msg)
    return _outcomes(client, run, model, iter(jobs), options)


def _outcomes(
    client: Any, run: str, model: Any, waiting: Iterator[Mapping[int, Any]], options: Mapping[str, Any]
) -> Iterator[list[Outcome]]:
    ended: Any = import_module("distributed").as_completed  # the package has no types
    sent = model if isinstance(model, str) else client.scatter(model, broadcast=True)

    def submit(job: Mapping[int, Mapping[str, Any]]) -> Any:
        return client.submit(run_batch, run, sent, job, options, pure=False, retries=_RETRIES)

    room = _PER_THREAD * max(1, sum(client.nthreads().values()))
    running = ended(map(submit, islice(waiting, room)), with_results=True)
    try:
        for _, outcomes in running:
            running.update([submit(job) for job in islice(waiting, 1)])
            yield outcomes
    finally:
        client.cancel(list(running.futures))

"""`latentkit sweep`: a sweep over a table of prompts from the shell."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from latentkit.errors import ArgumentError
from latentkit.run.sweep.sweep import run_sweep
from latentkit.run.sweep.work import RUNS

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run a sweep; return the exit status, 1 where prompts failed."""
    asked = _parser().parse_args(argv)
    table = _read(asked.prompts)
    name = asked.run if asked.run.startswith("run_") else f"run_{asked.run}"
    with _cluster(asked.workers) as client:
        sweep = run_sweep(
            name,
            asked.model,
            table,
            asked.out,
            client=client,
            retry_failed=asked.retry_failed,
            **dict(asked.set),
        )
    status = list(sweep["status"].values)
    done, failed = status.count("done"), status.count("failed")
    print(f"{done} of {len(status)} prompts are done, {failed} failed: {asked.out}")
    for number in [i for i, each in enumerate(status) if each == "failed"][:5]:
        print(f"  prompt {number}: {sweep['error'].values[number]}")
    return 0 if done == len(status) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="latentkit sweep",
        description="Run a function on each prompt of a table. The same command continues after a crash.",
    )
    parser.add_argument(
        "prompts", type=Path, help="CSV file with a column 'prompt'; other columns are labels"
    )
    parser.add_argument("--out", required=True, help="the store, a folder such as night.zarr")
    names = ", ".join(name.removeprefix("run_") for name in RUNS)
    parser.add_argument("--run", default="recurrence", help=f"one of {names} (default: recurrence)")
    parser.add_argument("--model", default="nano", help="name or folder, as for load_model (default: nano)")
    parser.add_argument("--workers", type=int, default=0, help="processes of a Dask cluster on this machine")
    parser.add_argument("--retry-failed", action="store_true", help="run prompts again that failed earlier")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="arguments, as in iterations=64",
    )
    return parser


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _read(path: Path) -> dict[str, list[Any]]:
    """Read a table of prompts; every cell is text, and an empty one is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise ArgumentError(f"The table {path} cannot be read: {error}") from error
    names = reader.fieldnames or ()
    table: dict[str, list[Any]] = {name: [row[name] or "" for row in rows] for name in names}
    if "chat" in table:
        table["chat"] = [text.strip().lower() in {"1", "true", "yes"} for text in table["chat"]]
    return table


def _cluster(workers: int) -> Any:
    """Return a client of a local cluster with so many processes of one thread each; for 0, no client."""
    if not workers:
        return nullcontext()
    try:
        from distributed import Client
    except ImportError:
        msg = "--workers needs Dask. Install it with: pip install 'latentkit[cluster]'"
        raise ArgumentError(msg) from None
    return Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)  # type: ignore[no-untyped-call]

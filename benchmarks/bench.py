"""Every comparison that latentkit claims, in one table: RESULTS.md.

    make bench                                   all comparisons, then the table
    python -m benchmarks.bench tracing cached    some of them
    python -m benchmarks.bench --table           the table alone, from the numbers measured so far
    python -m benchmarks.bench --quick           everything once and briefly; writes nothing

Run from the project's root, on a machine without other work. Both sides of a comparison alternate, so that
other work affects both. The numbers of each comparison are kept in results/NAME.json, with machine and
versions, so that the whole can be measured in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.comparisons import COMPARISONS, Row

HERE = Path(__file__).parent
KEPT = HERE / "results"
TABLE = HERE / "RESULTS.md"
PACKAGES = ("latentkit", "torch", "transformers", "numpy", "xarray")


def machine() -> str:
    """Return processor, cores in use, memory and, if there is one, the GPU."""
    import psutil
    import torch

    from latentkit.threads import available_cores

    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    processor = names[0].partition(":")[2].strip() if names else platform.machine()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    memory = psutil.virtual_memory().total / 2**30
    return f"{processor}, {available_cores()} cores, {memory:.0f} GiB, {platform.system()}{gpu}"


def measure(name: str, *, quick: bool) -> dict[str, Any]:
    """Run one comparison; return its rows with machine and versions."""
    versions = {package: version(package) for package in PACKAGES}
    rows = [row._asdict() for row in COMPARISONS[name](quick=quick)]
    return {"machine": machine(), "python": platform.python_version(), "versions": versions, "rows": rows}


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of all measured comparisons."""
    intro = (
        "`make bench` writes this file. Each cell has the median, and in brackets the smallest and the "
        "largest of the repetitions. The ratio is the other side over latentkit, so a number above 1 speaks "
        "for latentkit. Where latentkit does more than the computation beside it, the column says what this "
        "costs."
    )
    parts = ["# What was measured", "", intro]
    for heading, names in _by_machine(found).items():
        parts += ["", f"**{heading}**", "", "| comparison | latentkit | beside it | ratio | aim |"]
        parts.append("|---|---|---|---|---|")
        parts += [line(Row(**row)) for name in names for row in found[name]["rows"]]
    missing = [name for name in COMPARISONS if name not in found]
    parts += ["", f"Not measured here: {', '.join(missing)}."] if missing else []
    return "\n".join(parts) + "\n"


def line(row: Row) -> str:
    """Return a row of the table."""
    beside = f"{row.other_name}: {spread(row.other, row.unit)}" if row.other else "–"
    ratio = "–"
    if row.other:
        one, other = statistics.median(row.ours), statistics.median(row.other)
        if one and other:
            ratio = f"costs {one / other:.2f} ×" if row.costs else f"{other / one:.3g}"
    return f"| {row.what} | {spread(row.ours, row.unit)} | {beside} | {ratio} | {row.aim or '–'} |"


def spread(values: Sequence[float], unit: str) -> str:
    """Return the median, and the smallest and largest of several values.

    Examples
    --------
    >>> spread([0.5, 0.25, 1.0], "s"), spread([3.0], "MB")
    ('0.5 s (0.25–1)', '3 MB')
    """
    shown = f"{statistics.median(values):.3g} {unit}".strip()
    return shown if len(values) == 1 else f"{shown} ({min(values):.3g}–{max(values):.3g})"


def _by_machine(found: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in COMPARISONS:
        if name in found:
            one = found[name]
            versions = ", ".join(f"{package} {number}" for package, number in one["versions"].items())
            groups.setdefault(f"{one['machine']}; Python {one['python']}, {versions}", []).append(name)
    return groups


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []


def main(arguments: Sequence[str] | None = None, say: Callable[[str], None] = print) -> None:
    """Measure, keep and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COMPARISONS)}")
    parser.add_argument("--table", action="store_true", help="only write the table")
    parser.add_argument("--quick", action="store_true", help="try every script briefly; writes nothing")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(COMPARISONS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(COMPARISONS)}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for name in [] if given.table else given.names or COMPARISONS:
        result = measure(name, quick=given.quick)
        if not given.quick:
            KEPT.mkdir(exist_ok=True)
            (KEPT / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for row in result["rows"]:
            say(line(Row(**row)))
    if not given.quick:
        kept = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in KEPT.glob("*.json")}
        TABLE.write_text(table(kept), encoding="utf-8")


if __name__ == "__main__":
    main()

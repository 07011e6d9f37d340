"""Trace in 1, 2, 4, 8 and 16 processes at once.

    python -m benchmarks.faults.kernels [--most 16]

The settings are the defaults, without environment variables for threads. Each process loads nano, waits for
the others, traces one prompt and reports its time and memory. The target is
n × the time of a single process / cores."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from latentkit.threads import CHOSEN_BY, available_cores

KERNEL = """
import sys, time
import psutil
import latentkit as lk
model = lk.load_model("nano")
def trace():
    return lk.run_recurrence(model, list(range(60)), iterations=128, readout_top=5, progress=False)
trace()
print("ready", flush=True)
sys.stdin.readline()
begin = time.perf_counter()
found = trace()
print(time.perf_counter() - begin, flush=True)
sys.stdin.readline()  # until all have traced
def megabytes():
    return psutil.Process().memory_full_info().uss / 2**20
used = [megabytes()]
ax = lk.plot_convergence(found)
ax.figure.canvas.draw()
used.append(megabytes())
explorer = lk.explore(found)
used.append(megabytes())
print(*used, flush=True)
"""


def at_once(count: int, environment: dict[str, str]) -> list[list[float]]:
    """Trace in ``count`` processes; return seconds, and megabytes after trace, plot and explorer, of each."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(count)
    ]
    _said(started)
    _go(started)
    seconds = _said(started)
    _go(started)
    used = _said(started)
    for process in started:
        process.communicate()
    return [[float(part) for part in f"{a} {b}".split()] for a, b in zip(seconds, used, strict=True)]


def _said(started: list[subprocess.Popen[str]]) -> list[str]:
    return [process.stdout.readline() for process in started if process.stdout]


def _go(started: list[subprocess.Popen[str]]) -> None:
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=16)
    most = parser.parse_args().most
    kept = {k: v for k, v in os.environ.items() if k not in (*CHOSEN_BY, "OMP_WAIT_POLICY")}
    cores = available_cores()
    alone = statistics.median(at_once(1, kept)[0][0] for _ in range(3))
    print(f"{cores} cores; alone {alone:.2f} s")
    print("| processes | median s | slowest s | slowest / (n × alone / cores) | MiB: trace, plot, explorer |")
    print("|---|---|---|---|---|")
    for count in (n for n in (1, 2, 4, 8, 16) if n <= most):
        results = at_once(count, kept)
        seconds = [each[0] for each in results]
        expected = alone * max(1, count / cores)
        largest = ", ".join(f"{max(column):.0f}" for column in list(zip(*results, strict=True))[1:])
        print(f"| {count} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | "
              f"{max(seconds) / expected:.2f} | {largest} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

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
seconds = time.perf_counter() - begin
lk.plot_convergence(found)
lk.explore(found)
print(seconds, psutil.Process().memory_full_info().uss / 2**20, flush=True)
"""


def at_once(count: int, environment: dict[str, str]) -> list[tuple[float, float]]:
    """Return seconds and megabytes of each of ``count`` processes that trace at the same time."""
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
    for process in started:
        assert process.stdout
        process.stdout.readline()
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    results = []
    for process in started:
        seconds, megabytes = map(float, process.communicate()[0].split())
        results.append((seconds, megabytes))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=16)
    most = parser.parse_args().most
    kept = {k: v for k, v in os.environ.items() if k not in (*CHOSEN_BY, "OMP_WAIT_POLICY")}
    cores = available_cores()
    alone = statistics.median(at_once(1, kept)[0][0] for _ in range(3))
    print(f"{cores} cores; alone {alone:.2f} s")
    print("| processes | median s | slowest s | slowest / (n × alone / cores) | memory, largest MiB |")
    print("|---|---|---|---|---|")
    for count in (n for n in (1, 2, 4, 8, 16) if n <= most):
        results = at_once(count, kept)
        seconds = [each for each, _ in results]
        expected = alone * max(1, count / cores)
        largest = max(megabytes for _, megabytes in results)
        print(f"| {count} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | "
              f"{max(seconds) / expected:.2f} | {largest:.0f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

"""Save traces on full disks and kill the saver.

    python -m benchmarks.faults.saving [--kills 50] [--seed 0] [--only kills]

A limit on the size of files (RLIMIT_FSIZE) simulates a full disk, at nine sizes up to that of the trace. Each
time the process must continue with one of latentkit's errors, and the earlier file must be complete. Then
forked processes that save in a loop are killed at random moments. The file must be complete each time, and
no other file may remain at the end."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import latentkit as lk

FULL = """
import resource, signal, sys
import latentkit as lk
trace = lk.open_trace(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    lk.save_trace(trace, sys.argv[2])
except lk.LatentkitError as error:
    print("refused:", error)
"""


def full_disks(source: Path, target: Path) -> None:
    size, right = source.stat().st_size, lk.open_trace(source)
    for tenth in range(1, 10):
        target.write_bytes(source.read_bytes())
        limit = size * tenth // 10
        command = [sys.executable, "-c", FULL, str(source), str(target), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        kept = lk.open_trace(target).identical(right)
        left = others(source, target)
        print(f"{limit:>9,} bytes: exit {done.returncode}, earlier file whole: {kept}, left over: {left}; "
              f"{done.stdout.strip()[:60]}{done.stderr.strip()[-60:]}", flush=True)  # fmt: skip


def kills(source: Path, target: Path, count: int, seed: int) -> None:
    right, rng = lk.open_trace(source), random.Random(seed)
    whole = strays = saved = 0
    lk.save_trace(right, target)
    for number in range(count):
        before = target.stat().st_ino
        saver = os.fork()
        if saver == 0:
            while True:
                lk.save_trace(right, target)
        time.sleep(rng.uniform(0.1, 0.4))
        end = time.monotonic() + 5
        while number % 2 and not others(source, target) and time.monotonic() < end:
            pass  # every other kill comes while an unfinished file is there
        os.kill(saver, signal.SIGKILL)
        os.waitpid(saver, 0)
        saved += target.stat().st_ino != before
        strays += len(others(source, target))
        whole += lk.open_trace(target).identical(right)
    time.sleep(1.1)
    lk.save_trace(right, target)
    print(f"killed {count} times, {saved} of them after a save: the file was whole {whole} times")
    print(f"unfinished files after a kill: {strays}; after one more save: {others(source, target)}")


def others(source: Path, target: Path) -> list[str]:
    """Return the files beside the two."""
    return sorted(path.name for path in target.parent.iterdir() if path not in (source, target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("full", "kills"))
    arguments = parser.parse_args()
    trace = lk.run_recurrence(
        lk.load_model("nano-untrained"), "The cat sat.", iterations=64, keep_states=True, progress=False
    )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.nc"), Path(folder, "target.nc")
        lk.save_trace(trace, source)
        if arguments.only != "kills":
            full_disks(source, target)
        if arguments.only != "full":
            kills(source, target, arguments.kills, arguments.seed)


if __name__ == "__main__":
    main()

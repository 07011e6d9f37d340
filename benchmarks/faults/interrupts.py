"""Interrupt runs at random moments in a real kernel.

    python -m benchmarks.faults.interrupts [RUN ...] [--count 100] [--seed 0] [--seconds 350]

An interrupt must give the completed part with a warning, or a KeyboardInterrupt if nothing was complete.
The progress bar counts the completed units. A run that raises although units were complete, and any other
outcome, counts as lost. At the end the same kernel must run the same call to its end. With
--seconds each run ends after that time, even if it made fewer interrupts."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from contextlib import suppress
from queue import Empty
from typing import Any

from jupyter_client.manager import start_new_kernel

PREPARE = """
import warnings
import latentkit as lk
model = lk.load_model("nano")
words = "The cat sat on the mat and looked at the moon. " * 4
from latentkit.run import progress
units, count_up = [0], progress.tqdm.update
def update(bar, n=1):
    units[0] += n
    return count_up(bar, n)
progress.tqdm.update = update
"""
RUNS = {
    "recurrence": "lk.run_recurrence(model, words, iterations=64, limit=64, progress=True)",
    "decoding": "lk.run_decoding(model, words, new_tokens=8, iterations=16, progress=True)",
    "layers": "lk.run_layer_effect(model, words, iterations=12, new_tokens=2, progress=True)",
    "problems": 'lk.run_problems(model, {"sums": [1, 2]}, problems=30, iterations=[1, 8], progress=True)',
}
RUN = """
state, kept, units[0] = "nothing", None, 0
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        kept = {call}
        state = "kept"
    except KeyboardInterrupt:
        state = "interrupted"
"""
SAY = """
warned = any("nterrupted" in str(each.message) for each in caught)
print(state, units[0], kept is not None and all(kept.sizes.values()), warned)
"""


def asked(client, code: str, timeout: float = 120) -> str:
    """Run code and return what it printed, or the name of its error."""
    text = []

    def hook(message):
        if message["msg_type"] == "stream":
            text.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=hook, timeout=timeout, store_history=False)
    return "".join(text) if reply["content"]["status"] == "ok" else reply["content"]["ename"]


def judged(said: str, total: int) -> str:
    """Return the outcome of one interrupted run from what the kernel printed."""
    try:
        state, units, whole, warned = said.split()
        done = int(units)
    except ValueError:
        return f"LOST: {said}"
    if state in {"waiting", "interrupted"}:
        return "nothing was complete" if done == 0 else f"LOST after {done} of {total} units"
    if state != "kept" or (whole != "True" and done == total):
        return f"LOST: {said}"
    if whole != "True":
        return "warned, no curve was complete" if warned == "True" else f"LOST: {said}"
    if warned == "True":
        return "part kept"
    return "finished" if done == total else f"LOST: {said}"


def interrupted(manager: Any, client: Any, call: str, wait: float) -> str:
    """Start the call, interrupt it after ``wait`` seconds, and return what the kernel says about it."""
    asked(client, "state, kept, caught, units[0] = 'waiting', None, [], 0")
    client.execute(RUN.format(call=call), store_history=False)
    time.sleep(wait)
    manager.interrupt_kernel()
    with suppress(Empty):  # the kernel forgets its reply if the interrupt comes just before or after the run
        client.get_shell_msg(timeout=30)
    said = asked(client, SAY).strip()
    return asked(client, SAY).strip() if said == "KeyboardInterrupt" else said  # it came after the run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="*", help=f"of {', '.join(RUNS)}; default all")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        asked(client, PREPARE)
        for name in arguments.run or RUNS:
            begin = time.perf_counter()
            asked(client, RUN.format(call=RUNS[name]))
            alone = time.perf_counter() - begin
            total = int(asked(client, "print(units[0])"))
            if not total:
                print(f"{name}: the call fails without an interrupt: {asked(client, RUNS[name])}")
                continue
            found: Counter[str] = Counter()
            while found.total() < arguments.count and time.perf_counter() - begin < arguments.seconds:
                said = interrupted(manager, client, RUNS[name], rng.uniform(0, 1.1 * alone))
                found[judged(said, total)] += 1
            asked(client, RUN.format(call=RUNS[name]))
            after = judged(asked(client, SAY).strip(), total)
            counts = f"{found.total()} interrupts: {dict(found)}; afterwards {after}"
            print(f"{name} ({alone:.1f} s, {total} units), {counts}", flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()

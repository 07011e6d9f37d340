"""Interrupt runs at random moments in a real kernel.

    python -m benchmarks.faults.interrupts [--count 100]

An interrupt must give the completed part with a warning, or a KeyboardInterrupt if nothing was complete.
Afterwards the same kernel must run the same call to its end. Any other outcome counts as lost."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter

from jupyter_client.manager import start_new_kernel

PREPARE = """
import warnings
import latentkit as lk
model = lk.load_model("nano")
words = "The cat sat on the mat and looked at the moon. " * 4
"""
RUNS = {
    "recurrence": "lk.run_recurrence(model, words, iterations=256, progress=True)",
    "decoding": "lk.run_decoding(model, words, new_tokens=24, iterations=16, progress=True)",
    "layers": "lk.run_layer_effect(model, words, iterations=26, new_tokens=5, progress=True)",
    "problems": 'lk.run_problems(model, {"sums": [1, 2]}, problems=50, progress=True)',
}
RUN = """
state, kept = "nothing", None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        kept = {call}
        state = "kept"
    except KeyboardInterrupt:
        state = "interrupted"
"""
SAY = """
interrupted = any("nterrupted" in str(each.message) for each in caught)
print(state, kept is not None and bool(kept.sizes), interrupted)
"""


def asked(client, code: str, timeout: float = 120) -> str:
    """Run code and return what it printed, or the name of its error."""
    text = []

    def hook(message):
        if message["msg_type"] == "stream":
            text.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=hook, timeout=timeout, store_history=False)
    return "".join(text) if reply["content"]["status"] == "ok" else reply["content"]["ename"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    count, rng = parser.parse_args().count, random.Random(0)
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        asked(client, PREPARE)
        for name, call in RUNS.items():
            begin = time.perf_counter()
            asked(client, RUN.format(call=call))
            alone, found = time.perf_counter() - begin, Counter()
            for _ in range(count):
                client.execute(RUN.format(call=call), store_history=False)
                time.sleep(rng.uniform(0, 1.1 * alone))
                manager.interrupt_kernel()
                client.get_shell_msg(timeout=120)
                found[asked(client, SAY).strip()] += 1
            print(f"{name} ({alone:.1f} s alone): {dict(found)}", flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()

"""Damage saved traces at random and open them.

    python -m benchmarks.faults.traces [--count 10000]

Count the outcomes: one of latentkit's errors, the right values (damage in unused bytes), other values without
an error, an error of another library, or no end within ten seconds. The last three must be 0."""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
from collections import Counter
from pathlib import Path

import xarray as xr

import latentkit as lk

SECONDS = 10


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Flip bits, overwrite, cut, insert, repeat or swap pieces, one to four times."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place, size = rng.randrange(len(changed)), rng.choice((1, 2, 8, 64, 1024))
        match rng.randrange(6):
            case 0:
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place : place + size] = rng.randbytes(len(changed[place : place + size]))
            case 2:
                changed[place : place + size] = bytes(len(changed[place : place + size]))
            case 3:
                del changed[place : place + size]
            case 4:
                changed[place:place] = rng.randbytes(size)
            case 5:
                del changed[max(place, 64) :]
    return bytes(changed)


class TooSlow(BaseException):
    """Raised by the alarm; no `except Exception` catches it."""


def outcome(path: Path, right: xr.Dataset) -> str:
    """Open the file and return a description of the outcome."""

    def stop(_number, _frame):
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        found = lk.open_trace(path)
    except lk.LatentkitError:
        return "refused"
    except TooSlow:
        return "HANG"
    except Exception as error:
        return f"FOREIGN {type(error).__name__}"
    finally:
        signal.alarm(0)
    return "right values" if found.identical(right) else "SILENT"


def examples() -> dict[str, xr.Dataset]:
    """Return one result of each of several kinds."""
    model = lk.load_model("nano-untrained")
    quiet = {"progress": False}
    return {
        "recurrence": lk.run_recurrence(model, "The cat sat.", iterations=8, keep_states=True, **quiet),
        "decoding": lk.run_decoding(model, "The cat", new_tokens=4, iterations=4, **quiet),
        "layers": lk.run_layer_lens(model, "The cat", iterations=4, new_tokens=2, **quiet),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "damaged.nc")
        for kind, trace in examples().items():
            whole = lk.save_trace(trace, Path(folder, f"{kind}.nc")).read_bytes()
            right = lk.open_trace(Path(folder, f"{kind}.nc"))
            found: Counter[str] = Counter()
            for _ in range(arguments.count // 3):
                path.write_bytes(damaged(whole, rng))
                found[outcome(path, right)] += 1
            print(f"{kind}: {dict(found.most_common())}", flush=True)


if __name__ == "__main__":
    main()

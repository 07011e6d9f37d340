"""Damage saved traces at random and open them.

    python -m benchmarks.faults.traces [KIND ...] [--count 10000] [--seed 0] [--unsealed] [--fork]

Count the outcomes: one of latentkit's errors, the right values (damage in unused bytes), other values without
an error, an error of another library, or no end within ten seconds. The last three must be 0.

With --unsealed the files have no checksum, like those of version 0.1. These, and files that lost both the
checksum and the mark of it, are read in a separate process first. The package starts Python for each, which
takes a second; with --fork this process is forked, and reads with the same function and limits. Without a
checksum other values cannot be noticed: SILENT counts them."""

# ruff: noqa: SLF001  (the reader in a separate process is private)
from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
from collections import Counter
from pathlib import Path

import xarray as xr

import latentkit as lk
from latentkit import netcdf
from latentkit.trace import files

SECONDS = 10
CHILD: Counter[str] = Counter()  # how the forked reader ended


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
        return f"FOREIGN {type(error).__name__}: {str(error)[:90]}"
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


def unsealed(trace: xr.Dataset) -> bytes:
    """Return a trace as the bytes of a file without a checksum, as version 0.1 wrote them."""
    packed = files._pack(trace)
    return bytes(packed.to_netcdf(engine="h5netcdf", encoding=files._compression(packed)))


def read_forked(body: bytes) -> None:
    """Replace `netcdf._read_apart`: the same reading in a forked process, which starts in milliseconds."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            netcdf._read_limited(body)
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}"[:200].encode())
            os._exit(1)
        os._exit(0)
    os.close(write)
    try:
        said = os.read(read, 200).decode(errors="replace")
        status = os.waitpid(child, 0)[1]
    except TooSlow:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(read)
    if status:
        CHILD[f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else said.partition(":")[0]] += 1
        raise lk.errors.FileError(f"The file is damaged ({said or 'the reader crashed'}).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", nargs="*", help="of recurrence, decoding, layers; default all")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unsealed", action="store_true")
    parser.add_argument("--fork", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    if arguments.fork:
        netcdf._read_apart = read_forked
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "damaged.nc")
        for number, (kind, trace) in enumerate(examples().items()):
            if arguments.kind and kind not in arguments.kind:
                continue
            lk.save_trace(trace, path)
            if arguments.unsealed:
                path.write_bytes(unsealed(trace))
            whole, right = path.read_bytes(), lk.open_trace(path)
            found: Counter[str] = Counter()
            for _ in range(len(range(number, arguments.count, 3))):
                path.write_bytes(damaged(whole, rng))
                found[outcome(path, right)] += 1
            print(f"{kind}, {len(whole):,} bytes: {dict(found.most_common())}", flush=True)
    if CHILD:
        print("the forked reader ended with", dict(CHILD.most_common()))


if __name__ == "__main__":
    main()

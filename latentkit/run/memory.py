"""Memory that a run needs in addition to the model: the free bytes, and the check before a run."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import psutil
import torch

from latentkit.errors import ArgumentError

__all__ = ["activation_bytes", "free_memory", "needed_memory", "readout_bytes", "refuse_beyond_memory"]

_FEWER = "Ask for fewer iterations, a shorter prompt, readout_top=0 or keep_states=False."
_GROWTH = 5 << 19  # bytes: the process and its libraries grow by 2 to 4 MiB in a run, whatever its size
_only_asked: ContextVar[bool] = ContextVar("only_asked", default=False)


class _Needed(Exception):  # noqa: N818  (not an error: it ends a run of which only the memory is needed)
    def __init__(self, size: int) -> None:
        self.size = size


def free_memory(device: torch.device) -> int:
    """Return the number of bytes that are free on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def refuse_beyond_memory(needed: int, device: torch.device, what: str, advice: str = _FEWER) -> None:
    """Refuse work that needs more bytes than are free on the device.

    What the process itself grows by is added to ``needed``.
    """
    needed += _GROWTH
    if _only_asked.get():
        raise _Needed(needed)
    free = free_memory(device)
    if needed > free:
        msg = (
            f"This run would need about {needed / 2**30:.1f} GiB ({what}), but {free / 2**30:.1f} GiB are "
            f"free. {advice}"
        )
        raise ArgumentError(msg)


def needed_memory(run: Callable[[], object]) -> int:
    """Return the bytes that a run needs; the run ends at its memory check, before its work."""
    token = _only_asked.set(True)
    try:
        run()
    except _Needed as needed:
        return needed.size
    finally:
        _only_asked.reset(token)
    msg = "The run has no memory check."
    raise AssertionError(msg)


def activation_bytes(model: Any, tokens: int) -> int:
    """Return the peak size of the arrays of one block for this number of tokens."""
    shapes = [weight.shape for weight in model.module.parameters() if weight.dim() == 2]
    widest = max((rows for rows, _ in shapes if rows != model.vocab_size), default=model.hidden_size)
    size: int = tokens * (2 * widest + 6 * model.hidden_size) * model.dtype.itemsize
    return size


def readout_bytes(model: Any, rows: int) -> int:
    """Return the peak size of the arrays of `readout_statistics` for this number of readouts."""
    return 6 * rows * int(model.vocab_size) * 4

"""Where a trace comes from: the model's digest and the versions of what computed it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from weakref import WeakKeyDictionary

import torch

from latentkit.models.contract import RecurrentModel

__all__ = ["provenance", "weights_digest"]

_LIBRARIES = ("latentkit", "torch", "transformers", "numpy", "xarray")


def provenance(model: RecurrentModel[Any]) -> dict[str, str | int]:
    """Return the attributes that tell which model made a trace, and with what."""
    return {
        "model": model.name,
        "revision": model.revision or "none",
        "dtype": str(model.dtype).removeprefix("torch."),
        "hidden_size": model.hidden_size,
        "weights_digest": weights_digest(model.module),
        "versions": json.dumps({name: _version(name) for name in _LIBRARIES}),
    }


_Seen = tuple[tuple[Any, ...], ...]
_known: WeakKeyDictionary[torch.nn.Module, tuple[_Seen, str]] = WeakKeyDictionary()


def weights_digest(module: torch.nn.Module) -> str:
    """Return 16 hexadecimal digits that change with any weight (SHA-256 over names, shapes and bytes).

    The digest of a module is kept and used again as long as its weights look untouched: the same memory, the
    same count of changes in torch, and the same sums of their rows. The sums are there for what torch does
    not count, a write through ``.data`` or a shared numpy array; only one that keeps the sum of every row
    (two numbers of a row exchanged) would go unnoticed.
    """
    seen = tuple(_looks(name, weight) for name, weight in module.named_parameters())
    before, digest = _known.get(module, (None, ""))
    if seen != before:
        digest = _whole_digest(module)
        _known[module] = (seen, digest)
    return digest


def _looks(name: str, weight: torch.Tensor) -> tuple[Any, ...]:
    # The count of changes in place is private in name only: torch documents it; inference mode has none.
    version = 0 if weight.is_inference() else weight._version  # noqa: SLF001
    return (name, weight.data_ptr(), version, weight.device, weight.dtype, *weight.shape, _row_sums(weight))


def _row_sums(weight: torch.Tensor) -> bytes:
    """Sum the bytes of each row as whole numbers, in a small part of the time that a digest takes."""
    rows = weight.detach().contiguous().view(weight.shape[0] if weight.dim() > 1 else 1, -1)
    row = rows.view(torch.uint8)
    widest = torch.int64 if row.shape[1] % 8 == 0 and row.storage_offset() % 8 == 0 else torch.uint8
    return row.view(widest).sum(-1, dtype=torch.int64).cpu().numpy().tobytes()


def _whole_digest(module: torch.nn.Module) -> str:
    named = list(module.named_parameters())
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter lock
        digests = pool.map(_tensor_digest, (weight for _, weight in named))
        whole = hashlib.sha256()
        for (name, weight), digest in zip(named, digests, strict=True):
            whole.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode() + digest)
    return whole.hexdigest()[:16]


def _tensor_digest(weight: torch.Tensor) -> bytes:
    values = weight.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return hashlib.sha256(values.numpy().data).digest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from a source tree
        return "unknown"

"""Provenance of a trace: the model, a digest of its weights, and the versions of the libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from weakref import WeakKeyDictionary

import torch

from latentkit.models.contract import RecurrentModel
from latentkit.run.facts import fact_attrs

__all__ = ["provenance", "weights_digest"]

_LIBRARIES = ("latentkit", "torch", "transformers", "numpy", "xarray")


def provenance(model: RecurrentModel[Any]) -> dict[str, str | int]:
    """Return the attributes of a trace that describe the model and the libraries."""
    return {
        "model": model.name,
        "revision": model.revision or "none",
        "dtype": str(model.dtype).removeprefix("torch."),
        "hidden_size": model.hidden_size,
        "weights_digest": weights_digest(model.module),
        **({"quantised": kind} if (kind := getattr(model, "quantised", None)) else {}),
        **fact_attrs(model),
        "versions": json.dumps({name: _version(name) for name in _LIBRARIES}),
    }


_Seen = tuple[tuple[Any, ...], ...]
_known: WeakKeyDictionary[torch.nn.Module, tuple[_Seen, str]] = WeakKeyDictionary()


def weights_digest(module: torch.nn.Module) -> str:
    """Return 16 hexadecimal digits that change with any weight (SHA-256 over names, shapes and bytes).

    The digest of a module is cached and reused while its weights appear unchanged: the same memory, the same
    version counters of torch, and the same sums of rows. The sums detect writes that torch does not count,
    through ``.data`` or a shared numpy array; only a write that keeps the sum of every row (two numbers of a
    row exchanged) is not detected.
    """
    seen = tuple(_fingerprint(name, weight) for name, weight in module.named_parameters())
    before, digest = _known.get(module, (None, ""))
    if seen != before:
        digest = _whole_digest(module)
        _known[module] = (seen, digest)
    return digest


def _fingerprint(name: str, weight: torch.Tensor) -> tuple[Any, ...]:
    if weight.is_meta or type(weight.data) is not torch.Tensor:  # on the disk, or quantised: never written
        return (name, id(weight), weight.dtype, *weight.shape)
    # torch documents the version counter although its name is private; inference tensors have none.
    version = 0 if weight.is_inference() else weight._version  # noqa: SLF001
    return (name, weight.data_ptr(), version, weight.device, weight.dtype, *weight.shape, _row_sums(weight))


def _row_sums(weight: torch.Tensor) -> bytes:
    """Sum the bytes of each row as integers, which is much faster than a digest."""
    rows = weight.detach().contiguous().view(weight.shape[0] if weight.dim() > 1 else 1, -1)
    row = rows.view(torch.uint8)
    widest = torch.int64 if row.shape[1] % 8 == 0 and row.storage_offset() % 8 == 0 else torch.uint8
    return row.view(widest).sum(-1, dtype=torch.int64).cpu().numpy().tobytes()


def _whole_digest(module: torch.nn.Module) -> str:
    whole = hashlib.sha256()
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        for part in _parts(module):
            named = list(part)
            digests = pool.map(_tensor_digest, (weight for _, weight in named))
            for (name, weight), digest in zip(named, digests, strict=True):
                whole.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode() + digest)
    return whole.hexdigest()[:16]


def _parts(module: torch.nn.Module) -> Iterator[Iterable[tuple[str, torch.Tensor]]]:
    """Yield all named weights at once; where accelerate left some on the disk, those of each module."""
    if not any(weight.is_meta for weight in module.parameters()):
        yield module.named_parameters()
        return
    from accelerate.utils import align_module_device

    for path, part in module.named_modules():
        with align_module_device(part):
            yield part.named_parameters(path, recurse=False)


def _tensor_digest(weight: torch.Tensor) -> bytes:
    if type(weight.data) is not torch.Tensor and hasattr(weight, "dequantize"):
        weight = weight.dequantize()
    values = weight.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return hashlib.sha256(values.numpy().data).digest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # not installed: run from a source tree
        return "unknown"

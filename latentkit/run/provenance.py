"""Where a trace comes from: the model's digest and the versions of what computed it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any

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


def weights_digest(module: torch.nn.Module) -> str:
    """Return 16 hexadecimal digits that change with any weight (SHA-256 over names, shapes and bytes)."""
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

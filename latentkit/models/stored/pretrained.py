"""Loads tokenizers and causal language models with transformers; code in a folder is never executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from latentkit.errors import ModelError
from latentkit.models.layered.causal import CausalModel
from latentkit.models.registry import LOOPED, model_type
from latentkit.models.stored.checkpoint import read_config
from latentkit.models.stored.placement import Placement

__all__ = ["load_causal", "load_tokenizer"]


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a folder, or None if the folder has no tokenizer.json.

    Raises
    ------
    ModelError
        If the tokenizer files are damaged.
    """
    if not (folder / "tokenizer.json").is_file():
        return None
    from transformers import PreTrainedTokenizerFast

    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # transformers and tokenizers raise errors of many types
        raise ModelError(
            f"The tokenizer files in {folder} (tokenizer.json, tokenizer_config.json) cannot be read "
            f"({type(error).__name__}: {next(iter(str(error).splitlines()), 'no reason given')}). "
            "Copy them again."
        ) from error


def load_causal(
    folder: Path,
    *,
    tokenizer: Any,
    name: str,
    revision: str | None,
    dtype: torch.dtype | None,
    device: torch.device,
    placement: Placement | None = None,
) -> CausalModel:
    """Load a causal language model that transformers supports.

    Raises
    ------
    ModelError
        If transformers does not support the ``model_type`` or cannot load the folder, or if the checkpoint
        lacks a weight.
    """
    from transformers import AutoModelForCausalLM

    kind = _known_type(folder)
    loaded: Any
    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype or "auto",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **({} if placement is None else placement.arguments()),
        )
    except Exception as error:  # transformers raises errors from many libraries
        raise ModelError(
            f"{folder} holds a model of type {kind!r}, which is not a looped model ({_looped()}), and "
            f"transformers does not load it as a causal language model ({type(error).__name__}: "
            f"{next(iter(str(error).splitlines()), 'no reason given')})."
        ) from error
    module, found = loaded
    _refuse_incomplete(folder, found)
    placed = placement is not None and placement.device_map is not None
    model = CausalModel(module if placed else module.to(device), tokenizer, name=name, revision=revision)
    if placement is not None and placement.bits is not None:
        model.quantised = f"{placement.bits} bits"
    return model


def _known_type(folder: Path) -> str:
    """Return the ``model_type`` of a folder; raise if neither latentkit nor transformers supports it."""
    from transformers import CONFIG_MAPPING

    config = read_config(folder)
    kind = model_type(config)
    if kind is not None and kind in CONFIG_MAPPING:
        return kind
    own = (
        " The folder brings its own code (auto_map in config.json), which latentkit does not run."
        if "auto_map" in config
        else ""
    )
    what = "names no model_type" if kind is None else f"has the model_type {kind!r}"
    raise ModelError(
        f"The config.json in {folder} {what}, for which neither latentkit ({_looped()}) nor transformers has "
        f"code.{own} Load another model, or add this one as CONTRIBUTING describes."
    )


def _looped() -> str:
    return ", ".join(map(repr, sorted(LOOPED)))


def _refuse_incomplete(folder: Path, found: Any) -> None:
    """Raise if the checkpoint lacks weights, because transformers fills these with random numbers."""
    wrong = {key: sorted(map(str, found.get(key, ()))) for key in ("missing_keys", "mismatched_keys")}
    if any(wrong.values()):
        listed = ", ".join([*wrong["missing_keys"], *wrong["mismatched_keys"]][:5])
        raise ModelError(
            f"The checkpoint in {folder} lacks {listed}, or has it in another shape. Check that config.json "
            "and the weights belong together."
        )

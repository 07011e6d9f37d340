"""Registry of looped architectures, keyed by the ``model_type`` in ``config.json``.

To add an architecture, write ``latentkit/models/NAME.py`` with a class that implements the methods of
`latentkit.models.contract` and a function `load` with the signature of `Loader`, and add one line to
`LOOPED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch

from latentkit.models.stored.checkpoint import read_config
from latentkit.models.stored.placement import Placement

__all__ = ["LOOPED", "Loader", "load_folder", "loader_of", "model_type"]

#: ``model_type`` → "module:function". The module is imported when a folder of this type is loaded.
LOOPED: dict[str, str] = {
    "huginn_raven": "latentkit.models.family.loading:load_raven",  # Huginn, or a retrofitted model
    "ouro": "latentkit.models.family.loading:load",
    "nanbeige": "latentkit.models.family.loading:load",
    "hrm_text": "latentkit.models.family.loading:load",
    "ParcaeConfig": "latentkit.models.family.loading:load",
    "albert": "latentkit.models.family.loading:load",
}


class Loader(Protocol):
    """Function that builds a model from a folder; all arguments after the first are keyword-only."""

    def __call__(
        self,
        folder: Path,
        *,
        tokenizer: Any,
        name: str,
        revision: str | None,
        dtype: torch.dtype | None,
        device: torch.device,
    ) -> Any:
        """Return a model as defined in `latentkit.models.contract`; dtype None keeps the stored dtype."""
        ...


def model_type(config: Mapping[str, Any]) -> str | None:
    """Return ``model_type``, or ``_class_name`` for configs without ``model_type`` (diffusers style)."""
    found = config.get("model_type") or config.get("_class_name")
    return found if isinstance(found, str) else None


def loader_of(kind: str) -> Loader:
    """Import and return the loader of a registered ``model_type``."""
    module, _, function = LOOPED[kind].partition(":")
    loader: Loader = getattr(import_module(module), function)
    return loader


def load_folder(
    folder: Path,
    *,
    name: str,
    revision: str | None,
    dtype: torch.dtype | None,
    device: torch.device,
    placement: Placement | None = None,
) -> Any:
    """Load a model folder as a registered looped architecture, or else as a causal transformers model."""
    from latentkit.models.stored.pretrained import load_causal, load_tokenizer

    kind = model_type(read_config(folder))
    tokenizer = load_tokenizer(folder)
    if kind not in LOOPED:
        return load_causal(
            folder, tokenizer=tokenizer, name=name, revision=revision, dtype=dtype, device=device,
            placement=placement,
        )  # fmt: skip
    if placement is not None:
        placement.refuse(f"{name} is a looped model")
    load = loader_of(kind)
    return load(folder, tokenizer=tokenizer, name=name, revision=revision, dtype=dtype, device=device)

"""Loads checkpoints of the families in their published layouts; code in a checkpoint is never executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from latentkit.errors import ModelError
from latentkit.models import verbs
from latentkit.models.family.albert import AlbertModel, AlbertNetwork
from latentkit.models.family.hrm_text import HrmTextModel, HrmTextNetwork
from latentkit.models.family.model import LoopedDecoder, LoopedModel
from latentkit.models.family.nanbeige import NanbeigeNetwork
from latentkit.models.family.network import LoopedNetwork
from latentkit.models.family.ouro import OuroModel, OuroNetwork
from latentkit.models.family.parcae import ParcaeNetwork
from latentkit.models.family.retrofit import RetrofitNetwork
from latentkit.models.stored.checkpoint import fill_module, read_config, tensor_names

__all__ = ["FAMILIES", "load", "load_raven"]

Build = Callable[[Mapping[str, Any]], LoopedNetwork]

#: ``model_type`` (for Parcae: ``_class_name``) → (function from a config to a network, model class).
FAMILIES: dict[str, tuple[Build, type[LoopedModel]]] = {
    "ouro": (OuroNetwork, OuroModel),
    "nanbeige": (NanbeigeNetwork, LoopedDecoder),
    "hrm_text": (HrmTextNetwork, HrmTextModel),
    "ParcaeConfig": (ParcaeNetwork, LoopedDecoder),
    "albert": (AlbertNetwork, AlbertModel),
}


def load(
    folder: Path,
    *,
    tokenizer: Any,
    name: str,
    revision: str | None,
    dtype: torch.dtype | None,
    device: torch.device,
) -> LoopedModel:
    """Load a folder of one of the `FAMILIES`; see `latentkit.models.registry.Loader`."""
    config = read_config(folder)
    build, model = FAMILIES[config.get("model_type") or config["_class_name"]]
    return model(_filled(build, folder, config, dtype, device), tokenizer, name=name, revision=revision)


def load_raven(
    folder: Path,
    *,
    tokenizer: Any,
    name: str,
    revision: str | None,
    dtype: torch.dtype | None,
    device: torch.device,
) -> Any:
    """Load Huginn or a retrofitted model; the ``model_type`` is the same, the tensor names differ."""
    names = tensor_names(folder)
    core = [each for each in names if each.startswith("transformer.core_block.")]
    if not core or any(".norm_3." in each or ".norm_4." in each for each in core):
        return verbs.load(
            folder, tokenizer=tokenizer, name=name, revision=revision, dtype=dtype, device=device
        )
    olmo = any(".attn.q_norm." in each for each in core)
    network = _filled(
        lambda config: RetrofitNetwork(config, olmo=olmo), folder, read_config(folder), dtype, device
    )
    return LoopedDecoder(network, tokenizer, name=name, revision=revision)


def _filled(
    build: Build, folder: Path, config: Mapping[str, Any], dtype: torch.dtype | None, device: torch.device
) -> LoopedNetwork:
    """Build the network on the meta device, then load its weights from the files."""
    with torch.device("meta"):
        network = build(config)
    optional = network.optional_tensors()
    computed = {name: values for name in optional if (values := network.recomputed(name)) is not None}
    found = fill_module(folder, network, dtype, device, optional=optional, wanted=tuple(computed))
    for name, (path, stored) in found.items():
        if not torch.allclose(stored.float(), computed[name], atol=1e-2):
            raise ModelError(
                f"{name} in {path} does not follow from config.json. Check that config.json and the weights "
                "belong together."
            )
    return network.tie()

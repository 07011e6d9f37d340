"""`load_model` and the table of names it knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, overload

import torch

from latentkit.errors import ArgumentError, ModelError, nearest
from latentkit.models.causal import CausalModel
from latentkit.models.checkpoint import empty_module, read_config, read_module
from latentkit.models.huginn import HuginnConfig, init_weights
from latentkit.models.verbs import HuginnModel

__all__ = ["MODELS", "load_model"]

NANO = Path(__file__).parent / "nano"
HUGINN = "tomg-group-umd/huginn-0125"


@overload
def load_model(
    name: Literal["nano", "nano-untrained", "huginn"],
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
) -> HuginnModel: ...


@overload  # HuginnModel or CausalModel: which one, only the folder knows
def load_model(
    name: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
) -> Any: ...


def load_model(
    name: str | Path,
    *,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
) -> Any:
    """Load a model to watch.

    Parameters
    ----------
    name : str or Path
        ``"nano"`` (small, trained, shipped with the package, needs no network), ``"nano-untrained"`` (the
        same with random weights: the control), ``"huginn"`` (the released model, about 15 GB from the hub),
        a hub id such as ``"tomg-group-umd/huginn-0125"``, or a folder in the released layout. A folder or
        hub id of any other causal language model of transformers works too, for ``run_layer_kl``.
    dtype : torch.dtype or str, optional
        For example ``"bfloat16"``. None: as stored, except nano: float32.
    device : torch.device or str, optional
        None: the CPU for nano, else a GPU where torch finds one.
    revision : str, optional
        Branch, tag or commit of a hub model.

    Returns
    -------
    RecurrentModel or CausalModel
        The first answers the verbs of `latentkit.models.contract`; the second has layers alone.

    Raises
    ------
    ModelError
        If there is no such model, the hub cannot be reached, or a checkpoint is damaged, incomplete, or of
        another architecture; the message names the file or tensor.

    Notes
    -----
    No code from a checkpoint is run. Weights are memory-mapped: a folder stored in the wanted dtype takes
    no second copy in memory.
    """
    wanted = _dtype(dtype)
    where = _device(device)
    known = MODELS.get(str(name))
    if known is not None:
        return known(wanted, where, revision)
    if Path(name).is_dir():
        return _from_folder(Path(name), str(name), revision, wanted, where or _best_device())
    if _is_hub_id(str(name)):
        return _from_hub(str(name), wanted, where, revision)
    msg = f"No model named {str(name)!r}. {nearest(str(name), MODELS)} "
    raise ModelError(msg + "A folder or a hub id (owner/name) works too.")


def _nano(dtype: torch.dtype | None, device: torch.device | None, _revision: str | None) -> Any:
    """The small trained model inside the package."""
    return _from_folder(NANO, "nano", None, dtype or torch.float32, device or torch.device("cpu"))


def _nano_untrained(
    dtype: torch.dtype | None, device: torch.device | None, _revision: str | None
) -> HuginnModel:
    """Nano before training: same sizes and tokenizer, random weights from a fixed seed."""
    config = HuginnConfig.from_dict(read_config(NANO))
    module = init_weights(empty_module(config, torch.float32), torch.Generator().manual_seed(0))
    module = module.requires_grad_(False).to(device=device or torch.device("cpu"), dtype=dtype)
    return HuginnModel(module, _tokenizer(NANO), name="nano-untrained")


def _huginn(dtype: torch.dtype | None, device: torch.device | None, revision: str | None) -> Any:
    """The released model, from the hub."""
    return _from_hub(HUGINN, dtype, device, revision)


_Loader = Callable[[torch.dtype | None, torch.device | None, str | None], Any]

#: Names that `load_model` knows. To add a model family: one file beside this one, one line here.
MODELS: dict[str, _Loader] = {"nano": _nano, "nano-untrained": _nano_untrained, "huginn": _huginn}


def _from_folder(
    folder: Path, name: str, revision: str | None, dtype: torch.dtype | None, device: torch.device
) -> Any:
    if read_config(folder).get("model_type") != "huginn_raven":
        return _causal(folder, name, revision, dtype, device)
    return HuginnModel(read_module(folder, dtype, device), _tokenizer(folder), name=name, revision=revision)


def _causal(
    folder: Path, name: str, revision: str | None, dtype: torch.dtype | None, device: torch.device
) -> CausalModel:
    """Any causal language model that transformers has the code of; code in the folder is never run."""
    from transformers import AutoModelForCausalLM

    kind = read_config(folder).get("model_type")
    loaded: Any
    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype or "auto",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises errors of many libraries
        raise ModelError(
            f"{folder} holds a model of type {kind!r}, which is no recurrent-depth model ('huginn_raven'), "
            f"and transformers does not load it as a causal language model ({type(error).__name__}: "
            f"{next(iter(str(error).splitlines()), 'no reason given')})."
        ) from error
    module, found = loaded
    wrong = {key: sorted(map(str, found.get(key, ()))) for key in ("missing_keys", "mismatched_keys")}
    if any(wrong.values()):  # transformers would fill these with random numbers
        listed = ", ".join([*wrong["missing_keys"], *wrong["mismatched_keys"]][:5])
        raise ModelError(
            f"The checkpoint in {folder} lacks {listed}, or has it in another shape. Check that config.json "
            "and the weights belong together."
        )
    return CausalModel(module.to(device), _tokenizer(folder), name=name, revision=revision)


def _from_hub(name: str, dtype: torch.dtype | None, device: torch.device | None, revision: str | None) -> Any:
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.jinja"]  # no code
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:  # the hub client raises errors of many libraries
        raise ModelError(
            f"{name!r} is not a folder here, and the hub did not give it ({type(error).__name__}: "
            f"{next(iter(str(error).splitlines()), 'no reason given')}). Check the name and the network, "
            "or pass a folder that holds the model. load_model('nano') needs no network."
        ) from error
    return _from_folder(folder, name, revision or folder.name, dtype, device or _best_device())


def _tokenizer(folder: Path) -> Any:
    """Return the folder's tokenizer, or None where it has none."""
    if not (folder / "tokenizer.json").is_file():
        return None
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def _is_hub_id(name: str) -> bool:
    owner, slash, model = name.partition("/")
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
    except (RuntimeError, TypeError) as error:
        raise ArgumentError(f"device is {device!r}; pass 'cpu', 'cuda', a torch.device, or None.") from error


def _best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

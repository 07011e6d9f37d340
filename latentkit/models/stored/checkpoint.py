"""Reads and writes model folders in the released layout: config.json, safetensors, tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.files import write_file
from latentkit.models.huginn import Huginn, HuginnConfig, rope_table
from latentkit.models.stored.bin_files import BinFile

__all__ = [
    "empty_module",
    "fill_module",
    "read_config",
    "read_module",
    "tensor_names",
    "write_module",
]

Shape = tuple[int, ...]

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_BIN = "pytorch_model.bin"  # read only where a folder has no safetensors


def read_config(folder: Path) -> dict[str, Any]:
    """Return the folder's ``config.json``.

    Raises
    ------
    ModelError
        If the file is missing or does not contain a JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(
            f"{folder} has no config.json, so it is not a model folder. Pass the folder that holds one."
        )
    return _read_json(path)


def empty_module(config: HuginnConfig, dtype: torch.dtype, device: torch.device | str = "cpu") -> Huginn:
    """Return a network with allocated but uninitialised weights; this avoids a second initialisation."""
    with torch.device("meta"):
        module = Huginn(config)
    module = module.to(dtype).to_empty(device=device)
    return module.tie()


def read_module(folder: Path, dtype: torch.dtype | None, device: torch.device | str) -> Huginn:
    """Build a network from the config and the weights in a folder.

    Parameters
    ----------
    folder : Path
        Folder with config.json and model.safetensors, or with shards and an index.
    dtype : torch.dtype, optional
        None keeps the stored dtype; on the CPU the weights then stay memory-mapped.
    device : torch.device or str
        Device of the weights; tensors are moved one at a time.

    Raises
    ------
    ModelError
        If a tensor is missing, unexpected or of the wrong shape, or if a file is missing or truncated. The
        message lists each of them.
    """
    config = HuginnConfig.from_dict(read_config(folder))
    _refuse_too_deep(folder, config)
    with torch.device("meta"):
        module = Huginn(config)
    optional: dict[str, Shape | None] = {"freqs_cis": (1, config.block_size, 1, config.head_dim // 2, 2)}
    if config.tie_embeddings:
        optional["lm_head.weight"] = tuple(module.transformer.wte.weight.shape)
    found = fill_module(folder, module, dtype, device, optional=optional, wanted=("freqs_cis",))
    for path, table in found.values():
        _check_rope(path, config, table)
    return module.tie()


def _refuse_too_deep(folder: Path, config: HuginnConfig) -> None:
    """Raise if a stack has more blocks than the checkpoint has tensors, before the blocks are built."""
    stacks = ("n_layers_in_prelude", "n_layers_in_recurrent_block", "n_layers_in_coda")
    deepest = max(stacks, key=lambda name: getattr(config, name))
    layers, tensors = getattr(config, deepest), len(tensor_names(folder))
    if layers > tensors:
        raise ModelError(
            f"The config.json in {folder} says {deepest} = {layers:,}, and the checkpoint holds {tensors} "
            "tensors in all. Check that config.json and the weights belong together."
        )


def fill_module(
    folder: Path,
    module: nn.Module,
    dtype: torch.dtype | None,
    device: torch.device | str,
    *,
    optional: Mapping[str, Shape | None] | None = None,
    wanted: Sequence[str] = (),
) -> dict[str, tuple[Path, Tensor]]:
    """Load weights from a folder into a module on torch's meta device, one tensor at a time.

    Parameters
    ----------
    folder, dtype, device
        See `read_module`.
    module : nn.Module
        Its parameters have the same names as the tensors of the checkpoint.
    optional : mapping of str to shape or None, optional
        Tensors that a checkpoint may contain in addition to the parameters; None allows any shape.
    wanted : sequence of str
        Names of optional tensors to return.

    Returns
    -------
    dict of str to (Path, Tensor)
        The wanted tensors that the checkpoint contains, each with its file.
    """
    expected = {name: tuple(weight.shape) for name, weight in module.named_parameters()}
    files = _files(folder)
    _check(folder, expected, optional or {}, _shapes(files))
    extra = {}
    for path, names in _by_file(files):
        with _open(path) as file:
            for name in names:
                if name in expected:
                    tensor = file.get_tensor(name)
                    _set(module, name, tensor.to(device=device, dtype=dtype or tensor.dtype))
                elif name in wanted:
                    extra[name] = (path, file.get_tensor(name))
    return extra


def tensor_names(folder: Path) -> list[str]:
    """Return all tensor names of a checkpoint, which distinguish layouts with the same ``model_type``."""
    return list(_files(folder))


def write_module(module: Huginn, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write config.json and model.safetensors in the released layout; a tied head is not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: weight.detach().to("cpu", dtype).contiguous() for name, weight in module.named_parameters()
    }
    write_file(folder / _SINGLE, save(tensors, metadata={"format": "pt"}))
    stored = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    config = {**module.config.to_dict(), "torch_dtype": stored}
    write_file(folder / "config.json", json.dumps(config, indent=1) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not readable JSON ({error}). Copy the model folder again.") from error
    if not isinstance(values, dict):
        raise ModelError(
            f"{path} holds a {type(values).__name__}, not an object. Copy the model folder again."
        )
    return values


def _files(folder: Path) -> dict[str, Path]:
    """Return a mapping from tensor name to the file that contains it."""
    for index, single in ((_INDEX, _SINGLE), (f"{_BIN}.index.json", _BIN)):
        if (folder / index).is_file():
            weight_map = _read_json(folder / index).get("weight_map")
            if not isinstance(weight_map, dict):
                raise ModelError(f"{folder / index} has no weight_map. Copy the model folder again.")
            return {name: folder / Path(file).name for name, file in weight_map.items()}
        if (folder / single).is_file():
            return dict.fromkeys(_names(folder / single), folder / single)
    raise ModelError(f"{folder} holds neither {_SINGLE} nor {_INDEX}. Copy the weights there.")


def _by_file(files: dict[str, Path]) -> Iterator[tuple[Path, list[str]]]:
    for path in sorted(set(files.values())):
        yield path, [name for name, where in files.items() if where == path]


def _open(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"The weight file {path} is missing. Copy the model folder again.")
    if path.suffix == ".bin":
        return BinFile(path)
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"The weight file {path} is damaged or cut short ({error}). Copy or download it again."
        ) from error


def _names(path: Path) -> list[str]:
    with _open(path) as file:
        return list(file.keys())


def _shapes(files: dict[str, Path]) -> dict[str, tuple[int, ...]]:
    """Read the shapes of all tensors from the file headers."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path, names in _by_file(files):
        with _open(path) as file:
            if odd := sorted(set(file.keys()) ^ set(names)):
                msg = f"{path} and {_INDEX} disagree about {_listed(odd)}. Copy the model folder again."
                raise ModelError(msg)
            shapes.update({name: _shape(file, name) for name in names})
    return shapes


def _shape(file: Any, name: str) -> tuple[int, ...]:
    return file.shape(name) if isinstance(file, BinFile) else tuple(file.get_slice(name).get_shape())


def _check(
    folder: Path,
    expected: Mapping[str, Shape],
    optional: Mapping[str, Shape | None],
    found: Mapping[str, Shape],
) -> None:
    """Compare the tensors of the checkpoint with those of the architecture; raise on any difference."""
    known = {**optional, **expected}
    problems = []
    if missing := sorted(expected.keys() - found.keys()):
        problems.append(f"lacks {_listed(missing)}")
    if extra := sorted(found.keys() - known.keys()):
        problems.append(f"holds {_listed(extra)}, which this architecture does not have")
    for name in sorted(found.keys() & known.keys()):
        shape = known[name]
        if shape is not None and found[name] != shape:
            problems.append(f"has {name} of shape {list(found[name])} instead of {list(shape)}")
    if problems:
        msg = (
            f"The checkpoint in {folder} {'; '.join(problems)}. "
            "Check that config.json and the weights belong together."
        )
        raise ModelError(msg)


def _listed(names: list[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _check_rope(path: Path, config: HuginnConfig, stored: Tensor) -> None:
    """Raise if the stored rotary table differs from the one computed from the config."""
    table = rope_table(config, torch.arange(config.block_size))
    if not torch.allclose(stored.float().view_as(table), table, atol=1e-2):
        raise ModelError(
            f"freqs_cis in {path} does not follow from rope_base = {config.rope_base:g} in config.json. "
            "Check that config.json and the weights belong together."
        )


def _set(module: nn.Module, name: str, tensor: Tensor) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, nn.Parameter(tensor, requires_grad=False))

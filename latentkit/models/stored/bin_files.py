"""Reads weight files in torch's own format (``.bin``), tensors only."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from latentkit.errors import ModelError

__all__ = ["BinFile"]


class BinFile:
    """A ``.bin`` file with the methods of an open safetensors file that latentkit uses.

    The file is read with ``weights_only=True``: it can hold tensors and plain values, and nothing in it is
    executed. Tensors stay memory-mapped.

    Parameters
    ----------
    path : Path
        A file that ``torch.save`` wrote from a dictionary of tensors.

    Raises
    ------
    ModelError
        If the file is damaged, in torch's format from before version 1.6, or holds anything but tensors.
    """

    def __init__(self, path: Path) -> None:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except pickle.UnpicklingError as error:
            raise ModelError(
                f"The weight file {path} holds more than tensors, which latentkit does not load: it could "
                "run code. Convert it to safetensors on a machine where you trust it."
            ) from error
        except (RuntimeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"The weight file {path} is damaged, cut short or in an old format "
                f"({next(iter(str(error).splitlines()), 'no reason given')}). Copy or download it again."
            ) from error
        if not isinstance(found, dict) or not all(isinstance(each, Tensor) for each in found.values()):
            msg = (
                f"The weight file {path} is no dictionary of tensors. Pass a model folder with weights only."
            )
            raise ModelError(msg)
        self._tensors: dict[str, Tensor] = found

    def __enter__(self) -> BinFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._tensors = {}

    def keys(self) -> list[str]:
        """Return the names of the tensors."""
        return list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._tensors[name].shape)

    def get_tensor(self, name: str) -> Tensor:
        """Return a tensor."""
        return self._tensors[name]

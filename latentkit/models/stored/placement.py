"""Where the weights of a large model lie, and in how many bits."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentkit.errors import ArgumentError, ModelError

__all__ = ["Placement"]

#: Packages that quantise weights to 8 or 4 bits, the preferred one first. torchao needs a further package
#: (mslk) for 4 bits.
QUANTISING = {8: ("torchao", "bitsandbytes"), 4: ("bitsandbytes",)}

Devices = str | Mapping[str, int | str]


@dataclass(frozen=True)
class Placement:
    """How transformers places and quantises weights.

    Attributes
    ----------
    device_map : str or mapping, optional
        As for transformers, such as "auto"; needs accelerate.
    bits : int, optional
        8 or 4; needs one of the packages in `QUANTISING`.
    """

    device_map: Devices | None = None
    bits: int | None = None

    def __bool__(self) -> bool:
        return self.device_map is not None or self.bits is not None

    def refuse(self, why: str) -> None:
        """Raise if anything was asked for; ``why`` names the model that cannot have it."""
        if self:
            asked = "device_map" if self.device_map is not None else "bits"
            msg = (
                f"{asked} is given, but {why}; only causal language models of transformers, from a folder or "
                "the hub, are placed or quantised. Pass device= and dtype=."
            )
            raise ArgumentError(msg)

    def check(self, device: object) -> None:
        """Raise if a value is not valid, or a package is missing."""
        if self.bits not in {None, 4, 8}:
            raise ArgumentError(f"bits is {self.bits!r}; pass 8 or 4, or None for the weights as stored.")
        if self.device_map is not None:
            if device is not None:
                raise ArgumentError("device_map and device are given. Pass one of them.")
            if not _installed("accelerate"):
                raise ModelError("device_map= needs accelerate. Install it with: pip install accelerate")
        if self.bits is not None and not any(map(_installed, QUANTISING[self.bits])):
            raise ModelError(
                f"bits={self.bits} needs {' or '.join(QUANTISING[self.bits])}. Install it with: "
                f"pip install {QUANTISING[self.bits][0]}"
            )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``from_pretrained``."""
        found: dict[str, Any] = {}
        if self.device_map is not None:
            found["device_map"] = self.device_map
        if self.bits is not None:
            found["quantization_config"] = _quantisation(self.bits)
        return found


def _quantisation(bits: int) -> Any:
    package = next(name for name in QUANTISING[bits] if _installed(name))
    if package == "torchao":
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    from transformers import BitsAndBytesConfig

    config: Any = BitsAndBytesConfig
    return config(load_in_8bit=bits == 8, load_in_4bit=bits == 4)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None

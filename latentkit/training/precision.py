"""Whether a run multiplies in bfloat16: where the machine has instructions for it, unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from latentkit.training.settings import Settings

__all__ = ["has_bfloat16", "uses_bfloat16"]


def uses_bfloat16(settings: Settings, device: torch.device) -> bool:
    """Return what ``settings.autocast`` comes to on this device."""
    return has_bfloat16(device) if settings.autocast == "auto" else settings.autocast == "yes"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions that multiply bfloat16; where it has none, float32 is far faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.9 cannot say
        return any(bool(known.get(name)) for name in _CPU)
    return False


# Intel and AMD; the name that torch gives to the same on ARM
_CPU = ("avx512_bf16", "amx_bf16", "bf16")

"""Choice of bfloat16 or float32 for the multiplications of a run."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from latentkit.training.settings import Settings

__all__ = ["has_bfloat16", "uses_bfloat16"]


def uses_bfloat16(settings: Settings, device: torch.device) -> bool:
    """Return whether a run with these settings multiplies in bfloat16 on this device."""
    return has_bfloat16(device) if settings.autocast == "auto" else settings.autocast == "yes"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device has bfloat16 instructions; without them, float32 is far faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # absent in torch 2.9
        return any(bool(known.get(name)) for name in _CPU)
    return False


# The names for Intel and AMD, then torch's name for the same on ARM
_CPU = ("avx512_bf16", "amx_bf16", "bf16")

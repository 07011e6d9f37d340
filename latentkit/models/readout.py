"""Finds the linear layer that a looped model's readout ends with, so that its input can be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentkit.models.layered.structure import rounding_tolerance
from latentkit.models.layered.unrolled import Head, linear_head, replaced

__all__ = ["ReadoutHead", "find_readout_head"]


@dataclass(frozen=True)
class ReadoutHead:
    """The last linear layer of a readout.

    Attributes
    ----------
    layer : nn.Linear
    head : Head
        From the layer's input to logits.
    """

    layer: nn.Linear
    head: Head

    def input_of(self, readout: Callable[[], Any]) -> Tensor:
        """Run a readout and return the input of the layer, without computing the layer's output."""
        reached: list[Tensor] = []

        def stop(x: Tensor) -> Tensor:
            reached.append(x)
            return x[..., :1]  # one logit instead of the whole vocabulary

        with replaced(self.layer, stop):
            readout()
        return reached[-1]


@torch.no_grad()
def find_readout_head(model: Any, state: Tensor, context: Any) -> ReadoutHead | None:
    """Observe one readout; None unless its logits are its last linear layer's output, cast to float32."""
    seen: list[tuple[nn.Linear, Tensor]] = []

    def after(layer: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        assert isinstance(layer, nn.Linear)
        if out.shape[-1] == model.vocab_size:
            seen.append((layer, args[0]))

    linear = [part for part in model.module.modules() if isinstance(part, nn.Linear)]
    hooks = [part.register_forward_hook(after) for part in linear]
    try:
        logits = model.readout(state, context).float()
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        return None
    layer, x = seen[-1]
    weight, bias = layer.weight, layer.bias
    plain = F.linear(x, weight, bias).float()
    tolerance = rounding_tolerance(model.dtype) * logits.abs().max()
    if plain.shape != logits.shape or not (plain - logits).abs().max() <= tolerance:
        return None
    return ReadoutHead(layer, linear_head(weight, bias))

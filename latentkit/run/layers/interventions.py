"""Interventions on a layer, by name: skip it, zero a part of it, add to its output, and more.

An intervention is a function of one `InterventionTarget` that returns the state after the block. To add one::

    def halve(block):
        return (block.state + block.run()) / 2

    run_layer_effect(model, "Hello", do=halve)          # directly
    INTERVENTIONS["halve"] = Intervention(halve)        # or by name, do="halve"
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from latentkit.errors import ArgumentError, nearest
from latentkit.models.layered.unrolled import BlockCall, Layer

__all__ = ["INTERVENTIONS", "Intervention", "InterventionTarget", "intervention"]


@dataclass(frozen=True)
class InterventionTarget:
    """The block that an intervention acts on, with its input.

    Attributes
    ----------
    call : BlockCall
        The block with its input.
    layer : Layer
        Which layer it is.
    prompt_length : int
        Tokens of the prompt; the positions after them are the continuation.
    value : Any
        The argument ``value`` of `run_layer_effect`.
    source : Tensor [batch, token, hidden] or None
        The same block's output in the run of the prompt ``source``.
    """

    call: BlockCall
    layer: Layer
    prompt_length: int
    value: Any = None
    source: Tensor | None = None

    @property
    def state(self) -> Tensor:
        """Input of the block [batch, token, hidden]."""
        return self.call.state

    def run(self, state: Tensor | None = None, **changes: Any) -> Tensor:
        """Run the block on its own input, or on another state."""
        return self.call.run(state, **changes)


Apply = Callable[[InterventionTarget], Tensor]


class Intervention(NamedTuple):
    """A function and the argument that it needs.

    ``takes`` is "vector", "number" or "tokens" (passed as ``value``), "prompt" (as ``source``), or None.
    """

    apply: Apply
    takes: str | None = None


def identity(block: InterventionTarget) -> Tensor:
    """Run the block unchanged: the control, whose effect is zero."""
    return block.run()


def skip(block: InterventionTarget) -> Tensor:
    """Leave the block out."""
    return block.state


def repeat(block: InterventionTarget) -> Tensor:
    """Run the block twice."""
    return block.run(block.run())


def zero_attention(block: InterventionTarget) -> Tensor:
    """Set the output of the attention to zero."""
    with _edited(_alone(block, "attn", "attention"), torch.zeros_like):
        return block.run()


def zero_mlp(block: InterventionTarget) -> Tensor:
    """Set the output of the MLP to zero."""
    with _edited(_alone(block, "mlp", "feed_forward", "ffn", "moe"), torch.zeros_like):
        return block.run()


def mean_attention(block: InterventionTarget) -> Tensor:
    """Replace the output of the attention by its mean over the prompt."""
    with _edited(_alone(block, "attn", "attention"), _mean_over(block.prompt_length)):
        return block.run()


def mean_mlp(block: InterventionTarget) -> Tensor:
    """Replace the output of the MLP by its mean over the prompt."""
    with _edited(_alone(block, "mlp", "feed_forward", "ffn", "moe"), _mean_over(block.prompt_length)):
        return block.run()


def add(block: InterventionTarget) -> Tensor:
    """Add a vector to the block's output at every position."""
    out = block.run()
    vector = torch.as_tensor(np.asarray(block.value, dtype=np.float32)).to(out.device, out.dtype)
    if vector.shape != out.shape[-1:]:
        msg = (
            f"value has the shape {tuple(vector.shape)}; do='add' needs a vector of {out.shape[-1]} numbers."
        )
        raise ArgumentError(msg)
    added: Tensor = out + vector
    return added


def noise(block: InterventionTarget) -> Tensor:
    """Add noise to the block's output: in a random direction, ``value`` times as long as the state."""
    out = block.run()
    rows = []
    for position in range(out.shape[1]):  # a position's noise does not depend on what else is in the run
        seed = hashlib.sha256(f"{block.layer.index} {position}".encode()).digest()[:6]
        generator = torch.Generator().manual_seed(int.from_bytes(seed, "big"))
        rows.append(torch.randn(out.shape[-1], generator=generator))
    direction = nn.functional.normalize(torch.stack(rows), dim=-1).to(out.device)
    length = block.value * out.float().norm(dim=-1, keepdim=True)
    noisy: Tensor = out + (length * direction).to(out.dtype)
    return noisy


def patch(block: InterventionTarget) -> Tensor:
    """Replace the output by that of the other prompt's run, at all positions of the prompt."""
    assert block.source is not None
    out = block.run().clone()
    out[:, : block.prompt_length] = block.source[:, : block.prompt_length]
    return out


def knock_out(block: InterventionTarget) -> Tensor:
    """Mask the tokens of the span ``value`` from all later positions, in this block."""
    count = block.state.shape[1]
    hidden = torch.zeros(count, dtype=torch.bool, device=block.state.device)
    hidden[block.value] = True
    seen = torch.ones(count, count, dtype=torch.bool, device=hidden.device).tril()
    seen &= ~hidden | torch.eye(count, dtype=torch.bool, device=hidden.device)  # itself is always seen
    floor = torch.finfo(block.state.dtype).min
    mask = torch.zeros(count, count, dtype=block.state.dtype, device=hidden.device).masked_fill(~seen, floor)
    _part(block, "attn", "attention")
    if "attention_mask" in block.call.arguments.signature.parameters:
        given = block.call.arguments.arguments.get("attention_mask")
        if isinstance(given, Tensor):  # a sliding window, for example: positions that it masks stay masked
            own = given if given.is_floating_point() else torch.where(given, 0.0, floor).to(mask.dtype)
            mask = torch.minimum(mask, own)
        return block.run(attention_mask=mask.expand(1, 1, count, count))
    with _MaskedAttention(mask) as masked:
        out = block.run()
    if not masked.calls:
        msg = (
            f"{block.layer} has no attention whose mask could be changed, so do='knock_out' is not possible."
        )
        raise ArgumentError(msg)
    return out


#: Interventions by name. To add one: write a function and add a line here.
INTERVENTIONS: dict[str, Intervention] = {
    "skip": Intervention(skip),
    "identity": Intervention(identity),
    "repeat": Intervention(repeat),
    "zero_attention": Intervention(zero_attention),
    "zero_mlp": Intervention(zero_mlp),
    "mean_attention": Intervention(mean_attention),
    "mean_mlp": Intervention(mean_mlp),
    "add": Intervention(add, "vector"),
    "noise": Intervention(noise, "number"),
    "patch": Intervention(patch, "prompt"),
    "knock_out": Intervention(knock_out, "tokens"),
}

_TAKES = {
    "vector": "a vector of as many numbers as a state has",
    "number": "a number above 0, the length of the noise over that of the state",
    "tokens": "a slice of positions of the prompt, such as slice(0, 1)",
}


def intervention(do: object, value: object, source: object, prompt_lengths: Sequence[int]) -> Intervention:
    """Return the intervention of that name, or the function given, and check its argument.

    Raises
    ------
    ArgumentError
        If the name is unknown, or ``value`` or ``source`` does not fit.
    """
    if callable(do):
        return Intervention(do)
    if not isinstance(do, str) or do not in INTERVENTIONS:
        near = nearest(str(do), INTERVENTIONS)
        msg = f"do is {do!r}, which is no known intervention. {near} A function works too."
        raise ArgumentError(msg)
    found = INTERVENTIONS[str(do)]
    fits = {
        None: value is None,
        "prompt": value is None,
        "vector": value is not None and not isinstance(value, (str, slice)),
        "number": isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0,
        "tokens": isinstance(value, slice) and all(range(n)[value] for n in prompt_lengths),
    }
    if not fits[found.takes]:
        needs = _TAKES.get(str(found.takes), "no value")
        msg = f"value is {value!r}; do={do!r} takes {needs}."
        raise ArgumentError(msg)
    if (found.takes == "prompt") != (source is not None):
        needs = "needs source=, another prompt" if found.takes == "prompt" else "takes no source="
        msg = f"source is {source!r}; do={do!r} {needs}."
        raise ArgumentError(msg)
    return found


def _part(block: InterventionTarget, *names: str) -> nn.Module:
    """Find the attention or the MLP among the block's members, by the usual names."""
    for name, part in block.call.module.named_children():
        if any(known in name.lower() for known in names) and "norm" not in name.lower():
            return part
    members = ", ".join(name for name, _ in block.call.module.named_children())
    msg = f"No {names[0]} was found in {block.layer}, whose members are {members}. Pass a function as do=."
    raise ArgumentError(msg)


def _alone(block: InterventionTarget, *names: str) -> nn.Module:
    """Find a part that does not add the residual stream itself."""
    part = _part(block, *names)
    if "residual" in inspect.signature(part.forward).parameters:
        msg = (
            f"The {type(part).__name__} of {block.layer} adds the residual stream itself, so its output "
            "cannot be replaced alone. Pass a function as do=."
        )
        raise ArgumentError(msg)
    return part


@contextmanager
def _edited(part: nn.Module, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Apply a function to the output of a part of the block."""

    def hook(_module: nn.Module, _args: Any, out: Any) -> Any:
        return (edit(out[0]), *out[1:]) if isinstance(out, tuple) else edit(out)

    handle = part.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _mean_over(prompt_length: int) -> Callable[[Tensor], Tensor]:
    return lambda out: out[:, :prompt_length].mean(1, keepdim=True).expand_as(out).clone()


class _MaskedAttention(TorchFunctionMode):
    """Replaces the mask in calls of torch's attention, for blocks that make their own."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask, self.calls = mask, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is nn.functional.scaled_dot_product_attention:
            self.calls += 1
            kwargs = {**kwargs, "attn_mask": self.mask, "is_causal": False}
        return func(*args, **kwargs)

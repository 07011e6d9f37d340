"""Finds the blocks of a network by observing one run: members of module lists that map a state to a state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from latentkit.models.layered.unrolled import Layer

__all__ = ["FoundCall", "block_map", "find_calls", "label_calls", "rounding_tolerance"]


class FoundCall(NamedTuple):
    """One call of one block.

    ``values`` is the length of the tuple or list that the block returns, 0 for a tensor; ``shape`` is that of
    the state; ``stack`` and ``number`` are the name of the module list and the place in it.
    """

    module: nn.Module
    values: int
    shape: tuple[int, ...]
    stack: str
    number: int


def find_calls(network: nn.Module, run: Callable[[], Any]) -> list[FoundCall]:
    """Run once and return, in order, the outermost calls of module list members from a state to a state."""
    places = {
        child: (_stack_name(path), number)
        for path, part in network.named_modules()
        if isinstance(part, nn.ModuleList)
        for number, child in enumerate(part)
    }
    found: list[FoundCall] = []
    depth = 0

    def before(*_: Any) -> None:
        nonlocal depth
        depth += 1

    def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        nonlocal depth
        depth -= 1
        state = next(iter((*args, *kwargs.values())), None)
        several = isinstance(out, (tuple, list))
        result = (out[0] if out else None) if several else out
        if depth == 0 and _is_state(state) and _is_state(result) and _shape(result) == _shape(state):
            values = len(out) if several else 0
            found.append(FoundCall(module, values, _shape(result), *places[module]))

    hooks = [
        hook
        for child in places
        for hook in (
            child.register_forward_pre_hook(before),
            child.register_forward_hook(after, with_kwargs=True),
        )
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def label_calls(calls: list[FoundCall]) -> list[Layer]:
    """Number the calls; a block that is called several times counts its iterations from 1."""
    times = Counter(call.module for call in calls)
    seen: Counter[nn.Module] = Counter()
    layers = []
    for index, call in enumerate(calls):
        seen[call.module] += 1
        iteration = seen[call.module] if times[call.module] > 1 else 0
        layers.append(Layer(index, call.stack, iteration, call.number))
    return layers


def rounding_tolerance(dtype: torch.dtype) -> float:
    """Rounding error of a few operations, relative to the largest value."""
    return 64 * torch.finfo(dtype).eps if dtype.itemsize > 2 else 4 * torch.finfo(dtype).eps


def block_map(calls: list[FoundCall]) -> Mapping[nn.Module, int]:
    """Return what `intercept` takes: each block, and how many values it returns."""
    return {call.module: call.values for call in calls}


def _is_state(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dim() == 3


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


def _stack_name(path: str) -> str:
    """Shorten "model.layers" to "layers", and "model.H_module.layers" to "H_module"."""
    parts = path.split(".")
    return parts[-1] if len(parts) < 3 else parts[-2]

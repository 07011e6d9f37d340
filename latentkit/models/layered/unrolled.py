"""Represents a model as the sequence of its block calls.

A block that runs six times counts as six layers. Each call is intercepted at its place in the model's own
code, so everything between the blocks (masks, injections, norms between stacks) is unchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BlockCall", "Handler", "Head", "Layer", "UnrolledModel", "bound_call", "intercept", "plain_run"]


@dataclass(frozen=True)
class Layer:
    """One call of one block.

    Attributes
    ----------
    index : int
        Index in the order of calls, counted from 0.
    stack : str
        Name of the stack of blocks.
    iteration : int
        Iteration, counted from 1; 0 for blocks that are not repeated.
    block : int
        Index in the stack, counted from 0.
    lens : str
        How the state is read out: "logit" (final norm and head) or "coda" (the complete readout).
    """

    index: int
    stack: str
    iteration: int
    block: int
    lens: str = "logit"

    def __str__(self) -> str:
        repeated = f", iteration {self.iteration}" if self.iteration else ""
        return f"layer {self.index} ({self.stack}{repeated}, block {self.block})"


@dataclass(frozen=True)
class BlockCall:
    """Intercepted call of a block, before the block runs.

    Attributes
    ----------
    index : int
        Index of the layer.
    module : nn.Module
        The block.
    state : Tensor [batch, token, hidden]
        Input of the block.
    arguments : BoundArguments
        All arguments of the call; `run` accepts changes to them as keyword arguments.
    """

    index: int
    module: nn.Module
    state: Tensor
    arguments: inspect.BoundArguments
    forward: Callable[..., Any]

    def run(self, state: Tensor | None = None, **changes: Any) -> Tensor:
        """Run the block, optionally with another state or with changed arguments."""
        arguments = self.arguments.arguments
        first = next(iter(arguments))
        given = {first: self.state if state is None else state, **changes}
        earlier = {name: arguments[name] for name in given if name in arguments}
        arguments.update(given)
        try:
            out = self.forward(*self.arguments.args, **self.arguments.kwargs)
        finally:
            for name in changes.keys() - earlier.keys():
                del arguments[name]
            arguments.update(earlier)
        result: Tensor = out[0] if isinstance(out, (tuple, list)) else out
        return result


Handler = Callable[[BlockCall], Tensor]


def plain_run(call: BlockCall) -> Tensor:
    """Run the block unchanged."""
    return call.run()


def bound_call(index: int, module: nn.Module, forward: Callable[..., Any], *args: Any) -> BlockCall:
    """Return the call of a function as a `BlockCall`; the first argument is the state."""
    return BlockCall(index, module, args[0], inspect.signature(forward).bind(*args), forward)


@contextmanager
def intercept(blocks: Mapping[nn.Module, int], handle: Handler) -> Iterator[None]:
    """Route every call of the blocks through ``handle``, which returns the block's output.

    Parameters
    ----------
    blocks : mapping of module to int
        Number of values that each block returns in a tuple or list; 0 for a block that returns a tensor.
    handle : callable
        Maps a `BlockCall` to the state after the block.
    """
    count = iter(range(2**62))

    def caught(module: nn.Module, values: int) -> Callable[..., Any]:
        forward = module.forward
        signature = inspect.signature(forward)

        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            state = next(iter(bound.arguments.values()))
            out = handle(BlockCall(next(count), module, state, bound, forward))
            return (out, *[None] * (values - 1)) if values else out

        return call

    with ExitStack() as stack:
        for module, values in blocks.items():
            stack.enter_context(replaced(module, caught(module, values)))
        yield


@contextmanager
def replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Replace the forward function of one module for a while."""
    earlier = module.__dict__.get("forward")  # accelerate sets one where it moves weights between devices
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if earlier is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = earlier


@dataclass(frozen=True)
class Head:
    """Output head, which maps hidden vectors to logits.

    Attributes
    ----------
    logits : callable
        Maps [row, hidden] to float32 [row, vocab], with the model's own scale, bias and soft-cap.
    weight : Tensor [vocab, hidden] or None
        None for a non-linear head (with a soft-cap).
    bias : Tensor [vocab] or None
    scale : float
        logits = scale · (weight · x + bias).
    """

    logits: Callable[[Tensor], Tensor]
    weight: Tensor | None = None
    bias: Tensor | None = None
    scale: float = 1.0


class UnrolledModel(Protocol):
    """Interface of a model for the functions that compare layers."""

    name: str
    head: Head

    @property
    def iterations(self) -> int | None:
        """Number of core iterations; None for a model of fixed depth."""
        ...

    @property
    def module(self) -> nn.Module:
        """Network that holds the weights."""
        ...

    @property
    def layers(self) -> Sequence[Layer]:
        """All block calls, in order."""
        ...

    def run(self, token_ids: Sequence[int], handle: Handler) -> Tensor:
        """Run every layer through ``handle`` and return the input of the head [token, hidden]."""
        ...

    def read(self, states: Mapping[int, Tensor], token_ids: Sequence[int], positions: slice) -> Tensor:
        """Return the input of the head [layer, position, hidden] for the states [token, hidden] of layers."""
        ...

    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Decode exactly ``new_tokens`` tokens greedily; stop tokens do not end the decoding."""
        ...


def linear_head(weight: Tensor, bias: Tensor | None = None) -> Head:
    """Return a linear head with the given weight and bias."""

    def logits(x: Tensor) -> Tensor:
        return F.linear(x.float(), weight.float(), None if bias is None else bias.float())

    return Head(logits, weight, bias)

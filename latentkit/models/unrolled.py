"""A model as the sequence of its block calls.

A block that runs six times is six layers. Each call is intercepted where the model makes it, so everything in
between (masks, injections, norms between stacks) is the model's own code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
        Place in the order of calls, counted from 0.
    stack : str
        Which stack of blocks.
    iteration : int
        Which repetition, counted from 1; 0 where nothing is repeated.
    block : int
        Place in the stack, counted from 0.
    lens : str
        How its state is read out: "logit" (final norm and head) or "coda" (the whole way out).
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
    """A block about to run.

    Attributes
    ----------
    index : int
        Which layer this call is.
    module : nn.Module
        The block.
    state : Tensor [batch, token, hidden]
        The input.
    arguments : BoundArguments
        All arguments of the call; `run` takes changes of these by name.
    """

    index: int
    module: nn.Module
    state: Tensor
    arguments: inspect.BoundArguments
    forward: Callable[..., Any]

    def run(self, state: Tensor | None = None, **changes: Any) -> Tensor:
        """Run the block, on another state or with other arguments where they are given."""
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
    """Return a call of a function, whose first argument is the state, as that of a block."""
    return BlockCall(index, module, args[0], inspect.signature(forward).bind(*args), forward)


@contextmanager
def intercept(blocks: Mapping[nn.Module, int], handle: Handler) -> Iterator[None]:
    """Route every call of the blocks through ``handle``, which returns the block's output.

    Parameters
    ----------
    blocks : mapping of module to int
        How many values each block returns in a tuple or list; 0 where it returns a tensor.
    handle : callable
        From `BlockCall` to the state after it.
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

    for module, values in blocks.items():
        module.__dict__["forward"] = caught(module, values)
    try:
        yield
    finally:
        for module in blocks:
            del module.__dict__["forward"]


@dataclass(frozen=True)
class Head:
    """The last map, from hidden vectors to logits.

    Attributes
    ----------
    logits : callable
        From [row, hidden] to float32 [row, vocab], with the model's own scale, bias and soft-cap.
    weight : Tensor [vocab, hidden] or None
        None where the head is not linear (a soft-cap).
    bias : Tensor [vocab] or None
    scale : float
        logits = scale · (weight · x + bias).
    """

    logits: Callable[[Tensor], Tensor]
    weight: Tensor | None = None
    bias: Tensor | None = None
    scale: float = 1.0


class UnrolledModel(Protocol):
    """A model as the comparisons of layers use it."""

    name: str
    head: Head

    @property
    def iterations(self) -> int | None:
        """Passes of the core; None for a model of fixed depth."""
        ...

    @property
    def module(self) -> nn.Module:
        """The network with the weights."""
        ...

    @property
    def layers(self) -> Sequence[Layer]:
        """Every call of every block, in order."""
        ...

    def run(self, token_ids: Sequence[int], handle: Handler) -> Tensor:
        """Run every layer through ``handle``; return the head's input [token, hidden]."""
        ...

    def read(self, states: Mapping[int, Tensor], token_ids: Sequence[int], positions: slice) -> Tensor:
        """Return the head's input [layer, position, hidden] for states [token, hidden] of layers."""
        ...

    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Return exactly ``new_tokens`` likeliest tokens; stop tokens do not end them."""
        ...


def linear_head(weight: Tensor, bias: Tensor | None = None) -> Head:
    """Return a head that is one matrix."""

    def logits(x: Tensor) -> Tensor:
        return F.linear(x.float(), weight.float(), None if bias is None else bias.float())

    return Head(logits, weight, bias)

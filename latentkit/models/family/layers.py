"""A looped model of a family as a list of layers: each block at each iteration is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from latentkit.models.family.model import LoopedDecoder
from latentkit.models.unrolled import Handler, Layer, intercept, linear_head

__all__ = ["UnrolledLoop"]

_DEPTH = 28  # layers of the model behind the published figure


class UnrolledLoop:
    """A looped model with a fixed number of iterations.

    Where a coda follows the loop, the state after a whole iteration is read out by it, as the model itself
    does; every other state by the final norm and the head alone.

    Parameters
    ----------
    model : LoopedDecoder
    iterations : int or None
        None: the trained number, or as many as make 28 layers.
    seed : int or None
        Of the initial state, where it depends on one.
    """

    def __init__(self, model: LoopedDecoder, iterations: int | None, seed: int | None) -> None:
        self.model, self.seed = model, seed
        self.name = model.name
        self.module: Any = model.module
        self._outer = self.module.outer_blocks()
        self._core = self.module.core_blocks()
        outside = len(self._outer[0]) + len(self._outer[1])
        as_deep = max(1, (_DEPTH - outside) // len(self._core))
        self.iterations: int | None = iterations or model.trained_iterations or as_deep
        self._blocks = dict.fromkeys((*self._outer[0], *self._core, *self._outer[1]), 0)
        self.layers = self._label(self.iterations)
        self.head = linear_head(self.module.lm_head.weight)

    def _label(self, iterations: int) -> list[Layer]:
        prelude, coda = self._outer
        last = len(self._core) - 1
        calls = [("prelude", 0, block, "logit") for block in range(len(prelude))]
        calls += [
            ("core", i, block, "coda" if coda and block == last else "logit")
            for i in range(1, iterations + 1)
            for block in range(len(self._core))
        ]
        calls += [("coda", 0, block, "logit") for block in range(len(coda))]
        return [Layer(index, *call) for index, call in enumerate(calls)]

    @torch.no_grad()
    def run(self, token_ids: Sequence[int], handle: Handler) -> Float[Tensor, "token hidden"]:
        """Run every layer through ``handle``; return what stands before the head."""
        with intercept(self._blocks, handle):
            context, state = self._looped(list(token_ids), None)
            before_head: Tensor = self.module.read_out(state, context)
        return before_head[0]

    @torch.no_grad()
    def read(
        self, states: Mapping[int, Float[Tensor, "token hidden"]], token_ids: Sequence[int], positions: slice
    ) -> Float[Tensor, "layer position hidden"]:
        """Take states to what would stand before the head, each by the lens of its layer."""
        context = self.model.embed(torch.tensor([list(token_ids)]))
        read = []
        for index, state in states.items():
            layer = self.layers[index]
            if layer.lens == "coda":  # its attention looks at all positions
                read.append(self.module.read_out(state[None], context)[0, positions])
            else:
                read.append(self.module.look(layer.stack, state[positions]))
        return torch.stack(read)

    @torch.no_grad()
    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Return exactly ``new_tokens`` likeliest tokens; stop tokens do not end them."""
        cache = self.model.new_cache()
        found: list[int] = []
        unread = list(token_ids)
        for _ in range(new_tokens):
            context, state = self._looped(unread, cache)
            found.append(int(self.model.readout(state, context)[0, -1].argmax()))
            unread = found[-1:]
        return found

    def _looped(self, token_ids: list[int], cache: Any) -> tuple[Any, Tensor]:
        """Return the context and the state after all iterations."""
        context = self.model.embed(torch.tensor([token_ids]), cache=cache)
        state = self.model.initial_state(context, self.seed)
        for _ in range(self.iterations or 0):
            state = self.model.step(state, context)
        return context, state

"""Unrolls a looped model into layers: prelude, every block of every iteration, coda."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.contract import facts_of
from latentkit.models.layered.causal import CausalModel
from latentkit.models.layered.structure import FoundCall, block_map, find_calls, rounding_tolerance
from latentkit.models.layered.unrolled import (
    BlockCall,
    Handler,
    Head,
    Layer,
    UnrolledModel,
    bound_call,
    intercept,
)
from latentkit.models.readout import ReadoutHead, find_readout_head

__all__ = ["UnrolledRecurrent", "unrolled_model"]

_DEPTH = 28  # number of layers of the model in the published figure
_VERBS = ("embed", "initial_state", "step", "normalise", "readout")


class UnrolledRecurrent:
    """Looped model with a fixed number of iterations, as a sequence of layers.

    If the model has the method ``step_blocks``, a layer is one block at one iteration, and the blocks of
    prelude and coda are also layers. Without this method, or if the blocks cannot be intercepted
    individually, a layer is one iteration. The state after a complete iteration is read out with the model's
    own readout. Every other state is read out with normalisation and head if the model has the method
    ``head``.

    Parameters
    ----------
    model : RecurrentModel
    iterations : int, optional
        None uses the model's trained number of iterations if it has one. Otherwise, it uses the largest
        number that gives at most 28 layers.
    seed : int or None
        Seed of the initial state; None means zeros.
    """

    def __init__(self, model: Any, iterations: int | None, seed: int | None) -> None:
        self.model, self.seed = model, seed
        self.name: str = model.name
        self.module: nn.Module = model.module
        state, context = self._start(probe := [1 + i % (model.vocab_size - 1) for i in range(4)])
        self._stacks: dict[str, list[FoundCall]] = {"prelude": [], "core": [], "coda": []}
        if hasattr(model, "step_blocks"):
            prelude = find_calls(self.module, lambda: self._start(probe))
            self._stacks = _find_stacks(model, state, context, prelude) or self._stacks
        self._readout: ReadoutHead | None = find_readout_head(model, state, context)
        # If the last layer cannot be identified, the logits are compared directly.
        self.head = self._readout.head if self._readout else Head(lambda logits: logits)
        self.iterations: int = iterations or facts_of(model).trained_iterations or self._default()
        self.layers = self._label()

    def _default(self) -> int:
        outside = len(self._stacks["prelude"]) + len(self._stacks["coda"])
        return max(1, (_DEPTH - outside) // max(1, len(self._stacks["core"])))

    def _label(self) -> list[Layer]:
        core = max(1, len(self._stacks["core"]))
        inner = "logit" if self._has_logit_lens else "coda"
        calls = [("prelude", 0, block, inner) for block in range(len(self._stacks["prelude"]))]
        calls += [
            ("core", i, block, "coda" if block == core - 1 else inner)
            for i in range(1, self.iterations + 1)
            for block in range(core)
        ]
        calls += [("coda", 0, block, "logit") for block in range(len(self._stacks["coda"]))]
        return [Layer(index, *call) for index, call in enumerate(calls)]

    @property
    def _has_logit_lens(self) -> bool:
        return hasattr(self.model, "head") and self._readout is not None

    @cached_property
    def _blocks(self) -> Mapping[nn.Module, int]:
        return block_map([call for calls in self._stacks.values() for call in calls])

    def _start(self, token_ids: Sequence[int]) -> tuple[Tensor, Any]:
        """Return the initial state and the context of a prompt."""
        context = self.model.embed(torch.tensor([list(token_ids)], device=self.model.device))
        return self.model.initial_state(context, self.seed), context

    @torch.no_grad()
    def run(self, token_ids: Sequence[int], handle: Handler) -> Float[Tensor, "token channel"]:
        """Run every layer through ``handle`` and return the input of the head."""
        with intercept(self._blocks, handle):
            state, context = self._start(token_ids)
            for i in range(self.iterations):
                if self._blocks:
                    state = self.model.step(state, context)
                else:
                    state = handle(bound_call(i, self.module, self.model.step, state, context))
            return self._before_head(state, context)[0]

    @torch.no_grad()
    def read(
        self, states: Mapping[int, Float[Tensor, "token hidden"]], token_ids: Sequence[int], positions: slice
    ) -> Float[Tensor, "layer position channel"]:
        """Return the input of the head for each state, computed with the lens of its layer."""
        _, context = self._start(token_ids)
        read = []
        for index, state in states.items():
            layer = self.layers[index]
            if layer.stack == "coda":
                found = self._after_coda(state[None], context)
            else:
                found = self._after_core(state[None], context)
                # Attention in the coda may read all positions.
                coda = layer.lens == "coda"
                found = self._before_head(found, context) if coda else self.model.normalise(found)
            read.append(found[0, positions].clone())  # a view would keep all positions in memory
        return torch.stack(read)

    @torch.no_grad()
    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Decode exactly ``new_tokens`` tokens greedily; stop tokens do not end the decoding."""
        cache = self.model.new_cache() if hasattr(self.model, "new_cache") else None
        found: list[int] = []
        for _ in range(new_tokens):
            unread = found[-1:] if cache is not None and found else [*token_ids, *found]
            ids = torch.tensor([unread], device=self.model.device)
            context = self.model.embed(ids) if cache is None else self.model.embed(ids, cache=cache)
            state = self.model.initial_state(context, self.seed)
            for _ in range(self.iterations):
                state = self.model.step(state, context)
            found.append(int(self.model.readout(state, context)[0, -1].argmax()))
        return found

    def _before_head(self, state: Tensor, context: Any) -> Tensor:
        """Return the input of the head in the model's readout, or the logits if the head is unknown."""
        if self._readout is None:
            logits: Tensor = self.model.readout(state, context)
            return logits.float()
        return self._readout.input_of(lambda: self.model.readout(state, context))

    def _after_core(self, state: Tensor, context: Any) -> Tensor:
        """Run the rest of an iteration after the last core block, with ``state`` as that block's output."""
        if not self._stacks["core"]:
            return state
        after: Tensor = _with_last(self._stacks["core"], state, lambda: self.model.step(state, context))
        return after

    def _after_coda(self, state: Tensor, context: Any) -> Tensor:
        """Run the rest of the readout after the last coda block, with ``state`` as that block's output."""
        return _with_last(self._stacks["coda"], state, lambda: self._before_head(state, context))


def _with_last(calls: list[FoundCall], state: Tensor, run: Any) -> Tensor:
    """Run with every block replaced: the last one returns ``state``, all others return their input."""

    def handle(call: BlockCall) -> Tensor:
        return state if call.index == len(calls) - 1 else call.state

    with intercept(block_map(calls), handle):
        result: Tensor = run()
    return result


@torch.no_grad()
def _find_stacks(
    model: Any, state: Tensor, context: Any, prelude: list[FoundCall]
) -> dict[str, list[FoundCall]] | None:
    """Find the blocks that the model's methods call; None if they do not match ``step_blocks``."""
    stacks = {
        "prelude": prelude,
        "core": find_calls(model.module, lambda: model.step(state, context)),
        "coda": find_calls(model.module, lambda: model.readout(state, context)),
    }
    core = stacks["core"]
    wanted = tuple(state.shape)
    if len(core) != len(model.step_blocks(state, context)) or not core:
        return None
    if any(call.shape != wanted for calls in stacks.values() for call in calls):
        return None
    last: list[Tensor] = []

    def keep(call: BlockCall) -> Tensor:
        last[:] = [call.run()]
        return last[0]

    with intercept(block_map(core), keep):
        plain = model.step(state, context)
    again = _with_last(core, last[0], lambda: model.step(state, context))
    close = (again - plain).abs().max() <= rounding_tolerance(model.dtype) * plain.abs().max()
    return stacks if close else None


def unrolled_model(model: Any, *, iterations: int | None, seed: int | None) -> UnrolledModel:
    """Return a model as a sequence of layers; ``iterations`` and ``seed`` apply to looped models only.

    Raises
    ------
    ModelError
        If the model is neither causal nor looped, or if its positions attend to later tokens.
    """
    if isinstance(model, CausalModel):
        return model
    if missing := [verb for verb in _VERBS if not hasattr(model, verb)]:
        raise ModelError(
            f"Expected a model from load_model, got {type(model).__name__}, which lacks the verbs "
            f"{', '.join(missing)}. Wrap a causal model of transformers in "
            "latentkit.models.layered.causal.CausalModel."
        )
    if not facts_of(model).causal:
        raise ModelError(
            f"In {model.name} earlier positions see later tokens, so one pass does not give the predictions "
            "of step-by-step decoding. Its layers cannot be compared token by token."
        )
    return UnrolledRecurrent(model, iterations, seed)

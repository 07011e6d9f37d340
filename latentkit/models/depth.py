"""A looped model as a sequence of layers: prelude, every block of every iteration, coda."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.causal import CausalModel
from latentkit.models.contract import facts_of
from latentkit.models.readout import ReadoutHead, find_readout_head
from latentkit.models.structure import FoundCall, block_map, find_calls, rounding_tolerance
from latentkit.models.unrolled import BlockCall, Handler, Head, Layer, UnrolledModel, bound_call, intercept

__all__ = ["UnrolledRecurrent", "unrolled_model"]

_DEPTH = 28  # layers of the model behind the published figure
_VERBS = ("embed", "initial_state", "step", "normalise", "readout")


class UnrolledRecurrent:
    """A looped model with a fixed number of iterations.

    With the verb ``step_blocks`` a layer is one block at one iteration, and the blocks of prelude and coda
    are layers too. Without it, or where blocks cannot be intercepted one by one, a layer is one iteration.
    The state after a whole iteration is read out as the model does; every other state by normalisation and
    head, where the model has the verb ``head``.

    Parameters
    ----------
    model : RecurrentModel
    iterations : int, optional
        None: the depth the model was trained at, or as many as make 28 layers.
    seed : int or None
        Of the initial state; None: zeros.
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
        # Without a known last layer the logits themselves are compared.
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
        """Return the initial state and the context."""
        context = self.model.embed(torch.tensor([list(token_ids)], device=self.model.device))
        return self.model.initial_state(context, self.seed), context

    @torch.no_grad()
    def run(self, token_ids: Sequence[int], handle: Handler) -> Float[Tensor, "token channel"]:
        """Run every layer through ``handle``; return the head's input."""
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
        """Return the head's input for each state, by the lens of its layer."""
        _, context = self._start(token_ids)
        read = []
        for index, state in states.items():
            layer = self.layers[index]
            if layer.stack == "coda":
                read.append(self._after_coda(state[None], context)[0, positions])
                continue
            whole = self._after_core(state[None], context)
            if layer.lens == "coda":  # its attention may read all positions
                read.append(self._before_head(whole, context)[0, positions])
            else:
                read.append(self.model.normalise(whole)[0, positions])
        return torch.stack(read)

    @torch.no_grad()
    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Return exactly ``new_tokens`` likeliest tokens; stop tokens do not end them."""
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
        """Return the head's input in the model's readout; without a known head, the logits."""
        if self._readout is None:
            logits: Tensor = self.model.readout(state, context)
            return logits.float()
        return self._readout.input_of(lambda: self.model.readout(state, context))

    def _after_core(self, state: Tensor, context: Any) -> Tensor:
        """Run what follows the core's last block in one pass, with this state as its output."""
        if not self._stacks["core"]:
            return state
        after: Tensor = _with_last(self._stacks["core"], state, lambda: self.model.step(state, context))
        return after

    def _after_coda(self, state: Tensor, context: Any) -> Tensor:
        """Run what follows the coda's last block, with this state as its output."""
        return _with_last(self._stacks["coda"], state, lambda: self._before_head(state, context))


def _with_last(calls: list[FoundCall], state: Tensor, run: Any) -> Tensor:
    """Run with the blocks passing their input on, but for the last, which returns this state."""

    def handle(call: BlockCall) -> Tensor:
        return state if call.index == len(calls) - 1 else call.state

    with intercept(block_map(calls), handle):
        result: Tensor = run()
    return result


@torch.no_grad()
def _find_stacks(
    model: Any, state: Tensor, context: Any, prelude: list[FoundCall]
) -> dict[str, list[FoundCall]] | None:
    """Find the blocks that the verbs call; None where they do not match ``step_blocks``."""
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
    """Return a model as its layers; ``iterations`` and ``seed`` concern looped models only.

    Raises
    ------
    ModelError
        If it is neither a causal model nor a looped one, or its positions see later tokens.
    """
    if isinstance(model, CausalModel):
        return model
    if missing := [verb for verb in _VERBS if not hasattr(model, verb)]:
        raise ModelError(
            f"Expected a model from load_model, got {type(model).__name__}, which lacks the verbs "
            f"{', '.join(missing)}. Wrap a causal model of transformers in "
            "latentkit.models.causal.CausalModel."
        )
    if not facts_of(model).causal:
        raise ModelError(
            f"In {model.name} earlier positions see later tokens, so one pass does not give the predictions "
            "of step-by-step decoding. Its layers cannot be compared token by token."
        )
    return UnrolledRecurrent(model, iterations, seed)

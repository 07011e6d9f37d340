"""A recurrent-depth model as a list of layers: prelude, every block of every iteration, coda."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from latentkit.errors import ModelError
from latentkit.models.blocks import rope_table
from latentkit.models.causal import CausalModel
from latentkit.models.huginn import Huginn
from latentkit.models.unrolled import Handler, Layer, UnrolledModel, intercept, linear_head
from latentkit.models.verbs import HuginnModel

__all__ = ["UnrolledHuginn", "depth_iterations", "unrolled_model"]

_DEPTH = 28  # layers of the model behind the published figure


class UnrolledHuginn:
    """A recurrent-depth model with a fixed number of iterations.

    The state after a whole iteration is read out by the coda, as the model itself does; every other state by
    the final norm and the head alone.

    Parameters
    ----------
    model : HuginnModel
    iterations : int
    seed : int or None
        Of the initial state; None: zeros.
    """

    def __init__(self, model: HuginnModel, iterations: int, seed: int | None) -> None:
        self.model, self.iterations, self.seed = model, iterations, seed
        self.name = model.name
        self.module: Huginn = model.module
        self._stacks = self.module.transformer
        self._blocks = dict.fromkeys((*self._stacks.prelude, *self._stacks.core_block, *self._stacks.coda), 0)
        self.layers = self._label()
        self.head = linear_head(self.module.lm_head.weight)

    def _label(self) -> list[Layer]:
        core = len(self._stacks.core_block)
        calls = [("prelude", 0, block, "logit") for block in range(len(self._stacks.prelude))]
        calls += [
            ("core", i, block, "coda" if block == core - 1 else "logit")
            for i in range(1, self.iterations + 1)
            for block in range(core)
        ]
        calls += [("coda", 0, block, "logit") for block in range(len(self._stacks.coda))]
        return [Layer(index, *call) for index, call in enumerate(calls)]

    @torch.no_grad()
    def run(self, token_ids: Sequence[int], handle: Handler) -> Float[Tensor, "token hidden"]:
        """Run every layer through ``handle``; return what stands before the head."""
        ids = torch.tensor([list(token_ids)])
        with intercept(self._blocks, handle):
            context = self.model.embed(ids)
            state = self.model.initial_state(context, self.seed)
            for _ in range(self.iterations):
                state = self.model.step(state, context)
            return self.module.read_out(state, context.rope)[0]

    @torch.no_grad()
    def read(
        self, states: Mapping[int, Float[Tensor, "token hidden"]], token_ids: Sequence[int], positions: slice
    ) -> Float[Tensor, "layer position hidden"]:
        """Take states to what would stand before the head, each by the lens of its layer."""
        rope = rope_table(self.model.config, torch.arange(len(token_ids), device=self.model.device))
        read = []
        for index, state in states.items():
            if self.layers[index].lens == "coda":  # its attention looks at all positions
                read.append(self.module.read_out(state[None], rope)[0, positions])
            else:
                read.append(self._stacks.ln_f(state[positions]))
        return torch.stack(read)

    @torch.no_grad()
    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Return exactly ``new_tokens`` likeliest tokens; stop tokens do not end them."""
        cache = self.model.new_cache()
        found: list[int] = []
        unread = list(token_ids)
        for _ in range(new_tokens):
            context = self.model.embed(torch.tensor([unread]), cache=cache)
            state = self.model.initial_state(context, self.seed)
            for _ in range(self.iterations):
                state = self.model.step(state, context)
            found.append(int(self.model.readout(state, context)[0, -1].argmax()))
            unread = found[-1:]
        return found


def depth_iterations(model: HuginnModel) -> int:
    """Return the iterations that make the model 28 layers deep, or as many below as whole ones make."""
    config = model.config
    outside = config.n_layers_in_prelude + config.n_layers_in_coda
    return max(1, (_DEPTH - outside) // config.n_layers_in_recurrent_block)


def unrolled_model(model: Any, *, iterations: int | None, seed: int | None) -> UnrolledModel:
    """Return a model as its layers; ``iterations`` and ``seed`` concern recurrent-depth models alone.

    Raises
    ------
    ModelError
        If it is of neither kind.
    """
    if isinstance(model, CausalModel):
        return model
    if isinstance(model, HuginnModel):
        return UnrolledHuginn(model, iterations or depth_iterations(model), seed)
    raise ModelError(
        f"Expected a model from load_model, got {type(model).__name__}. Comparing layers needs the "
        "model's blocks: wrap a causal model of transformers in latentkit.models.causal.CausalModel."
    )

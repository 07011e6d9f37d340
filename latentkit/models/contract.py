"""What a model must answer to be traced: five verbs, a few facts, no base class.

The verbs, in the order in which they are called::

    context = model.embed(token_ids)                  # prelude, once
    state = model.initial_state(context, seed=0)      # noise, once
    state = model.step(state, context)                # core block, many times
    latent = model.normalise(state)                   # what distances compare
    logits = model.readout(state, context)            # coda and head, whenever we look

``state`` is raw: `readout` applies the final norm itself. Every verb runs under ``torch.no_grad`` (not
``inference_mode``: derivatives must work) and is pure, but for the cache that a context may carry.
`latentkit.testing.check_recurrent_model` checks all of this.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["Context", "RecurrentModel"]


class Context(Protocol):
    """What the prelude leaves for the iterations; a model may keep more in it."""

    @property
    def embedding(self) -> Float[Tensor, "batch token hidden"]:
        """The prelude's output, injected at every iteration."""
        ...

    @property
    def positions(self) -> Int[Tensor, " token"]:
        """The position of each token, counted from 0 at the beginning of the sequence."""
        ...


ContextT = TypeVar("ContextT", bound=Context)


@runtime_checkable
class RecurrentModel(Protocol[ContextT]):
    """A looped model: anything with these attributes and methods."""

    name: str
    revision: str | None
    tokenizer: Any
    module: nn.Module

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights and states."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    @property
    def hidden_size(self) -> int:
        """Channels of a state."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of logits."""
        ...

    @property
    def context_length(self) -> int:
        """Longest sequence that the model can take."""
        ...

    def embed(self, token_ids: Int[Tensor, "batch token"], *, cache: Any = None) -> ContextT:
        """Run the prelude."""
        ...

    def initial_state(self, context: ContextT, seed: int | None) -> Float[Tensor, "batch token hidden"]:
        """Draw where the state starts; None means zeros."""
        ...

    def step(
        self, state: Float[Tensor, "batch token hidden"], context: ContextT
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the core block once."""
        ...

    def normalise(self, state: Float[Tensor, "batch token hidden"]) -> Float[Tensor, "batch token hidden"]:
        """Return the normalised latent state, s = ln_f(x)."""
        ...

    def readout(
        self, state: Float[Tensor, "batch token hidden"], context: ContextT
    ) -> Float[Tensor, "batch token vocab"]:
        """Return the logits that the model would give if it stopped here."""
        ...

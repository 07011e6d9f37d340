"""The interface of looped models: five verbs and a few facts, without a base class.

The verbs, in the order in which they are called::

    context = model.embed(token_ids)                  # prelude, once
    state = model.initial_state(context, seed=0)      # noise, once
    state = model.step(state, context)                # core block, many times
    latent = model.normalise(state)                   # what distances compare
    logits = model.readout(state, context)            # coda and head, whenever we look

``state`` is raw: `readout` applies the final norm itself. Every verb runs under ``torch.no_grad`` (not
``inference_mode``: derivatives must work) and is pure, but for the cache that a context may carry.

Six more verbs are optional. A model without them can be traced; models that have them are traced faster,
decode with a cache, and can be read out between blocks::

    hidden = model.last_hidden(state, context)        # the input of the head at the last position
    logits = model.head(hidden)                       # the rest of `readout`; of a latent: the logit lens
    states = model.step_blocks(state, context)        # the state after each block of one `step`
    cache = model.new_cache("full", room=0)           # for `embed(token_ids, cache=cache)`
    size = model.cache_bytes("full", tokens=9, iterations=64)  # size of such a cache

    chance = model.exit_probability(state, context)   # of stopping at this state, [batch, token]

They come in groups: `ReadInParts`, `StepInBlocks`, `WithCache` and `ExitGate`.

Three facts have defaults, which `facts_of` fills in; a model states those that differ:

* ``seeded`` (True): the initial state depends on the seed. False: the loop starts from the input, and every
  seed, None included, gives the same start.
* ``causal`` (True): no state depends on a later token. False: nothing can be decoded token by token.
* ``trained_iterations`` (None): the one number of iterations that the model was trained with; None means that
  it was made for any. Traces stop there by default, and what lies beyond is extrapolation.

`latentkit.testing.check_recurrent_model` checks all of this, the optional verbs where there are any.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = [
    "Context",
    "ExitGate",
    "Facts",
    "ReadInParts",
    "RecurrentModel",
    "StepInBlocks",
    "WithCache",
    "facts_of",
]


class Context(Protocol):
    """Output of the prelude, used at every iteration; a model may store more in it."""

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
        """The device of the weights."""
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
        """Largest number of tokens."""
        ...

    def embed(self, token_ids: Int[Tensor, "batch token"], *, cache: Any = None) -> ContextT:
        """Run the prelude."""
        ...

    def initial_state(self, context: ContextT, seed: int | None) -> Float[Tensor, "batch token hidden"]:
        """Return the initial state; None means zeros."""
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
        """Return the logits for the current state."""
        ...


@runtime_checkable
class ReadInParts(Protocol):
    """Optional: a readout of the last position only, in two parts. A model has both verbs or neither.

    ``head(last_hidden(state, context))`` is the last position of ``readout(state, context)``. Decoding keeps
    the hidden vectors of many iterations and gives them to the head together.
    """

    def last_hidden(
        self, state: Float[Tensor, "batch token hidden"], context: Any
    ) -> Float[Tensor, "batch hidden"]:
        """Return the head's input at the last position: final norm, coda, final norm."""
        ...

    def head(self, hidden: Float[Tensor, "... hidden"]) -> Float[Tensor, "... vocab"]:
        """Return the logits of hidden vectors; of normalised latent states it is the logit lens."""
        ...


@runtime_checkable
class StepInBlocks(Protocol):
    """Optional: the states between the blocks of `step`, which `run_lens` needs."""

    def step_blocks(
        self, state: Float[Tensor, "batch token hidden"], context: Any
    ) -> list[Float[Tensor, "batch token hidden"]]:
        """Return the state after each block of one pass; the last one is what `step` returns.

        The context has no cache.
        """
        ...


@runtime_checkable
class WithCache(Protocol):
    """Optional: a cache, so that each new token is read once. `cache_bytes` may be absent.

    The cache is handed to ``embed(token_ids, cache=cache)``, whose tokens follow those that it holds, and it
    is the one thing that the verbs change.
    """

    def new_cache(self, lookup: str = "full", *, room: int = 0) -> Any:
        """Return an empty cache, with memory reserved for ``room`` positions."""
        ...

    def cache_bytes(self, lookup: str, *, tokens: int, iterations: int) -> int:
        """Return an upper bound of the bytes that such a cache holds."""
        ...


@runtime_checkable
class ExitGate(Protocol):
    """Optional: a learned gate that may end the loop for a token.

    `latentkit.criteria.exit_distribution` turns these probabilities into a distribution over iterations.
    """

    def exit_probability(
        self, state: Float[Tensor, "batch token hidden"], context: Any
    ) -> Float[Tensor, "batch token"]:
        """Return the probability of stopping at this state, given that the token has not stopped before."""
        ...


class Facts(NamedTuple):
    """What a model states about itself; see the top of this module."""

    seeded: bool = True
    causal: bool = True
    trained_iterations: int | None = None


def facts_of(model: Any) -> Facts:
    """Return a model's facts, with the defaults for those that it does not state."""
    return Facts(
        getattr(model, "seeded", True),
        getattr(model, "causal", True),
        getattr(model, "trained_iterations", None),
    )

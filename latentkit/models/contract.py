"""Interface of looped models: five methods ("verbs") and three attributes ("facts"), without a base class.

The methods, in the order in which they are called::

    context = model.embed(token_ids)                  # prelude, once
    state = model.initial_state(context, seed=0)      # noise, once
    state = model.step(state, context)                # core block, many times
    latent = model.normalise(state)                   # input of the distances
    logits = model.readout(state, context)            # coda and head, after any iteration

``state`` is raw: `readout` applies the final norm itself. Every method runs under ``torch.no_grad`` (not
under ``inference_mode``, which would prevent derivatives) and has no side effects, except on the cache of a
context.

Six more methods are optional. A model without them can be traced. Models that have them are traced faster,
decode with a cache, and can be read out between blocks::

    hidden = model.last_hidden(state, context)        # input of the head at the last position
    logits = model.head(hidden)                       # rest of `readout`; logit lens for a latent
    states = model.step_blocks(state, context)        # state after each block of one `step`
    cache = model.new_cache("full", room=0)           # for `embed(token_ids, cache=cache)`
    size = model.cache_bytes("full", tokens=9, iterations=64)  # size of such a cache

    chance = model.exit_probability(state, context)   # of stopping at this state, [batch, token]

The optional methods form four groups: `ReadInParts`, `StepInBlocks`, `WithCache` and `ExitGate`.

Three attributes have defaults, which `facts_of` fills in; a model defines those that differ:

* ``seeded`` (True): the initial state depends on the seed. If False, the loop starts from the input, and
  every seed, including None, gives the same initial state.
* ``causal`` (True): no state depends on a later token. If False, the model cannot decode token by token.
* ``trained_iterations`` (None): the fixed number of iterations in training; None means that the model was
  trained with a varying number. Traces stop at this number by default; more iterations are extrapolation.

`latentkit.testing.check_recurrent_model` checks this interface, including the optional methods of a model.
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
    """Output of the prelude, used at every iteration; a model may add further fields."""

    @property
    def embedding(self) -> Float[Tensor, "batch token hidden"]:
        """Output of the prelude, injected at every iteration."""
        ...

    @property
    def positions(self) -> Int[Tensor, " token"]:
        """Position of each token, counted from 0 at the beginning of the sequence."""
        ...


ContextT = TypeVar("ContextT", bound=Context)


@runtime_checkable
class RecurrentModel(Protocol[ContextT]):
    """Looped model: any object with these attributes and methods."""

    name: str
    revision: str | None
    tokenizer: Any
    module: nn.Module

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights and states."""
        ...

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        ...

    @property
    def hidden_size(self) -> int:
        """Number of channels of a state."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of logits."""
        ...

    @property
    def context_length(self) -> int:
        """Maximum number of tokens."""
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
    """Optional readout of the last position only, in two parts; a model has both methods or neither.

    ``head(last_hidden(state, context))`` equals the last position of ``readout(state, context)``. Decoding
    collects the hidden vectors of many iterations and passes them to the head in one batch.
    """

    def last_hidden(
        self, state: Float[Tensor, "batch token hidden"], context: Any
    ) -> Float[Tensor, "batch hidden"]:
        """Return the input of the head at the last position, after final norm, coda and final norm."""
        ...

    def head(self, hidden: Float[Tensor, "... hidden"]) -> Float[Tensor, "... vocab"]:
        """Return the logits of hidden vectors; for normalised latent states this is the logit lens."""
        ...


@runtime_checkable
class StepInBlocks(Protocol):
    """Optional access to the states between the blocks of `step`, which `run_lens` needs."""

    def step_blocks(
        self, state: Float[Tensor, "batch token hidden"], context: Any
    ) -> list[Float[Tensor, "batch token hidden"]]:
        """Return the state after each block of one iteration; the last one equals the result of `step`.

        The context must have no cache.
        """
        ...


@runtime_checkable
class WithCache(Protocol):
    """Optional cache, with which each token is processed only once. `cache_bytes` may be absent.

    The cache is passed to ``embed(token_ids, cache=cache)``; the new tokens follow those in the cache. The
    cache is the only object that the methods modify.
    """

    def new_cache(self, lookup: str = "full", *, room: int = 0) -> Any:
        """Return an empty cache, with memory reserved for ``room`` positions."""
        ...

    def cache_bytes(self, lookup: str, *, tokens: int, iterations: int) -> int:
        """Return an upper bound on the size of such a cache in bytes."""
        ...


@runtime_checkable
class ExitGate(Protocol):
    """Optional learned gate that can end the loop for a token.

    `latentkit.criteria.exit_distribution` converts these probabilities to a distribution over iterations.
    """

    def exit_probability(
        self, state: Float[Tensor, "batch token hidden"], context: Any
    ) -> Float[Tensor, "batch token"]:
        """Return the probability of stopping at this state, conditional on not having stopped before."""
        ...


class Facts(NamedTuple):
    """Attributes of a model that have defaults; see the module docstring."""

    seeded: bool = True
    causal: bool = True
    trained_iterations: int | None = None


def facts_of(model: Any) -> Facts:
    """Return the facts of a model, with defaults for those that the model does not define."""
    return Facts(
        getattr(model, "seeded", True),
        getattr(model, "causal", True),
        getattr(model, "trained_iterations", None),
    )

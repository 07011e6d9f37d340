"""The conformance check passes what is right and names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from models_for_tests import Counter, tiny_model
from torch import Tensor

from latentkit.models.contract import ReadInParts, RecurrentModel, StepInBlocks, WithCache
from latentkit.models.verbs import HuginnModel
from latentkit.testing import check_recurrent_model


@pytest.mark.parametrize("injection", ["linear", "add", "gate", "ffn"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_kind_of_our_model_keeps_the_contract(injection: str, tied: bool) -> None:
    model = tiny_model(injection_type=injection, tie_embeddings=tied, qk_bias=not tied)
    assert isinstance(model, RecurrentModel)
    check_recurrent_model(model)


class Broken(HuginnModel):
    """A model that breaks one law."""

    def __init__(self, law: str) -> None:
        super().__init__(tiny_model().module, name="broken")
        self.law = law

    def initial_state(self, context: Any, seed: int | None) -> Tensor:
        if self.law == "seed ignored":
            seed = None if seed is None else 0
        state = super().initial_state(context, seed)
        if self.law == "global generator" and seed is not None:
            return torch.randn_like(state)
        if self.law == "length" and seed is not None:
            return state * state.shape[1]
        if self.law == "zeros" and seed is None:
            return state + 1
        return state[:, :1].expand_as(state) if self.law == "alike" and seed is not None else state

    def step(self, state: Tensor, context: Any) -> Tensor:
        if self.law == "in place":
            state.mul_(0.5)
        after = super().step(state, context)
        if self.law == "future":
            return after + after.mean(dim=1, keepdim=True)
        if self.law == "counts":
            self.calls = getattr(self, "calls", 0) + 1
            return after + self.calls
        return after[..., :-1] if self.law == "shape" else after

    def readout(self, state: Tensor, context: Any) -> Tensor:
        if self.law == "normed twice":
            state = self.normalise(state) * 3
        if self.law == "inference":
            with torch.inference_mode():
                return super().readout(state, context)
        if self.law == "gradient":
            return super().readout(state, context).requires_grad_()
        return super().readout(state, context)

    def normalise(self, state: Tensor) -> Tensor:
        return super().normalise(state) * (torch.nan if self.law == "nan" else 1)

    def last_hidden(self, state: Tensor, context: Any) -> Tensor:
        if self.law == "hidden in place":
            state.add_(1)
        hidden = super().last_hidden(state, context)
        if self.law == "another head":
            return hidden * 1.5
        return hidden[:, None] if self.law == "hidden shape" else hidden

    def head(self, hidden: Tensor) -> Tensor:
        logits = super().head(hidden)
        return logits[..., :1, :] if self.law == "lens" and logits.dim() == 3 else logits

    def step_blocks(self, state: Tensor, context: Any) -> list[Tensor]:
        if self.law == "blocks in place":
            state.add_(1)
        states = super().step_blocks(state, context)
        if self.law == "no blocks":
            return []
        if self.law == "block shape":
            states[0] = states[0][..., :-1]
        return states[:1] if self.law == "first block" else states

    def new_cache(self, lookup: str = "full", *, room: int = 0) -> Any:
        return super().new_cache(lookup, room=2 * room if self.law == "too much room" else room)

    def cache_bytes(self, lookup: str, *, tokens: int, iterations: int) -> Any:
        size = super().cache_bytes(lookup, tokens=tokens, iterations=iterations)
        if self.law == "half a byte":
            return float(size)
        return size // 2 if self.law == "small" else size

    def embed(self, token_ids: Tensor, *, cache: Any = None) -> Any:
        context = super().embed(token_ids, cache=cache)
        if self.law == "cache" and cache is not None:
            context.embedding.mul_(1.5)
        return context


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ("shape", "step has the shape (1, 5, 31), not (1, 5, 32)."),
        ("gradient", "readout carries a gradient; run the verbs under torch.no_grad."),
        ("inference", "readout is an inference tensor, of which no derivative can be taken."),
        ("nan", "normalise is not finite."),
        ("global generator", "initial_state draws from torch's global generator."),
        ("seed ignored", "initial_state with another seed gives the same state."),
        ("alike", "initial_state starts every position alike."),
        ("zeros", "initial_state with seed None is not zero."),
        ("length", "initial_state of a position depends on the sequence's length."),
        ("in place", "A verb changes the state that it is given, in place."),
        ("counts", "step gives another state when called again"),
        ("future", "Earlier states depend on a later token"),
        ("normed twice", "The verbs and module.forward disagree after 0 iterations"),
        ("hidden shape", "last_hidden has the shape (1, 1, 32), not (1, 32)."),
        ("hidden in place", "last_hidden changes the state that it is given, in place"),
        ("another head", "head(last_hidden) is not the last of readout"),
        ("lens", "head of a normalised state has the shape (1, 1, 64), not (1, 5, 64)."),
        ("no blocks", "step_blocks gives no state; give one after each block of the core."),
        ("block shape", "A state of step_blocks has the shape (1, 5, 31), not (1, 5, 32)."),
        ("blocks in place", "step_blocks changes the state that it is given, in place"),
        ("first block", "The last state of step_blocks is not step's"),
        ("cache", "The cache changes the logits"),
        ("half a byte", "cache_bytes is a float, not a whole number of bytes."),
        ("small", "cache_bytes says 5120 bytes for 5 tokens, but the cache holds 10240."),
        ("too much room", "cache_bytes says 10240 bytes for 5 tokens, but the cache holds 20480."),
    ],
)
def test_a_broken_law_is_named(law: str, message: str) -> None:
    with pytest.raises(AssertionError) as raised:
        check_recurrent_model(Broken(law))
    assert str(raised.value).startswith(message)


def test_too_few_tokens_to_try_are_refused() -> None:
    with pytest.raises(AssertionError, match="Pass at least three token ids, not 2"):
        check_recurrent_model(tiny_model(), token_ids=[1, 2])


@pytest.mark.parametrize("group", [ReadInParts, StepInBlocks, WithCache])
def test_optional_verbs_are_told_apart_by_their_group(group: Any) -> None:
    assert isinstance(tiny_model(), group)
    assert not isinstance(Counter(), group)


def test_a_model_without_the_optional_verbs_keeps_the_contract() -> None:
    class Plain:
        """The five verbs and nothing more."""

        def __init__(self, model: Any) -> None:
            asked = ("embed", "initial_state", "step", "normalise", "readout", "module", "dtype")
            for name in (*asked, "hidden_size", "vocab_size"):
                setattr(self, name, getattr(model, name))

    check_recurrent_model(Plain(tiny_model()))  # type: ignore[arg-type]


@pytest.mark.parametrize(("gone", "left"), [("head", "last_hidden"), ("last_hidden", "head")])
def test_half_a_readout_in_two_parts_is_refused(gone: str, left: str) -> None:
    class Half(HuginnModel):
        def __getattribute__(self, name: str) -> Any:
            if name == gone:
                raise AttributeError(name)
            return super().__getattribute__(name)

    with pytest.raises(AssertionError) as raised:
        check_recurrent_model(Half(tiny_model().module))
    assert str(raised.value) == f"The model has {left} alone; last_hidden and head are of use together."

"""A new looped model, written as CONTRIBUTING says, works in every run that its verbs allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import latentkit as lk
from latentkit.errors import ArgumentError
from latentkit.testing import check_recurrent_model


@dataclass(frozen=True)
class Context:
    embedding: Tensor
    positions: Tensor


class Output(NamedTuple):
    loss: None
    logits: Tensor


class Network(nn.Module):
    """Embedding e, core x → tanh(W x + e), head; no token sees another one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.core, self.head = nn.Embedding(16, 8), nn.Linear(8, 8), nn.Linear(8, 16)

    def forward(self, token_ids: Tensor, *, iterations: int, initial_state: Tensor, **_: Any) -> Output:
        x = initial_state
        for _ in range(iterations):
            x = torch.tanh(self.core(x) + self.embedding(token_ids))
        return Output(None, self.head(x))


class Toy:
    """The five verbs and the facts of the contract, and nothing more."""

    name, revision, tokenizer = "toy", None, None
    dtype, device = torch.float32, torch.device("cpu")
    hidden_size, vocab_size, context_length = 8, 16, 64

    def __init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.module = Network().requires_grad_(False)

    def embed(self, token_ids: Tensor, *, cache: Any = None) -> Context:
        assert cache is None
        return Context(self.module.embedding(token_ids), torch.arange(token_ids.shape[1]))

    def initial_state(self, context: Context, seed: int | None) -> Tensor:
        if seed is None:
            return torch.zeros_like(context.embedding)
        drawn = [
            torch.randn(8, generator=torch.Generator().manual_seed(1000 * seed + position))
            for position in context.positions.tolist()
        ]
        return torch.stack(drawn).expand_as(context.embedding).clone()

    def step(self, state: Tensor, context: Context) -> Tensor:
        return torch.tanh(self.module.core(state) + context.embedding)

    def normalise(self, state: Tensor) -> Tensor:
        return state

    def readout(self, state: Tensor, context: Context) -> Tensor:
        del context
        return self.module.head(state)


IDS = [3, 1, 4, 1, 5]


def test_the_toy_keeps_the_contract() -> None:
    check_recurrent_model(Toy())  # type: ignore[arg-type]


def test_its_trace_is_that_of_its_own_forward() -> None:
    toy = Toy()
    trace = lk.run_recurrence(toy, IDS, iterations=6, keep_states=True, progress=False)
    ids = torch.tensor([IDS])
    start = toy.initial_state(toy.embed(ids), 0)
    wanted = toy.module(ids, iterations=6, initial_state=start).logits[0].argmax(-1)
    np.testing.assert_array_equal(trace.readout_id.sel(iteration=6).isel(rank=0), wanted)
    assert isinstance(lk.explore(trace), lk.TraceExplorer)


def test_its_layers_are_its_iterations() -> None:
    toy = Toy()
    lens = lk.run_layer_lens(toy, IDS, iterations=5, new_tokens=2, progress=False)
    assert lens["iteration"].values.tolist() == [1, 2, 3, 4, 5]
    assert (lens.kl[-1] == 0).all()
    assert (lens.kl[0] > 0).all()
    same = lk.run_layer_effect(toy, IDS, do="identity", iterations=5, new_tokens=2, progress=False)
    assert (same.kl == 0).all()
    assert lk.run_layer_effect(toy, IDS, iterations=5, new_tokens=2, progress=False).kl.max() > 0
    assert lk.run_layer_difference(toy, IDS, 3, iterations=5, layers=[-1], progress=False).kl.max() > 0
    assert isinstance(lk.explore(lens), lk.TraceExplorer)


def test_it_decodes_and_its_starts_and_contraction_are_measured() -> None:
    toy = Toy()
    decoded = lk.run_decoding(toy, IDS, new_tokens=2, iterations=5, progress=False)
    assert decoded.sizes["generated_token"] == 2
    lk.run_path_independence(toy, IDS, iterations=8, progress=False)
    lk.run_local_contraction(toy, IDS, progress=False)


def test_a_run_that_needs_more_verbs_names_them() -> None:
    with pytest.raises(ArgumentError, match="it lacks step_blocks, last_hidden, head"):
        lk.run_lens(Toy(), IDS)  # type: ignore[arg-type]

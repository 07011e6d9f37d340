"""Where runs from different starts end, and how strongly the core pulls them there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from models_for_tests import Counter, CounterContext, plain_model, tiny_model
from torch import Tensor

import latentkit as lk
from latentkit.errors import ArgumentError
from latentkit.run.recurrence.contraction import run_local_contraction
from latentkit.run.recurrence.path_independence import run_path_independence

IDS = [3, 1, 4, 1, 5, 9]


class Linear(Counter):
    """x ← A x + e, and each token takes something from those before it too: the eigenvalues are A's."""

    name = "linear"
    hidden_size = 3

    def __init__(self, matrix: Any, mixing: float = 0.0) -> None:
        super().__init__()
        self.matrix, self.mixing = torch.tensor(matrix), mixing

    def embed(self, token_ids: Tensor, *, cache: Any = None) -> CounterContext:
        e = torch.stack([token_ids, token_ids + 1, 0 * token_ids + 2], dim=-1).float()
        return CounterContext(e, torch.arange(token_ids.shape[1]))

    def initial_state(self, context: CounterContext, seed: int | None) -> Tensor:
        shape = context.embedding.shape
        rows = torch.randn(shape[1:], generator=torch.Generator().manual_seed(seed or 0))
        return rows.expand(shape).clone()

    @torch.no_grad()
    def step(self, state: Tensor, context: CounterContext) -> Tensor:
        before = state.cumsum(dim=1) - state
        return state @ self.matrix.T + self.mixing * before + context.embedding


ROTATION = [[0.0, -0.7, 0.0], [0.7, 0.0, 0.0], [0.0, 0.0, 0.2]]  # a complex pair of length 0.7
SWING = [[-0.9, 0.5, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.1]]


@pytest.mark.parametrize("mixing", [0.0, 3.0])
@pytest.mark.parametrize(
    ("matrix", "radius"), [(ROTATION, 0.7), (SWING, 0.9), (np.diag([0.5, 0.2, 0.1]), 0.5)]
)
def test_the_radius_of_a_linear_step_is_its_eigenvalue(matrix: Any, radius: float, mixing: float) -> None:
    """What a token takes from others (``mixing``, larger than all eigenvalues) does not count."""
    model = Linear(np.asarray(matrix, dtype=np.float32).tolist(), mixing)
    found = run_local_contraction(model, [1, 2, 5], iterations=200, progress=False)
    np.testing.assert_allclose(found.spectral_radius, radius, rtol=1e-4)
    assert (found.spread < 1e-3).all()
    np.testing.assert_allclose(found.attrs["sequence_radius"], radius, rtol=1e-4)


def test_the_radius_is_the_rate_at_which_a_linear_model_converges() -> None:
    model = Linear(np.diag([0.8, 0.2, 0.1]).tolist())
    trace = lk.run_recurrence(model, [1, 2], iterations=40, limit=200, readout_top=0, progress=False)
    rate = lk.contraction_rate(trace, iterations=slice(10, 40)).rate
    found = run_local_contraction(model, [1, 2], iterations=200, progress=False)
    np.testing.assert_allclose(found.spectral_radius, rate, rtol=1e-3)


def test_the_radius_of_a_transformer_is_that_of_its_jacobian() -> None:
    model = tiny_model()
    found = run_local_contraction(
        model, IDS, tokens=[1, 4], iterations=60, power_iterations=100, progress=False
    )
    context = model.embed(torch.tensor([IDS]))
    state = model.initial_state(context, 0)
    for _ in range(60):
        state = model.step(state, context)
    for position, radius, spread in zip([1, 4], found.spectral_radius, found.spread, strict=True):
        columns = []
        for channel in range(32):
            change = torch.zeros_like(state)
            change[0, position, channel] = 1e-2
            two = model.step(state + change, context) - model.step(state - change, context)
            columns.append(two[0, position] / 2e-2)
        expected = np.abs(np.linalg.eigvals(torch.stack(columns, dim=1).numpy())).max()
        np.testing.assert_allclose(radius, expected, rtol=0.02)
        assert spread < 0.05


def test_tokens_can_be_looked_at_one_by_one_or_together(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"tokens": [0, 4], "iterations": 20, "progress": False}
    together = run_local_contraction(tiny_model(), IDS, **chosen)
    monkeypatch.setattr("latentkit.run.recurrence.contraction._BATCH_BYTES", 1)
    alone = run_local_contraction(tiny_model(), IDS, **chosen)
    assert together.token.values.tolist() == [0, 4]
    np.testing.assert_allclose(alone.spectral_radius, together.spectral_radius, rtol=0.15)


def test_a_state_that_never_rests_says_so() -> None:
    found = run_local_contraction(Counter(), [1, 2], iterations=20, progress=False)
    np.testing.assert_allclose(found.last_step, np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(found.spectral_radius, 1.0, rtol=1e-6)


def test_a_contraction_ends_at_one_point_from_every_start() -> None:
    model = Linear(SWING)
    found = run_path_independence(
        model, [1, 2], seeds=[0, 1, 2], other_prompt=[7], iterations=300, progress=False
    )
    assert found.start.values.tolist() == ["seed 0", "seed 1", "seed 2", "other prompt"]
    np.testing.assert_allclose(found.cosine, 1, atol=1e-6)
    np.testing.assert_allclose(found.distance, 0, atol=1e-4)
    np.testing.assert_allclose(found.alignment, 1, atol=1e-6)
    assert (found.last_step < 1e-4).all()


def test_a_model_that_remembers_its_start_is_path_dependent() -> None:
    """With eigenvalue 1 and no input the state stays where it began."""

    class Stays(Linear):
        def step(self, state: Tensor, context: CounterContext) -> Tensor:
            return state.clone()

    model = Stays(SWING)
    found = run_path_independence(model, [1, 2], seeds=[0, 3], iterations=5, progress=False)
    starts = [model.initial_state(model.embed(torch.tensor([[1, 2]])), seed)[0] for seed in (0, 3)]
    expected = torch.nn.functional.cosine_similarity(*starts, dim=-1)
    np.testing.assert_allclose(found.alignment, expected, atol=1e-6)
    np.testing.assert_allclose(found.distance[0, 1], (starts[0] - starts[1]).norm(dim=-1), rtol=1e-5)
    np.testing.assert_array_equal(found.last_step, 0)


def test_the_other_prompts_end_is_the_start_position_by_position() -> None:
    class Stays(Linear):
        def step(self, state: Tensor, context: CounterContext) -> Tensor:
            return context.embedding if context.embedding.shape[1] == 2 else state.clone()

    found = run_path_independence(
        Stays(SWING), [1, 2, 3], seeds=[0], other_prompt=[5, 6], iterations=2, progress=False
    )
    start = Stays(SWING).initial_state(Stays(SWING).embed(torch.tensor([[1, 2, 3]])), 0)[0]
    ends = torch.tensor([[5.0, 6, 2], [6, 7, 2], [5, 6, 2]])
    np.testing.assert_allclose(found.distance[0, 1], (start - ends).norm(dim=-1), rtol=1e-5)


def test_the_limits_of_a_trace_are_those_that_are_compared() -> None:
    model = plain_model()
    traces = [
        lk.run_recurrence(model, IDS, iterations=30, limit=30, seed=s, keep_states=True, progress=False)
        for s in (0, 1)
    ]
    found = run_path_independence(model, IDS, seeds=[0, 1], iterations=30, progress=False)
    ends = [trace.state.sel(iteration=30).values for trace in traces]
    np.testing.assert_allclose(found.distance[0, 1], np.linalg.norm(ends[0] - ends[1], axis=-1), atol=1e-5)
    np.testing.assert_allclose(found.last_step[1], traces[1].step_size.sel(iteration=30), atol=1e-5)


_DIFFERENT = "a list of different whole numbers, such as [0, 1, 2]."


@pytest.mark.parametrize(
    ("seeds", "what"),
    [([], _DIFFERENT), ([1, 1], _DIFFERENT), ([0], "at least two different ones, or one and other_prompt=.")],
)
def test_one_start_has_nothing_to_be_compared_with(seeds: list[int], what: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        run_path_independence(tiny_model(), IDS, seeds=seeds, progress=False)
    assert str(raised.value) == f"seeds is {seeds}; pass {what}"


def test_positions_that_are_not_there_are_refused() -> None:
    with pytest.raises(ArgumentError) as raised:
        run_local_contraction(tiny_model(), IDS, tokens=slice(6, 9), progress=False)
    assert str(raised.value) == (
        "tokens selects none of the 6 tokens: slice(6, 9, None). Pass a slice, a list of positions, or None."
    )

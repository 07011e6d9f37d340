"""Formulas against answers known by hand and against another library's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentkit import criteria

FORMULAS_OF_TWO = (criteria.distance, criteria.cosine, criteria.kl_divergence)
LOGITS = arrays(np.float64, (3, 5), elements=st.floats(-30, 30))


def test_distance_is_euclidean_over_the_last_axis() -> None:
    a, b = np.zeros((2, 3, 2)), np.broadcast_to([3.0, 4.0], (2, 3, 2))
    np.testing.assert_allclose(criteria.distance(a, b), np.full((2, 3), 5.0))


def test_cosine_of_opposite_orthogonal_and_zero_vectors() -> None:
    a = np.array([[1.0, 0], [1, 0], [1, 0], [0, 0]])
    b = np.array([[-2.0, 0], [0, 3], [5, 0], [1, 0]])
    np.testing.assert_allclose(criteria.cosine(a, b), [-1, 0, 1, np.nan])


def test_log_softmax_of_huge_logits_does_not_overflow() -> None:
    np.testing.assert_allclose(criteria.log_softmax(np.array([1e4, 1e4])), np.log([0.5, 0.5]))


def test_entropy_of_uniform_is_log_vocab_and_of_one_hot_zero() -> None:
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.array([[0.25] * 4, [1, 0, 0, 0]]))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(criteria.entropy(log_probs), [math.log(4), 0])


def test_kl_of_one_hot_against_uniform_is_log_vocab_and_the_other_way_infinite() -> None:
    uniform = np.log(np.full(4, 0.25))
    with np.errstate(divide="ignore", invalid="ignore"):
        one_hot = np.log(np.array([1.0, 0, 0, 0]))
        assert criteria.kl_divergence(one_hot, uniform) == pytest.approx(math.log(4))
        assert criteria.kl_divergence(uniform, one_hot) == math.inf


@given(LOGITS, LOGITS)
def test_kl_is_that_of_another_library_and_never_negative(a: np.ndarray, b: np.ndarray) -> None:
    p, q = (torch.from_numpy(x).log_softmax(-1) for x in (a, b))
    wanted = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    found = criteria.kl_divergence(p.numpy(), q.numpy())
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert (found >= -1e-12).all()


@given(LOGITS, LOGITS)
def test_numpy_and_torch_arrays_give_the_same_numbers(a: np.ndarray, b: np.ndarray) -> None:
    x, y = (torch.from_numpy(array) for array in (a, b))
    np.testing.assert_allclose(criteria.log_softmax(a), criteria.log_softmax(x), atol=1e-12)
    a, b, x, y = (criteria.log_softmax(array) for array in (a, b, x, y))
    for formula in FORMULAS_OF_TWO:
        np.testing.assert_allclose(formula(a, b), formula(x, y), atol=1e-9)
    np.testing.assert_allclose(criteria.entropy(a), criteria.entropy(x), atol=1e-12)

"""The exercises of lesson 11: factors of steps, and the distribution that a gate implies."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from latentkit import classroom


def steps(factors: list[float]) -> xr.Dataset:
    """A trace whose tokens take steps that shrink by these factors."""
    iteration = np.arange(65)
    values = np.array(factors)[:, None] ** iteration
    return xr.Dataset({"step_size": (("token", "iteration"), values)}, {"iteration": iteration})


FAMILIES = {"calm": steps([0.9, 0.9, 0.99]), "restless": steps([1.0, 1.0, 1.1])}


def test_factors_of_the_median_step_are_right() -> None:
    exercise = classroom.shrink_factors(FAMILIES, first=32)
    assert str(exercise.check([0.9, 1.0])).startswith("Right. Below 1, the steps become shorter")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.9**32, 1.0], "This is what 32 iterations do together. The factor of one is a root."),
        ([1 / 0.9, 1.0], "These are the steps before over the steps after; turn them round."),
        ([0.8, 1.0], "1 of 2 values are not right. For calm the factor is not 0.8."),
    ],
)
def test_likely_mistakes_with_factors_have_messages(given: list[float], message: str) -> None:
    assert classroom.shrink_factors(FAMILIES, first=32).judge(given) == (False, message)


def test_factors_of_the_mean_are_noticed() -> None:
    means = [trace.step_size.mean("token") for trace in FAMILIES.values()]
    given = [float(mean[64] / mean[32]) ** (1 / 32) for mean in means]
    message = "These are factors of the mean step. Take the median."
    assert classroom.shrink_factors(FAMILIES, first=32).judge(given) == (False, message)


@pytest.fixture
def gated() -> xr.Dataset:
    chances = [[np.nan, 0.5, 0.4, 0.9, 0.3], [np.nan, 0.1, 0.2, 0.3, 0.4]]
    data = {"exit_probability": (("token", "iteration"), chances)}
    return xr.Dataset(data, {"iteration": np.arange(5)}, attrs={"trained_iterations": 4})


def test_the_distribution_of_a_gate_ends_with_the_remainder(gated: xr.Dataset) -> None:
    exercise = classroom.gate_distribution(gated, token=0)
    assert exercise.judge([0.5, 0.2, 0.27, 0.03])[0]
    assert exercise.judge([0.5, 0.4, 0.9, 0.3]) == (
        False, "These are the chances of the gate. They do not account for earlier stops."
    )  # fmt: skip
    assert exercise.judge([0.5, 0.2, 0.27, 0.009]) == (
        False, "These add up to 0.98. Where do the other loops end?"
    )  # fmt: skip
    assert exercise.judge([1.0, 0.5, 0.3, 0.03])[1].startswith("This is the probability to come so far")
    assert not classroom.gate_distribution(gated, token=1).judge([0.5, 0.2, 0.27, 0.03])[0]

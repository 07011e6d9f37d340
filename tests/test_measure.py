"""Measures of traces, on trajectories whose answers are known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from golden_for_tests import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from models_for_tests import plain_model, tiny_model

import latentkit as lk
from latentkit import criteria, measure
from latentkit.errors import ArgumentError, TraceError
from latentkit.trace import build_trace

RNG = np.random.default_rng(0)
IDS = [3, 1, 4, 1, 5, 9, 2, 6]


def distances(*rows: Any, **attrs: Any) -> xr.Dataset:
    values = np.array(rows, dtype=float)
    return xr.Dataset(
        {"distance": (("token", "iteration"), values)}, {"iteration": np.arange(values.shape[1])}, attrs
    )


def moving(*paths: np.ndarray) -> xr.Dataset:
    """A trace of states [iteration, hidden], one path for each token."""
    return xr.Dataset({"state": (("token", "iteration", "hidden"), np.stack(paths))}, attrs={"limit": 128})


def halving(rate: float, count: int = 65) -> np.ndarray:
    direction = RNG.normal(size=16)
    return 5 * RNG.normal(size=16) + direction * 10 * rate ** np.arange(count)[:, None]


# Settling


def test_a_token_settles_where_it_stays_below_for_good() -> None:
    trace = distances([100, 0.5, 2, 0.5, 0.4], [100, 90, 80, 70, 0.9], [100, 0.1, 0.1, 0.1, 0.1], limit=128)
    np.testing.assert_array_equal(lk.settling_iteration(trace), [3, 4, 1])
    np.testing.assert_array_equal(lk.settling_iteration(trace, threshold=85), [1, 2, 1])


def test_a_token_that_never_settles_has_no_number() -> None:
    trace = distances([100, 0.1, 0.1, 2], [100, 0.1, np.nan, np.nan])
    assert lk.settling_iteration(trace).isnull().all()


def test_the_column_of_the_limit_settles_nothing() -> None:
    slow = [100, 50, 25, 0]
    assert lk.settling_iteration(distances(slow, limit=3)).isnull().all()
    assert lk.settling_iteration(distances(slow, limit=128)).item() == 3


def test_seeds_and_labels_stay() -> None:
    trace = distances([100, 1, 0.1, 0.1]).assign_coords(token_text=("token", ["a"]))
    both = xr.concat([trace, trace], "seed").assign_coords(seed=[4, 7])
    settled = lk.settling_iteration(both)
    assert settled.dims == ("seed", "token")
    assert settled.seed.values.tolist() == [4, 7]
    assert settled.token_text.item() == "a"


@given(st.floats(0.3, 0.95), st.floats(0.001, 0.5))
def test_the_settling_of_an_exponential_is_that_of_its_logarithm(rate: float, relative: float) -> None:
    settled = lk.settling_iteration(distances(100 * rate ** np.arange(400.0)), relative=relative).item()
    assert rate**settled < relative * (1 + 1e-9)
    assert rate ** (settled - 1) >= relative * (1 - 1e-9)


def test_wrong_thresholds_and_traces_are_refused() -> None:
    trace = distances([9, 1])
    for argument in ({"relative": 0}, {"threshold": -1.0}, {"relative": np.nan}):
        with pytest.raises(ArgumentError, match="pass a number above 0"):
            lk.settling_iteration(trace, **argument)
    with pytest.raises(TraceError) as raised:
        lk.settling_iteration(trace.isel(iteration=slice(1, None)))
    assert str(raised.value) == (
        "This trace begins at iteration 1, and thresholds are relative to iteration 0. "
        "Pass the whole trace, or threshold= as a distance."
    )
    with pytest.raises(TraceError) as raised:
        lk.settling_iteration(trace.distance)  # type: ignore[arg-type]
    assert str(raised.value) == (
        "Expected a trace with 'distance', got a DataArray without it. Pass the result of `run_recurrence`."
    )


# Rates and floors


def test_the_rate_of_an_exponential_is_its_factor_whatever_a_few_outliers_do() -> None:
    clean = 100 * 0.8 ** np.arange(40.0)
    spoiled = clean.copy()
    spoiled[[5, 11, 17, 30]] *= 50
    found = lk.contraction_rate(distances(clean, spoiled))
    np.testing.assert_allclose(found.rate, [0.8, 0.8], rtol=1e-2)
    np.testing.assert_allclose(found.rate[0], 0.8, rtol=1e-9)
    assert found.misfit[0] < 1e-9


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=9), st.floats(0.01, 1))
def test_a_median_lies_within_its_band_and_a_band_of_1_holds_every_token(
    row: list[float], band: float
) -> None:
    trace = distances(*[[value] for value in row])
    found = measure.median_distance(trace, band=band)
    assert found.low <= found["median"] <= found.high
    np.testing.assert_allclose(found["median"], np.median(row))
    whole = measure.median_distance(trace, band=1)
    assert (whole.low.item(), whole.high.item()) == (min(row), max(row))


def test_a_median_is_unknown_where_one_distance_is() -> None:
    found = measure.median_distance(distances([1, np.nan, 3], [1, 2, np.inf]))
    assert np.isnan(found["median"]).values.tolist() == [False, True, True]
    with pytest.raises(ArgumentError, match=r"^band is 0; pass a share of the tokens above 0 and at most 1"):
        measure.median_distance(distances([1, 2]), band=0)


def test_what_lies_at_the_floor_is_cut_off_and_reported() -> None:
    floor = measure.noise_floor("bfloat16", 256)
    falling = np.maximum(20 * 0.7 ** np.arange(60.0), floor)
    found = lk.contraction_rate(distances(falling, dtype="bfloat16", hidden_size=256, limit=128))
    np.testing.assert_allclose(found.rate, 0.7, rtol=1e-6)
    np.testing.assert_allclose(found.floor, 6 * floor)
    assert found.attrs == {}
    cut = int(np.argmax(falling <= 6 * floor))
    assert (found["first"].item(), found["last"].item(), found.points.item()) == (1, cut - 1, cut - 1)
    uncut = lk.contraction_rate(distances(falling), iterations=slice(1, 60))
    assert uncut.rate.item() > 0.8, "without the cut the floor spoils the rate"


def test_the_second_half_of_the_way_to_the_limit_is_not_fitted() -> None:
    exact = 100 * (0.98 ** np.arange(65.0) - 0.98**64)
    found = lk.contraction_rate(distances(exact, limit=64))
    assert found["last"].item() == 32
    assert lk.contraction_rate(distances([100.0, 50, 25], limit=128)).rate.isnull().all(), (
        "two points are no line"
    )


@pytest.mark.parametrize("hidden", [32, 128])
def test_the_floor_of_bfloat16_is_near_to_what_a_model_shows(hidden: int) -> None:
    model = tiny_model(n_embd=hidden, intermediate_size=2 * hidden)
    full = lk.run_recurrence(
        model, IDS, iterations=64, limit=100, readout_top=0, progress=False, keep_states=True
    )
    model.module.bfloat16()
    half = lk.run_recurrence(
        model, IDS, iterations=64, limit=100, readout_top=0, progress=False, keep_states=True
    )
    floor = measure.noise_floor("bfloat16", hidden)
    np.testing.assert_allclose(floor, 0.004 * np.sqrt(hidden))
    rounded = float(lk.trace_distance(half, full).isel(iteration=-1).median())
    assert 0.3 * floor < rounded < 10 * floor
    assert float(full.distance.isel(iteration=40).median()) < 0.05 * floor


def test_an_unknown_number_format_is_named() -> None:
    with pytest.raises(ArgumentError) as raised:
        lk.noise_floor("bfloat61", 9)
    assert str(raised.value) == (
        "No noise floor is known for the dtype 'bfloat61'. Did you mean 'bfloat16'? "
        "Known: 'bfloat16', 'float16', 'float32', 'float64'."
    )


# What trajectories do


def circle(period: float, count: int = 65) -> np.ndarray:
    angle = 2 * np.pi * np.arange(count) / period
    return np.stack([4 + np.cos(angle), 3 + np.sin(angle)], axis=-1)


def test_a_contraction_is_a_fixed_point() -> None:
    assert lk.trajectory_kind(moving(halving(0.7), halving(0.8))).kind.values.tolist() == 2 * ["fixed point"]


def test_a_contraction_that_swings_is_a_fixed_point_or_not_settled_but_no_orbit() -> None:
    swing = np.array([-0.8, -0.97])[:, None] ** np.arange(65)
    found = lk.trajectory_kind(moving(*[way[:, None] * np.ones(4) for way in swing]))
    assert found.kind.values.tolist() == ["fixed point", "not settled"]


@pytest.mark.parametrize("period", [2, 3, 5, 8])
def test_an_orbit_has_its_period_by_both_ways_of_counting(period: int) -> None:
    found = lk.trajectory_kind(moving(circle(period)))
    assert found.kind.item() == "orbit"
    assert found.period.item() == found.period_by_correlation.item() == period
    np.testing.assert_allclose(found.return_ratio, 0, atol=1e-9)
    np.testing.assert_allclose(found.amplitude, 1, rtol=0.05)


def test_an_orbit_of_no_whole_period_has_the_nearest() -> None:
    found = lk.trajectory_kind(moving(circle(7.3)))
    assert (found.kind.item(), found.period.item()) == ("orbit", 7)


def test_a_constant_drift_is_a_slider() -> None:
    drift = np.arange(65)[:, None] * np.array([0.3, -0.4]) + 0.01 * RNG.normal(size=(65, 2))
    found = lk.trajectory_kind(moving(drift))
    assert found.kind.item() == "slider"
    np.testing.assert_allclose(found.drift, 0.5, rtol=0.02)
    assert found.straightness.item() > 0.95
    assert np.isnan(found.period.item())


def test_a_slow_contraction_is_not_settled() -> None:
    assert lk.trajectory_kind(moving(halving(0.97))).kind.item() == "not settled"


def test_noise_without_a_period_is_not_settled() -> None:
    assert lk.trajectory_kind(moving(RNG.normal(size=(65, 8)))).kind.item() == "not settled"


def test_movement_below_the_floor_of_the_number_format_is_a_fixed_point() -> None:
    wobble = np.ones((65, 16)) + 0.003 * RNG.normal(size=(65, 16))
    wobble[0] = 1.2
    assert lk.trajectory_kind(moving(wobble)).kind.item() == "not settled"
    found = lk.trajectory_kind(moving(wobble).assign_attrs(dtype="bfloat16", hidden_size=16))
    assert found.kind.item() == "fixed point"


@pytest.mark.parametrize(
    ("size", "dtype"), [(1.0, None), (1e6, None), (1.0, "float32"), (1.0, "torch.bfloat16")]
)
def test_states_that_move_less_than_rounding_are_at_rest(size: float, dtype: str | None) -> None:
    """Rounding errors may repeat, which looks like an orbit."""
    noise = [RNG.normal(size=(65, 2)), circle(7)]
    found = lk.trajectory_kind(
        moving(*[size * (1 + 1e-14 * each) for each in noise]).assign_attrs({"dtype": dtype} if dtype else {})
    )
    assert found.kind.values.tolist() == ["fixed point", "fixed point"]
    assert found.period.isnull().all()
    assert found.period_by_correlation.isnull().all()


def test_a_small_orbit_around_a_distant_point_is_an_orbit_if_numbers_resolve_it() -> None:
    small = np.array([100.0, 0.0]) + 1e-3 * circle(8)
    assert lk.trajectory_kind(moving(small)).kind.item() == "orbit"
    tiny = np.array([100.0, 0.0]) + 1e-9 * circle(8)
    assert lk.trajectory_kind(moving(tiny)).kind.item() == "fixed point"
    resolved = lk.trajectory_kind(moving(tiny).assign_attrs(dtype="float64"))
    assert (resolved.kind.item(), resolved.period.item()) == ("orbit", 8)


def test_the_gate_injection_swings_with_period_two_as_recorded() -> None:
    golden = json.loads((GOLDEN / "gate_orbit.json").read_text())
    trace = lk.run_recurrence(
        plain_model(injection_type="gate"), golden["token_ids"], iterations=96, limit=192, readout_top=0,
        keep_states=True, progress=False,
    )  # fmt: skip
    np.testing.assert_allclose(trace.distance[:, [95, 96]], golden["distance_95_96"], atol=1e-3)
    np.testing.assert_allclose(trace.step_size[:, 96], golden["step_size_96"], atol=1e-3)
    found = lk.trajectory_kind(trace)
    assert found.kind.values.tolist() == golden["kind"]
    orbits = found.where(found.kind == "orbit", drop=True)
    assert (orbits.period == 2).all()
    assert (orbits.period_by_correlation == 2).all()
    np.testing.assert_allclose(trace.step_cosine.isel(iteration=96)[golden["swinging"]], -1, atol=1e-3)


def test_too_short_a_trace_is_refused() -> None:
    with pytest.raises(ArgumentError) as raised:
        lk.trajectory_kind(moving(np.ones((10, 2))), burn_in=5)
    assert str(raised.value) == (
        "burn_in is 5 of 10 iterations, and at least six must be left to classify a trajectory. "
        "Pass a number from 0 to 4, or a longer trace."
    )
    with pytest.raises(TraceError) as raised:
        lk.trajectory_kind(distances([1, 2]))
    assert str(raised.value) == ("This trace has no latent states. Run with keep_states=True.")


# Components


def test_components_are_those_of_the_covariance_with_a_fixed_sign() -> None:
    for hidden in (4, 200):  # fewer and more channels than points
        trace = moving(RNG.normal(size=(9, hidden)), RNG.normal(size=(9, hidden)))
        points = trace.state.values.reshape(-1, hidden)
        values, vectors = np.linalg.eigh(np.cov(points.T, ddof=0))
        found = lk.principal_components(trace, components=3)
        np.testing.assert_allclose(found.explained, values[::-1][:3] / values.sum(), rtol=1e-6)
        cosines = np.abs((found.direction.values * vectors[:, ::-1][:, :3].T).sum(-1))
        np.testing.assert_allclose(cosines, 1, rtol=1e-6)
        largest = np.take_along_axis(
            found.direction.values, np.abs(found.direction.values).argmax(1)[:, None], 1
        )
        assert (largest > 0).all()
        back = found.score.values @ found.direction.values + found["mean"].values
        again = lk.principal_components(moving(*back), components=3)
        np.testing.assert_allclose(again.score, found.score, atol=1e-8)


def test_more_components_than_there_are_directions_are_refused() -> None:
    with pytest.raises(ArgumentError) as raised:
        lk.principal_components(moving(np.ones((5, 2))), components=3)
    assert str(raised.value) == "components is 3; pass a whole number from 1 to 2."


# Comparisons


def seeded(rates: Any) -> xr.Dataset:
    values = 100 * np.array(rates)[:, :, None] ** np.arange(65)
    return xr.Dataset({"distance": (("seed", "token", "iteration"), values)}, {"seed": np.arange(len(rates))})


def test_a_token_that_settles_later_with_every_seed_is_named() -> None:
    slow, fast = [[0.8, 0.6], [0.81, 0.61], [0.82, 0.6]], [[0.6, 0.61], [0.61, 0.6], [0.62, 0.6]]
    found = lk.compare_settling(seeded(slow), seeded(fast))
    assert found.later.values.tolist() == ["first", "neither"]
    np.testing.assert_allclose(found.difference, [(11 + 12 + 14) / 3, 0])
    half = 4.302653 * np.std([11, 12, 14], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(found.high - found.difference, [half, 0], rtol=1e-5, atol=1e-12)
    assert lk.compare_settling(seeded(fast), seeded(slow)).later.values.tolist() == ["second", "neither"]


def test_tokens_that_never_settle_are_counted() -> None:
    found = lk.compare_settling(seeded([[0.999]] * 2), seeded([[0.6]] * 2))
    assert found.censored.item() == 2
    assert found.difference.item() == 65 - 10


def test_runs_that_do_not_match_are_refused() -> None:
    with pytest.raises(TraceError) as raised:
        lk.compare_settling(seeded([[0.5]]), seeded([[0.5, 0.5]]))
    assert str(raised.value) == (
        "The two traces do not match: {'seed': 1, 'token': 1} with seeds [0], and {'seed': 1, 'token': 2} "
        "with seeds [0]. Pair runs of the same length and the same seeds."
    )


def test_an_edit_of_one_token_travels_forward_only() -> None:
    model = tiny_model()
    one, two = (
        lk.run_recurrence(model, ids, iterations=9, limit=9, readout_top=0, keep_states=True, progress=False)
        for ids in ([1, 2, 3, 4, 5], [1, 2, 9, 4, 5])
    )
    apart = lk.trace_distance(one, two)
    np.testing.assert_allclose(apart[:2], 0, atol=1e-5)
    assert (apart[2:, 2:] > 1e-3).all()


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12), st.floats(0.5, 0.99))
def test_the_interval_lies_around_the_mean(values: list[float], confidence: float) -> None:
    found = measure.mean_interval(xr.DataArray(values, dims="seed"), confidence=confidence)
    np.testing.assert_allclose((found.low + found.high) / 2, np.mean(values), atol=1e-6)
    assert found.low <= found.high


def test_one_seed_has_no_interval() -> None:
    found = measure.mean_interval(xr.DataArray([3.0], dims="seed"))
    assert (found["mean"].item(), np.isnan(found.low.item())) == (3.0, True)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    draws = xr.DataArray(np.random.default_rng(1).normal(size=(4, 4000)), dims=("seed", "trial"))
    found = measure.mean_interval(draws, confidence=0.9)
    covered = float(((found.low < 0) & (found.high > 0)).mean())
    assert abs(covered - 0.9) < 0.02


def test_the_geometric_mean_is_the_mean_of_the_logarithms() -> None:
    values = xr.DataArray([[1.0, 4.0], [4.0, 16.0], [16.0, 64.0]], dims=("seed", "token"))
    found = measure.geometric_mean_interval(values)
    np.testing.assert_allclose(found["mean"], [4, 16])
    plain = measure.mean_interval(np.log(values))
    np.testing.assert_allclose(np.log(found.low), plain.low)
    np.testing.assert_allclose(np.log(found.high), plain.high)


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan])
def test_a_value_without_logarithm_leaves_no_geometric_mean(value: float) -> None:
    found = measure.geometric_mean_interval(xr.DataArray([1.0, value, 2.0], dims="seed"))
    assert all(np.isnan(found[name].item()) for name in ("mean", "low", "high"))


def test_step_cosine_is_the_traces_own() -> None:
    torch.manual_seed(0)
    trace = lk.run_recurrence(tiny_model(), IDS, iterations=4, limit=4, readout_top=0, progress=False)
    xr.testing.assert_identical(measure.step_cosine(trace), trace.step_cosine)
    with pytest.raises(TraceError, match="There is no 'step_cosine' in this dataset"):
        measure.step_cosine(distances([1, 2]))


def test_the_measured_floor_is_the_median_of_the_second_half_without_the_limit() -> None:
    found = lk.measured_floor(distances([9, 5, 6, 4, 3, 0], [9, 9, 9, 9, 9, 0], limit=5))
    assert found.values.tolist() == [4, 9]
    assert lk.measured_floor(distances([9, 5, 6, 4, 3, 0], limit=128)).values.tolist() == [3]
    assert np.isnan(lk.measured_floor(distances([9.0, 5.0, np.nan, 2.0], limit=128))).all()


# Which distances are 0 by construction, and which traces can be compared


def test_a_decoding_settles_by_the_distances_before_its_last_iteration() -> None:
    distance = np.array([[100.0, 50.0, 20.0, 0.0], [100.0, 0.5, 0.4, 0.0]])
    arrays = {
        "generated_token": np.arange(2),
        "token_text": np.array(["a", "b"], dtype=object),
        "token_id": np.arange(2),
        "iteration": np.arange(4),
        "iterations_used": np.array([3, 3]),
        "distance": distance,
    }
    trace = build_trace("decoding", arrays, {})
    np.testing.assert_array_equal(measure.settling_iteration(trace), [np.nan, 1])
    np.testing.assert_array_equal(measure.settling_iteration(trace.isel(iteration=slice(0, 3))), [np.nan, 1])


def test_states_of_different_iterations_are_not_compared() -> None:
    trace = moving(np.ones((4, 3)) * np.arange(4)[:, None]).assign_coords(iteration=np.arange(4))
    early, late = trace.isel(iteration=slice(0, 2)), trace.isel(iteration=slice(2, 4))
    with pytest.raises(TraceError) as raised:
        measure.trace_distance(early, late)
    assert str(raised.value) == (
        "The two traces have different iterations: [0, 1] and [2, 3]. Select the same iterations of both."
    )


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), 0.5])
def test_numbers_of_numpy_are_thresholds_too(number: float) -> None:
    assert criteria.exit_threshold("kl", number) == 0.5
    assert criteria.exit_threshold("argmax-stability", np.int64(2)) == 2


@pytest.mark.parametrize("given", ["x", True, 0, -1.0, float("nan"), float("inf"), None])
def test_a_threshold_without_meaning_is_refused(given: Any) -> None:
    with pytest.raises(ArgumentError) as raised:
        measure.settling_iteration(distances([1, 0.5]), relative=given)
    assert str(raised.value) == f"relative is {given!r}; pass a number above 0."


def test_an_answer_stays_from_the_iteration_after_its_last_change() -> None:
    ids = np.array([[7, 8, 7, 7, 7], [1, 2, 3, 4, 5], [6, 6, 6, 6, 6], [4, 9, 9, -1, -1], [-1] * 5])
    trace = xr.Dataset(
        {"readout_id": (("token", "iteration", "rank"), ids[..., None])}, {"iteration": [0, 1, 2, 3, 8]}
    )
    np.testing.assert_array_equal(lk.answer_iteration(trace), [2, 8, 0, 1, np.nan])
    with pytest.raises(TraceError) as raised:
        lk.answer_iteration(trace.rename(readout_id="other"))
    assert str(raised.value) == (
        "This dataset has no 'readout_id'. Pass a trace that was run with readout_top=1 or more."
    )


def test_a_trace_states_which_exits_it_can_answer() -> None:
    entropy = xr.Dataset({"entropy": (("token", "iteration"), np.ones((1, 4)))})
    assert measure.exit_criteria(entropy) == ["entropy-diff"]
    assert measure.exit_criteria(xr.Dataset()) == []
    assert measure.exit_criteria(entropy.isel(iteration=slice(1, 4)).assign_coords(iteration=[1, 2, 3])) == []

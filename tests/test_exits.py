"""Exit criteria: their numbers, when they stop, and what stopping would have cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from models_for_tests import Counter, tiny_model

import latentkit as lk
from latentkit import criteria
from latentkit.errors import ArgumentError, TraceError
from latentkit.measure.exits import exit_iteration
from latentkit.measure.rank import readout_rank
from latentkit.run.decoding.exits import ExitTest

IDS = [3, 1, 4, 1, 5]
STATES = np.array([[[3.0, 4.0]], [[6.0, 8.0]], [[6.0, 9.0]], [[6.0, 9.0]], [[6.0, 9.0]]])


def decode(model: Any, **options: Any) -> xr.Dataset:
    settings = {"new_tokens": 5, "iterations": 12, "progress": False, "seed": 1, **options}
    return lk.run_decoding(model, settings.pop("prompt", IDS), **settings)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("latent-diff", [np.nan, 5 / 10, 1 / np.sqrt(117), 0, 0]),
        ("cosine", [np.nan, 0, 1 - (36 + 72) / (10 * np.sqrt(117)), 0, 0]),
        ("acceleration", [np.nan, np.nan, np.hypot(3, 3), 1, 0]),
    ],
)
def test_numbers_of_the_rules_for_states_by_hand(name: str, values: list[float]) -> None:
    np.testing.assert_allclose(criteria.exit_values(name, STATES)[:, 0], values, atol=1e-7)


def test_numbers_of_the_rules_for_readouts_by_hand() -> None:
    p = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.4, 0.6]]))
    h = [0.3250830, 0.3250830, 0.6931472, 0.6730117]
    np.testing.assert_allclose(
        criteria.exit_values("entropy-diff", criteria.entropy(p)),
        [np.nan, 100 - h[1], h[2] - h[1], h[2] - h[3]],
        rtol=1e-6,
    )
    from_uniform = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)  # iteration 0 counts as uniform
    to_half = 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)
    last = 0.5 * np.log(0.5 / 0.4) + 0.5 * np.log(0.5 / 0.6)
    np.testing.assert_allclose(criteria.exit_values("kl", p), [np.nan, from_uniform, to_half, last])
    likeliest = np.array([0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(criteria.exit_values("argmax-stability", likeliest), [np.nan, 0, 1, 0])


def test_small_probabilities_are_evened_out_before_their_divergence() -> None:
    found = np.exp(criteria.minp_log_probs(np.log(np.array([0.8, 0.13, 0.07]))))
    even = 1 / 3  # in the place of what is below 0.08
    np.testing.assert_allclose(found, np.array([0.8, 0.13, even]) / (0.93 + even))


@pytest.mark.parametrize("name", criteria.EXIT_RULES)
def test_step_by_step_a_rule_says_what_it_says_of_the_whole(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    walk = torch.randn(9, 1, 6, generator=generator).cumsum(0).log_softmax(-1)
    test = ExitTest(name)
    test.start(walk[0])
    found = [test.value(step) for step in walk[1:]]
    whole = criteria.exit_values(name, test.rule.summary(walk))[1:, 0]
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    pieces = criteria.exit_values(name, test.rule.summary(walk[4:]), begins=False)[test.rule.width - 1 :]
    if not test.rule.counts:
        np.testing.assert_allclose(pieces[:, 0], whole[4 + test.rule.width - 2 :], rtol=1e-5)


def test_acceleration_must_be_small_twice_in_a_row() -> None:
    values = np.array([np.nan, np.nan, 0.001, 5, 0.001, 0.002, 5])
    assert criteria.first_exit("acceleration", values) == 5
    test = ExitTest("acceleration")
    assert [test.met(value) for value in values] == [False] * 5 + [True, False]


@pytest.mark.parametrize("name", criteria.EXIT_RULES)
def test_a_run_with_an_exit_stops_where_the_full_trace_says(name: str) -> None:
    """Only the first token: the later ones see a shortened context, and that is the difference."""
    model = tiny_model()
    full, short = decode(model, new_tokens=1), decode(model, new_tokens=1, exit=name)
    wanted = exit_iteration(full, name).exit_iteration.item()
    assert short.iterations_used.item() == wanted
    assert short.stop_reason.item() == (name if wanted < 12 else "iterations")
    for variable in ("distance", "kl", "entropy"):
        assert short[variable].isnull().values[0].tolist() == [False] * (wanted + 1) + [True] * (12 - wanted)
    assert (short.readout_id.values[0, wanted + 1 :] == -1).all()
    assert (short.readout_text.values[0, wanted + 1 :] == "").all()
    assert short.token_id.item() == short.readout_id.values[0, wanted, 0]
    np.testing.assert_allclose(short.exit_value[0, : wanted + 1], full.exit_value[0, : wanted + 1], atol=1e-5)


def test_a_counter_never_settles_and_a_criterion_below_its_steps_never_stops_it() -> None:
    trace = decode(Counter(), prompt=[1], iterations=6, new_tokens=2, exit="argmax-stability")
    assert trace.iterations_used.values.tolist() == [6, 6]
    assert trace.stop_reason.values.tolist() == ["iterations"] * 2
    bent = decode(Counter(), prompt=[1], iterations=6, new_tokens=2, exit="acceleration", seed=None)
    assert bent.iterations_used.values.tolist() == [3, 3]  # a straight walk has no acceleration at 2 and 3


def test_the_least_number_of_iterations_is_kept() -> None:
    loose = {"exit": "latent-diff", "threshold": 1e3}
    assert set(decode(tiny_model(), **loose).iterations_used.values) == {1}
    assert set(decode(tiny_model(), **loose, min_iterations=4).iterations_used.values) == {4}


def test_the_prompt_can_be_left_out_of_exits() -> None:
    used = decode(tiny_model(), exit="latent-diff", threshold=1e3, exit_in_prompt=False).iterations_used
    assert used.values.tolist() == [12, 1, 1, 1, 1]


def test_criteria_read_the_readout_also_where_none_is_kept() -> None:
    with_readouts = decode(tiny_model(), exit="kl", threshold=0.05)
    without = decode(tiny_model(), exit="kl", threshold=0.05, readout_top=0)
    np.testing.assert_array_equal(with_readouts.iterations_used, without.iterations_used)
    np.testing.assert_array_equal(with_readouts.token_id, without.token_id)


# What if


def test_saved_and_paid_by_hand() -> None:
    kl = np.array([[3.0, 2.0, 1.0, 0.5, 0.0]])
    ids = np.array([[[4], [7], [7], [7], [9]]])
    trace = xr.Dataset(
        {"kl": (("token", "iteration"), kl), "readout_id": (("token", "iteration", "rank"), ids)}
    )
    found = exit_iteration(trace, "argmax-stability", [1, 2, 3])
    assert found.exit_iteration.values.tolist() == [[2], [3], [4]]
    assert found.saved.values.tolist() == [[0.5], [0.25], [0.0]]
    assert found.kl.values.tolist() == [[1.0], [0.5], [0.0]]
    assert found.same_token.values.tolist() == [[False], [False], [True]]
    assert found.threshold.values.tolist() == [1, 2, 3]


def test_what_if_on_both_kinds_of_trace() -> None:
    model = tiny_model()
    trace = lk.run_recurrence(model, IDS, iterations=12, limit=12, seed=1, progress=False)
    for name in ("entropy-diff", "argmax-stability"):
        of_prompt = exit_iteration(trace, name, 0.05 if name == "entropy-diff" else 3)
        of_answer = exit_iteration(decode(model), name, 0.05 if name == "entropy-diff" else 3)
        assert of_prompt.exit_iteration[-1] == of_answer.exit_iteration[0]  # both about the first new token
        assert of_prompt.kl[-1].item() == pytest.approx(of_answer.kl[0].item(), abs=1e-5)


def test_a_stricter_threshold_never_stops_earlier() -> None:
    trace = decode(tiny_model())
    for name, rule in criteria.EXIT_RULES.items():
        grid = [1, 2, 3, 5, 8] if rule.counts else (rule.threshold * np.logspace(2, -2, 9)).tolist()
        found = exit_iteration(trace, name, grid).exit_iteration
        assert (found.diff("threshold") >= 0).all(), name


_RAW = (
    "'latent-diff' needs the raw states x_i, which this trace does not hold; 'entropy-diff' and "
    "'argmax-stability' can be computed from it. Pass a trace from `run_decoding`, which keeps the values of "
    "every criterion."
)
_ALL = _RAW.replace("latent-diff", "minp-kl").replace(
    "the raw states x_i", "all probabilities of each readout"
)


@pytest.mark.parametrize(("name", "message"), [("latent-diff", _RAW), ("minp-kl", _ALL)])
def test_a_trace_that_does_not_keep_what_a_criterion_reads_says_so(name: str, message: str) -> None:
    trace = lk.run_recurrence(Counter(), IDS, iterations=4, limit=4, progress=False)
    with pytest.raises(TraceError) as raised:
        exit_iteration(trace, name)
    assert str(raised.value) == message


def test_what_if_questions_that_a_trace_cannot_answer_are_refused() -> None:
    cases = [
        (
            decode(tiny_model(), exit="kl"),
            "kl",
            "This trace was run with exit='kl', so the iterations after its exits are missing. Pass one from "
            "`run_decoding(…, exit=None)`.",
        ),
        (
            decode(tiny_model(), readout_top=0),
            "kl",
            "'kl' needs readouts, and this trace has none. Run it with readout_top=1 or more.",
        ),
        (
            decode(tiny_model()).isel(iteration=slice(2, None)),
            "kl",
            "The trace covers the iterations [2, 3, 4]…; exits need every iteration from 0 on. Pass the "
            "whole trace.",
        ),
        (
            xr.Dataset(),
            "entropy-diff",
            "'entropy-diff' is computed from 'entropy', which this dataset lacks. Pass a trace from "
            "`run_decoding` or `run_recurrence` with readout_top=1 or more.",
        ),
    ]
    for trace, name, message in cases:
        with pytest.raises(TraceError) as raised:
            exit_iteration(trace, name)
        assert str(raised.value) == message


_KNOWN = (
    "Known: 'acceleration', 'argmax-stability', 'cosine', 'entropy-diff', 'kl', 'latent-diff', 'minp-kl'."
)
_BELOW = "is never negative and stops when it falls below the threshold, so pass a number above 0 (default"


@pytest.mark.parametrize(
    ("name", "threshold", "message"),
    [
        ("latent-dif", None, f"No exit criterion named 'latent-dif'. Did you mean 'latent-diff'? {_KNOWN}"),
        ("KL", None, f"No exit criterion named 'KL'. {_KNOWN}"),
        ("kl", -5e-4, f"threshold is -0.0005; 'kl' {_BELOW} 0.001)."),
        ("cosine", 0, f"threshold is 0; 'cosine' {_BELOW} 0.001)."),
        ("latent-diff", float("nan"), f"threshold is nan; 'latent-diff' {_BELOW} 0.03)."),
        ("kl", "small", f"threshold is 'small'; 'kl' {_BELOW} 0.001)."),
        (
            "argmax-stability",
            -5,
            "threshold is -5; 'argmax-stability' counts iterations without a change, so pass a whole "
            "number of at least 1 (default 5).",
        ),
        (
            "argmax-stability",
            2.5,
            "threshold is 2.5; 'argmax-stability' counts iterations without a change, so pass a whole "
            "number of at least 1 (default 5).",
        ),
    ],
)
def test_a_criterion_or_threshold_without_meaning_is_refused(name: str, threshold: Any, message: str) -> None:
    for ask in (
        lambda: decode(tiny_model(), exit=name, threshold=threshold),
        lambda: exit_iteration(decode(tiny_model(), new_tokens=1, iterations=2), name, threshold),
    ):
        with pytest.raises(ArgumentError) as raised:
            ask()
        assert str(raised.value) == message


# Ranks of chosen tokens


def test_a_watched_token_has_the_rank_that_all_readouts_together_give_it() -> None:
    model = tiny_model()
    trace = decode(model, readout_top=64, watch=[7, 63], exit="kl", threshold=0.05)
    for token in (7, 63):
        exact = readout_rank(trace, token)
        by_search = readout_rank(trace.drop_vars(["watched", "watched_text", "watched_rank"]), token)
        np.testing.assert_array_equal(exact, by_search)
        assert exact.attrs["kept"] == 0
        assert by_search.attrs["kept"] == 64
    probability = trace.readout_probability.where(trace.readout_id == 7).max("rank")
    np.testing.assert_allclose(trace.watched_probability.sel(watched=7), probability, rtol=1e-5)


def test_a_token_that_is_nowhere_is_named_with_the_nearest_text() -> None:
    texts = np.array([[[" 7", " 8"]]], dtype=object)
    trace = xr.Dataset({"readout_text": (("token", "iteration", "rank"), texts)})
    with pytest.raises(TraceError) as raised:
        readout_rank(trace, "7")
    assert str(raised.value) == (
        "The token '7' is nowhere among the 2 likeliest that this trace keeps. Did you mean ' 7'? Run it "
        "again with watch=['7'] (`run_decoding`, `run_lens`) or a larger readout_top."
    )
    with pytest.raises(TraceError) as raised:
        readout_rank(trace, 3)
    assert str(raised.value) == (
        "There is no 'readout_id' in this dataset. Pass a trace that was run with readout_top=1 or more."
    )

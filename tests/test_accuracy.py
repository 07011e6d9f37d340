"""Accuracy against iterations: what is asked, what is counted, how sure it is, and what is drawn."""

from __future__ import annotations

import os
import signal
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from models_for_tests import Counter

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.measure import share_interval
from latentkit.plot import alt_text
from latentkit.problems import KINDS, MEANINGS, draw_problems
from latentkit.problems import accuracy as curves
from latentkit.problems.grading import count_right
from latentkit.problems.held_out import is_held_out

Z = NormalDist().inv_cdf(0.975)


@pytest.fixture(autouse=True)
def _no_figure_is_left_open() -> Any:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model() -> Any:
    return lk.load_model("nano-untrained")


# How sure a share is


def bounds(right: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    found = share_interval(xr.DataArray([right], dims="task"), of, confidence=confidence)
    return found.low.item(), found.high.item()


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [  # the bounds solve (p - share)² = z² p (1 - p) / n; worked out by that equation
        (0, 10, 0.0, Z**2 / (10 + Z**2)),
        (10, 10, 10 / (10 + Z**2), 1.0),
        (8, 10, 0.490162, 0.943318),
        (81, 263, 0.255289, 0.366210),
    ],
)
def test_interval_is_wilsons(right: int, of: int, low: float, high: float) -> None:
    assert bounds(right, of) == pytest.approx((low, high), abs=2e-6)


@given(st.integers(1, 400), st.data())
def test_bounds_solve_the_equation_that_defines_them(of: int, data: Any) -> None:
    right = data.draw(st.integers(0, of))
    share = right / of
    for bound in bounds(right, of):
        assert (bound - share) ** 2 == pytest.approx(Z**2 * bound * (1 - bound) / of, abs=1e-12)


@given(st.integers(1, 400), st.data())
def test_interval_holds_the_share_and_stays_between_none_and_all(of: int, data: Any) -> None:
    right = data.draw(st.integers(0, of))
    low, high = bounds(right, of)
    assert 0 <= low <= right / of <= high <= 1
    assert low < high
    assert bounds(of - right, of) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_more_problems_know_the_share_better_and_more_confidence_asks_for_more_room() -> None:
    widths = [high - low for low, high in (bounds(60, 100), bounds(120, 200), bounds(120, 200, 0.5))]
    assert widths == sorted(widths, reverse=True)


def test_true_share_is_within_the_interval_as_often_as_it_says() -> None:
    right = xr.DataArray(np.random.default_rng(0).binomial(200, 0.3, 4000), dims="task")
    found = share_interval(right, 200)
    inside = ((found.low <= 0.3) & (found.high >= 0.3)).mean().item()
    assert inside == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("right", "of"), [(3, 2), (-1, 2), (0, 0)])
def test_what_cannot_have_been_counted_is_refused(right: int, of: int) -> None:
    with pytest.raises(ArgumentError) as raised:
        bounds(right, of)
    assert str(raised.value) == ("`right` must lie between 0 and `of`, and `of` must be above 0.")


def test_confidence_of_an_interval_is_between_none_and_all() -> None:
    with pytest.raises(ArgumentError) as raised:
        bounds(1, 2, 95)
    assert str(raised.value) == "confidence is 95; pass a number between 0 and 1, such as 0.95."


# Counting


def test_counts_are_those_of_all_problems_in_one_batch(model: Any) -> None:
    asked = {"sums": (1, 3), "lookup": (1,)}
    found = lk.run_problems(model, asked, problems=60, iterations=(1, 4), progress=False)
    for place, (kind, steps) in enumerate([("sums", 1), ("sums", 3), ("lookup", 1)]):
        counts = count_right(model, draw_problems(kind, 60, steps=steps), iterations=(1, 4))
        assert found.right[place].values.tolist() == [counts[r] for r in (1, 4)]
    assert found.task.values.tolist() == ["sums, 1 step", "sums, 3 steps", "lookup, 1 step"]
    assert found.iteration.values.tolist() == [1, 4]


def test_a_model_that_needs_as_many_iterations_as_steps_shows_it(monkeypatch: Any, model: Any) -> None:
    def by_steps(_model: Any, problems: Any, *, iterations: Any, seed: int) -> dict[int, int]:
        return {i: sum(problem.steps <= i for problem in problems) for i in iterations}

    monkeypatch.setattr(curves, "count_right", by_steps)
    found = lk.run_problems(model, {"sums": (1, 2, 4)}, problems=30, iterations=(4, 1, 2), progress=False)
    assert found.right.values.tolist() == [[30, 30, 30], [0, 30, 30], [0, 0, 30]]


def test_no_problem_is_asked_twice_and_none_was_shown_in_training(monkeypatch: Any, model: Any) -> None:
    seen: list[Any] = []

    def look(_model: Any, problems: Any, *, iterations: Any, seed: int) -> dict[int, int]:
        seen.extend(problems)
        return dict.fromkeys(iterations, 0)

    monkeypatch.setattr(curves, "count_right", look)
    found = lk.run_problems(model, {"parity": (8,)}, problems=200, iterations=(1,), progress=False)
    prompts = [problem.prompt for problem in seen]
    assert len(set(prompts)) == len(prompts) == found.problems.item()
    assert found.problems.item() < 200  # there are not more of them
    assert all(is_held_out("parity", prompt.partition(":")[0] + ":") for prompt in prompts)
    answers = [problem.answer for problem in seen]
    assert found.commonest.item() == max(answers.count("0"), answers.count("1"))


def test_curves_name_the_model_and_come_out_the_same_again(model: Any) -> None:
    once, again = (
        lk.run_problems(model, {"lookup": (1,)}, problems=20, iterations=(1, 2), progress=False)
        for _ in range(2)
    )
    xr.testing.assert_identical(once, again)
    assert once.attrs["model"] == "nano-untrained"
    assert once.attrs["split"] == "heldout"


def test_an_interrupt_keeps_the_curves_that_are_whole(monkeypatch: Any, model: Any) -> None:
    calls: list[int] = []

    def stop_at_the_third(_model: Any, problems: Any, *, iterations: Any, seed: int) -> dict[int, int]:
        calls.append(len(problems))
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return dict.fromkeys(iterations, len(problems))

    monkeypatch.setattr(curves, "count_right", stop_at_the_third)
    with pytest.warns(UserWarning, match="Interrupted: 1 of 3 curves are finished."):
        found = lk.run_problems(model, {"sums": (1, 2, 3)}, problems=50, iterations=(1,), progress=False)
    assert calls == [25, 25, 25]
    assert found.right.values.tolist() == [[50]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asked": {"sumz": (1,)}}, "No kind of problem named 'sumz'. Did you mean 'sums'?"),
        ({"asked": {"sums": (99,)}}, "'sums' has problems of 1 to 10 steps, not 99."),
        ({"asked": {}}, "Nothing to ask. Pass kinds with steps as in {'sums': [1, 4]}, iterations as in "),
        ({"iterations": ()}, "Nothing to ask."),
        ({"iterations": (0,)}, "iterations is 0; pass a whole number from 1 to 1000000."),
        ({"iterations": "8"}, "iterations is '8'; pass a list of numbers of iterations, such as [1, 8]."),
        ({"iterations": 1.5}, "iterations is 1.5; pass a list of numbers of iterations, such as [1, 8]."),
        ({"problems": 0}, "problems is 0; pass a whole number from 1 to 10000."),
        ({"problems": 10**18}, "problems is 1000000000000000000; pass a whole number from 1 to 10000."),
        (
            {"asked": ["sums"]},
            "asked is ['sums']; pass kinds of problems with their steps, such as {'sums': ",
        ),
        ({"asked": {"sums": "1"}}, "asked['sums'] is '1'; pass a list of numbers of steps, such as [1, 4]."),
        ({"asked": {"sums": (1.5,)}}, "'sums' has problems of 1 to 10 steps, not 1.5."),
        ({"model": Counter()}, "counter has no tokenizer, and problems are texts. Pass a model with a "),
    ],
)
def test_what_cannot_be_asked_is_refused(model: Any, change: dict[str, Any], message: str) -> None:
    given_ = {"model": model, "asked": {"sums": (1,)}, "progress": False, **change}
    with pytest.raises(ArgumentError) as raised:
        lk.run_problems(given_.pop("model"), given_.pop("asked"), **given_)
    assert str(raised.value).startswith(message)


def test_every_kind_of_problem_is_explained() -> None:
    assert set(MEANINGS) == set(KINDS)


def test_a_single_number_is_a_list_of_one(model: Any) -> None:
    one = lk.run_problems(model, {"lookup": 1}, problems=5, iterations=2, progress=False)
    listed = lk.run_problems(model, {"lookup": [1]}, problems=5, iterations=[2], progress=False)
    xr.testing.assert_identical(one, listed)


# The picture


def counted(right: Any, problems: Any, kinds: Any, steps: Any, iterations: Any = (1, 8)) -> xr.Dataset:
    return xr.Dataset(
        {
            "right": (("task", "iteration"), np.array(right)),
            "problems": ("task", np.array(problems)),
            "commonest": ("task", np.array(problems) // 4),
        },
        {
            "task": [f"{kind}, {count} steps" for kind, count in zip(kinds, steps, strict=True)],
            "kind": ("task", list(kinds)),
            "steps": ("task", list(steps)),
            "iteration": list(iterations),
        },
    )


@pytest.fixture
def found() -> xr.Dataset:
    return counted([[20, 180], [50, 100]], [200, 100], ["sums", "sums"], [1, 4])


def test_lines_are_the_shares_and_bars_their_intervals(found: xr.Dataset) -> None:
    ax = lk.plot_accuracy(found)
    shares = share_interval(found.right, found.problems)
    for place, container in enumerate(ax.containers):
        line, _, (bars,) = container.lines
        np.testing.assert_allclose(line.get_ydata(), shares.share[place])
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, np.stack([shares.low[place], shares.high[place]], axis=1))
        np.testing.assert_allclose(line.get_xdata(), found.iteration, rtol=0.05)
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "8"]


def test_curves_of_one_kind_are_named_by_steps_and_by_how_many_they_stand_for(found: xr.Dataset) -> None:
    ax = lk.plot_accuracy(found)
    assert ax.get_title() == "sums"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "1 step (n = 200)",
        "4 steps (n = 100)",
    ]
    mixed = counted([[1], [2]], [9, 9], ["sums", "path"], [2, 2], [1])
    ax = lk.plot_accuracy(mixed)
    assert ax.get_title() == ""
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "sums, 2 steps (n = 9)",
        "path, 2 steps (n = 9)",
    ]


def test_dotted_lines_are_what_the_commonest_answer_would_get(found: xr.Dataset) -> None:
    dotted = [line.get_ydata()[0] for line in lk.plot_accuracy(found).lines if line.get_linestyle() == ":"]
    assert dotted == [0.25, 0.25]
    plain = lk.plot_accuracy(found.drop_vars("commonest"))
    assert [line for line in plain.lines if line.get_linestyle() == ":"] == []
    assert "baseline" not in alt_text(plain)


def test_curves_on_axes_that_hold_a_line_share_the_colour_of_their_baselines(found: xr.Dataset) -> None:
    _, ax = plt.subplots()
    (before,) = ax.plot([1, 8], [0.5, 0.5], label="mine")
    colour = before.get_color()
    lk.plot_accuracy(found, ax=ax)
    curves = [container.lines[0].get_color() for container in ax.containers]
    dotted = [line.get_color() for line in ax.lines if line.get_linestyle() == ":"]
    assert dotted == curves
    assert before.get_color() == colour
    assert colour not in curves
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "1 step (n = 200)",
        "4 steps (n = 100)",
    ]


def test_alt_text_says_where_each_curve_begins_and_ends(found: xr.Dataset) -> None:
    assert alt_text(lk.plot_accuracy(found)) == (
        "Lines of the share of held-out problems answered right against the number of iterations, on a "
        "logarithmic axis, with 95% intervals. sums, 1 steps (200 problems): 10% at 1 iteration, 90% at 8, "
        "most at 8 with 90%; the most-common-answer baseline gets 25%. sums, 4 steps (100 problems): 50% at "
        "1 iteration, 100% at 8, most at 8 with 100%; the most-common-answer baseline gets 25%."
    )


def test_it_draws_where_it_is_told_to(found: xr.Dataset) -> None:
    _, (left, right) = plt.subplots(1, 2)
    assert lk.plot_accuracy(found, ax=right) is right
    assert list(left.lines) == []


@pytest.mark.parametrize(
    "broken",
    [
        lambda found: found.drop_vars("problems"),
        lambda found: found.isel(task=0),
        lambda found: found.isel(iteration=slice(0)),
    ],
)
def test_what_holds_no_counts_is_refused(found: xr.Dataset, broken: Any) -> None:
    with pytest.raises(TraceError) as raised:
        lk.plot_accuracy(broken(found))
    assert str(raised.value) == (
        "Expected counts of right answers over task and iteration, at least one of each. Pass what "
        "`run_problems` returns, or a part of it."
    )

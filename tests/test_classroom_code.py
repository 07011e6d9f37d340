"""Exercises of code: the right answer, and what each likely mistake is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_plot_decoding import fake
from test_trace import make_trace

import latentkit as lk
from latentkit import classroom
from latentkit.errors import ArgumentError, TraceError

LETTERS = ["a", "b", "c"]


def falling(*curves: list[float]) -> xr.Dataset:
    """A trace with these distances, one row for each token."""
    trace = make_trace(["x", " y", "z"][: len(curves)], iterations=len(curves[0]) - 1)
    trace["distance"] = (("token", "iteration"), np.array(curves, dtype=float))
    return trace.assign_attrs(limit=128)


def said(exercise: Any, answer: Any) -> str:
    return str(exercise.check(answer))


# Lesson 0


TRACE = falling([10, 5, 1, 0.1], [20, 10, 10, 0.1], [40, 4, 1, 0.1])


def test_a_relative_curve_is_divided_by_its_first_number():
    exercise = classroom.relative_curve(TRACE, word=" y")
    assert said(exercise, [1, 0.5, 0.5, 0.005]).startswith("Right.")
    assert said(exercise, [20, 10, 10, 0.1]).endswith("Divide by its distance at iteration 0.")
    assert said(exercise, [1, 0.5, 0.1, 0.01]) == "Not yet. This is token 0."
    assert said(exercise, TRACE.distance / 20).startswith("Not yet. The answer is an array with 4 numbers")
    assert "median" in said(exercise, [1, 0.25, 0.05, 0.005])


def test_first_below_is_about_the_median_and_a_share_of_its_start():
    exercise = classroom.first_below(TRACE, share=0.2)  # medians 20, 5, 1, 0.1
    assert said(exercise, 2).startswith("Right. There the median is 0.05 of its start.")
    assert "not with a share of the start" in said(exercise, 3)
    assert "not yet below" in said(exercise, 1)
    assert said(exercise, "two") == "Not yet. The answer is a number; this is a str."


def test_a_share_that_is_never_reached_is_refused():
    with pytest.raises(TraceError, match=r"never falls below 0.001 of its start\. Pass a larger share\."):
        classroom.first_below(TRACE, share=0.001)


# Lesson 1


def test_right_at_counts_tokens_at_one_iteration():
    trace = fake([[0, 1, 1], [2, 0, 2], [1, 2, 2]], LETTERS)
    exercise = classroom.right_at(trace, iteration=0)
    assert said(exercise, 1).startswith("Right. Of these, 0 do not change any more")
    assert said(exercise, 2).endswith("This counts the tokens that are different.")
    assert said(exercise, 0).endswith("This counts only those that stay the same afterwards.")
    assert said(exercise, 1 / 3).endswith("This is a share. The answer is a number of tokens.")


def test_decided_from_wants_the_last_change_of_every_token():
    trace = fake([[0, 1, 0, 1], [2, 2, 2, 2], [1, 2, 2, 2]], LETTERS)
    exercise = classroom.decided_from(trace)
    assert said(exercise, [3, 0, 1]).startswith("Right. All tokens are decided from iteration 3 on.")
    assert said(exercise, [1, 0, 1]).endswith("Some change once more.")
    assert said(exercise, [2, -1, 0]).endswith("Take the next ones.")
    assert said(exercise, [3, np.nan, 1]).endswith("fill in NaN.")
    assert said(exercise, 3).endswith("one number for each token.")


# Lesson 2


def test_settled_tokens_stay_below_and_are_counted_from_the_last_one_above():
    trace = falling([10, 0.5, 5, 0.5, 0.4], [10, 9, 0.5, 0.5, 0.4], [10, 9, 8, 7, 6])
    exercise = classroom.settled_tokens(trace, threshold=0.1)
    assert lk.settling_iteration(trace, relative=0.1).values[:2].tolist() == [3, 2]
    assert said(exercise, [3, 2, 5]).startswith("Right.")
    assert said(exercise, [1, 2, 5]).endswith("It must also stay below.")
    assert said(exercise, [2, 1, 4]).endswith("not yet below.")
    assert said(exercise, [1, 2, 4]).endswith("At token 0, 1 is too early: a later distance is not below.")
    assert said(exercise, [4, 2, 5]).endswith("from which the distance stays below.")
    assert said(exercise, 5).endswith("one number for each token.")


def test_a_factor_per_iteration_is_a_root():
    trace = falling([16, 8, 4, 2, 1], [16, 8, 4, 2, 1])
    exercise = classroom.factor_per_iteration(trace, start=1, stop=4)
    assert said(exercise, 0.5) == "Right. Every iteration leaves 50% of the distance, on average."
    assert "Which root" in said(exercise, 0.125)
    assert "inverse" in said(exercise, 2.0)
    assert "Factors multiply" in said(exercise, 0.125 / 3)
    assert "Count the iterations between 1 and 4." in said(exercise, 0.125**0.25)
    assert "difference" in said(exercise, 7 / 3)


# Lesson 3


MEANS = {"safety": 1.0, "a": 3.0, "b": 4.0, "c": 5.0, "d": 9.0}


def test_the_chance_of_a_rank_counts_both_sides_and_the_prompt_itself():
    exercise = classroom.chance_of_rank(MEANS, "safety")  # distances from 4: 3, 1, 0, 1, 5
    assert said(exercise, 0.4).startswith("Right.")
    assert "itself is one of those" in said(exercise, 0.2)
    assert "one side only" in said(exercise, 4 / 5)
    assert "Divide by the number of all prompts." in said(exercise, 2)
    assert "nearer to the middle" in said(exercise, 0.6)


def test_the_place_of_a_prompt_is_said_in_a_sentence():
    assert classroom.place_sentence(MEANS, "safety").startswith(
        "No: the prompt settles earlier than 4 of 4 harmless counterparts. Of the 5 prompts, 2 are at least"
    )
    many = {"safety": 9.0, **{f"{number}": 1 + number / 100 for number in range(30)}}
    assert classroom.place_sentence(many, "safety").startswith(
        "It takes longer, at least: the prompt settles"
    )
    assert "is unusual; its two words alone may be the reason." in classroom.place_sentence(many, "safety")
    assert "which is not unusual" in classroom.place_sentence(MEANS, "a")
    assert classroom.place_sentence(MEANS | {"e": 4.0}, "b") == (
        "No: the prompt lies in the middle of its 5 harmless counterparts. 2 of them settle earlier, "
        "2 later, 1 at the same time."
    )


def test_conclusions_are_about_this_model_and_these_prompts():
    exercise = classroom.conclusion_claims(MEANS, "safety")
    assert "settles earlier than 4 of the 4 counterparts" in str(exercise)
    with_ties = classroom.conclusion_claims({"safety": 4.0, "a": 4.0, "b": 4.0, "c": 3.0, "d": 9.0}, "safety")
    assert "settles later than 1 of the 4 counterparts" in str(with_ties)
    assert said(exercise, "AC").startswith("Right.")
    assert "B is not supported" in said(exercise, "ABC")


def test_a_picture_of_dots_marks_one_name():
    ax = classroom.plot_dots(MEANS, highlight="safety", label="mean")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["safety", "a", "b", "c", "d"]
    assert lk.plot.alt_text(ax).endswith("“safety” is marked at 1; 4 are larger.")
    with pytest.raises(ArgumentError, match="No value is named 'safty'"):
        classroom.plot_dots(MEANS, highlight="safty")


# Lesson 5


def circle(period: float, shrink: float = 1.0) -> Any:
    angle = 2 * np.pi * np.arange(65) / period
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * shrink ** np.arange(65)[:, None]


def test_an_orbit_has_the_period_that_is_asked_for():
    exercise = classroom.orbit_of_period(6)
    assert said(exercise, circle(6)).startswith("Right.")
    assert "This is an orbit, but its period is 5." in said(exercise, circle(5))
    assert "“fixed point”: they stop moving" in said(exercise, circle(6, 0.8))
    line = np.stack([np.arange(65.0), np.arange(65.0)], axis=1)
    assert "“slider”: they move on in one direction" in said(exercise, line)
    assert said(exercise, circle(6).T).endswith("Transpose it.")
    assert said(exercise, "circle").endswith("this is a str.")
    assert said(exercise, circle(6) * np.nan) == "Not yet. Some numbers are not finite."


def test_the_slowest_so_far_looks_back_only():
    exercise = classroom.slowest_so_far(xr.DataArray([0.5, 0.8, 0.6, 0.7], dims="token"))
    assert said(exercise, [0.5, 0.8, 0.8, 0.8]).startswith("Right.")
    assert "alone" in said(exercise, [0.5, 0.8, 0.6, 0.7])
    assert "all tokens" in said(exercise, 0.8)
    assert "not after" in said(exercise, [0.8, 0.8, 0.7, 0.7])
    assert "itself counts" in said(exercise, [0.5, 0.5, 0.8, 0.8])


# Lesson 6


def test_a_fixed_number_pays_no_more_than_the_criterion():
    trace = fake([[0, 1, 1, 1, 1], [0, 2, 2, 2, 2]], LETTERS)
    steps = np.array([[np.nan, 0.5, 0.05, 0.005, 0.0005], [np.nan, 0.5, 0.5, 0.005, 0.0005]])
    trace = trace.assign(
        exit_value=(("generated_token", "iteration", "criterion"), steps[..., None]),
        kl=(("generated_token", "iteration"), np.array([[9, 2, 1, 0.2, 0], [9, 2, 1, 0.1, 0]])),
    ).assign_coords(criterion=["latent-diff"])
    found = lk.exit_iteration(trace, "latent-diff")
    exercise = classroom.fixed_number(trace, "latent-diff")
    paid = float(found.kl.mean())
    right = int(trace.iteration[(trace.kl.mean("generated_token") <= paid).values][0])
    assert said(exercise, right).startswith("Right. 'latent-diff' runs")
    assert "With this number more is paid." in said(exercise, right - 1)

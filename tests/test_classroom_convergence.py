"""Exercises of lessons 2, 3 and 5: what is right, what is not yet, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_trace import make_trace

from latentkit.classroom import floor_reached, index_caption, place_among_others
from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.errors import ArgumentError, TraceError

SYSTEM = ["careful", " thought", " and", " deliber", "ation", ".", " Your"]


# Claims about a picture


@pytest.fixture
def claims() -> Any:
    return claims_exercise(
        "Which?",
        [Claim("One.", True, "a."), Claim("Two.", False, "b."), Claim("Three.", True, "c.")],
        clue="Look.",
    )


@pytest.mark.parametrize("answer", ["AC", "ca", "A, C", ["A", "C"], {"C", "A"}])
def test_claims_may_be_named_in_any_order_and_form(claims, answer):
    assert str(claims.check(answer)) == "Right. A: a.\nC: c."


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("ABC", "B is not supported: b."),
        ("A", "The claims you named are supported, but one more claim is, too."),
        ("AD", "The answer names claims by letters from A to C, such as \"AB\"; this is 'AD'."),
        ("", "The answer names claims by letters from A to C, such as \"AB\"; this is ''."),
        (7, 'The answer names claims by letters from A to C, such as "AB"; this is 7.'),
    ],
)
def test_wrong_claims_are_explained_before_missing_ones_are_counted(claims, answer, words):
    assert str(claims.check(answer)) == f"Not yet. {words}"


def test_claims_are_listed_with_the_question_and_explained_in_the_solution(claims):
    assert str(claims) == "Exercise: Which?\nA. One.\nB. Two.\nC. Three."
    assert str(claims.solution()) == "Solution. A, C.\nA: yes, a.\nB: no, b.\nC: yes, c."


# Lesson 2


def test_the_figure_supports_the_axis_the_trend_and_the_kind_of_scale():
    exercise = index_caption(make_trace(SYSTEM))
    assert str(exercise.check("ACF")).startswith("Right. A: its label says so")
    assert str(exercise.check("ABCF")).startswith(
        "Not yet. B is not supported: 19 to 39 are the numbers beside"
    )


def test_the_reason_names_the_row_and_the_distances_of_the_trace():
    trace = make_trace(SYSTEM)
    first, last = trace.distance[3].values[[0, -1]]
    assert str(index_caption(trace).check("D")).endswith(
        f"the word stands in rows 3 to 4, whatever its distance: that goes from {first:.3g} to {last:.2g}."
    )
    assert "stands in row 0," in str(index_caption(make_trace(["deliberation"])).check("D"))


def test_another_text_has_no_such_exercise():
    with pytest.raises(ArgumentError, match="'deliberation' does not occur in this trace"):
        index_caption(make_trace(["The", " cat"]))


# Lesson 3


MEANS = {"safety": 5.0, "a cake": 4.0, "a lamp": 6.0, "a kite": 5.0}


def test_the_place_among_the_others_is_what_took_longer():
    exercise = place_among_others(MEANS, "safety")
    assert str(exercise.check(1)) == (
        "Right. Of the 4 prompts, “safety” is number 2 from the slowest. If danger made no difference, each "
        "of them would have that rank with about the same chance: once in 4 times by chance alone."
    )
    assert str(exercise.check(3)) == (
        "Not yet. It is not 3. Compare the mean of “safety” with each of the others."
    )
    assert str(exercise.check(2)) == "Not yet. It is not 2. Did you count the prompt itself?"
    assert str(exercise.check(4)) == "Not yet. The answer is a whole number from 0 to 3; this is 4."
    fastest = place_among_others(MEANS, "a cake")
    assert str(fastest.check(0)) == "Not yet. It is not 0. This counts those with a smaller mean."


@pytest.mark.parametrize(("name", "answer", "place"), [("a lamp", 0, "slowest"), ("a cake", 3, "fastest")])
def test_the_ends_have_names(name, answer, place):
    assert str(place_among_others(MEANS, name).check(answer)).startswith(
        f"Right. Of the 4 prompts, “{name}” is the {place}."
    )


def test_a_prompt_that_is_not_there_is_refused():
    with pytest.raises(ArgumentError) as raised:
        place_among_others(MEANS, "safty")
    assert str(raised.value) == (
        "Expected 'safty' and at least one other prompt, got ['a cake', 'a kite', 'a lamp', 'safety']. "
        "Did you mean 'safety'? Known: 'a cake', 'a kite', 'a lamp', 'safety'."
    )


# Lesson 5


def falling(rate: float, floor: float = 0.0) -> xr.Dataset:
    distance = np.maximum(100 * rate ** np.arange(33.0), floor)[None].repeat(3, 0)
    trace = xr.Dataset({"distance": (("token", "iteration"), distance)}, {"iteration": np.arange(33)})
    return trace.assign_attrs(limit=128)


@pytest.mark.parametrize("answer", [7, 8, 9, 8.0])
def test_the_crossing_may_be_read_one_beside(answer):
    said = str(floor_reached(falling(0.5), falling(0.5, 0.5)).check(answer))
    assert said.startswith("Right. Its median is 0.78 at iteration 7, 0.39 at iteration 8. From there on")


def test_a_wrong_place_is_told_on_which_side_it_is():
    exercise = floor_reached(falling(0.5), falling(0.5, 0.5))
    assert str(exercise.check(5)) == "Not yet. At iteration 5 the curve is still above the dotted line."
    assert (
        str(exercise.check(20)) == "Not yet. At iteration 20 the curve is already well below the dotted line."
    )
    assert str(exercise.check("8")) == "Not yet. The answer is a whole number from 0 to 32; this is '8'."


def test_runs_in_the_wrong_order_are_refused():
    with pytest.raises(TraceError) as raised:
        floor_reached(falling(0.99), falling(0.5, 0.5))
    assert str(raised.value) == "The first run does not stay below 0.5, the floor of the second. Swap them?"

"""Exercises of the lessons on decoding: exactly one answer is right, and others are told why not."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from test_plot_decoding import fake

import latentkit as lk
from latentkit.classroom import laxest_threshold, whole_text
from latentkit.errors import ArgumentError, TraceError

LETTERS = ["a", "b", "c"]


def verdicts(exercise, answers):
    return [answer for answer in answers if str(exercise.check(answer)).startswith("Right")]


# Lesson 1: from which iteration on is the text whole?


def test_text_is_whole_after_the_last_mistake_of_any_token():
    exercise = whole_text(fake([[0, 1, 1, 1, 1], [2, 2, 0, 2, 2]], LETTERS))
    assert str(exercise.check(3)) == (
        "Right. From iteration 3 on the text is complete; of 4 iterations, 1 change no token."
    )
    assert (
        str(exercise.check(4))
        == "Not yet. From iteration 4 on all tokens are the ones taken, but they already were at iteration 3."
    )
    assert str(exercise.check(1)) == (
        "Not yet. At iteration 1 every token is the one taken, but a later iteration changes one again."
    )
    assert str(exercise.check(2)) == (
        "Not yet. At iteration 2 generated token 1 is still “a”; the token taken is “c”."
    )


@pytest.mark.parametrize("given", ["three", 3.5, True, -1, 5])
def test_answer_of_another_kind_is_told_what_is_asked(given):
    exercise = whole_text(fake([[0, 1, 1, 1, 1]], LETTERS))
    assert str(exercise.check(given)) == (
        f"Not yet. The answer is a whole number from 0 to 4; this is {given!r}."
    )


@pytest.mark.parametrize("given", [3, 3.0, np.int64(3), np.array([3]), xr.DataArray(3), xr.DataArray([3.0])])
def test_an_answer_computed_with_numpy_or_xarray_is_a_number(given):
    exercise = whole_text(fake([[0, 1, 1, 1, 1], [2, 2, 0, 2, 2]], LETTERS))
    assert str(exercise.check(given)).startswith("Right.")


@given(st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), min_size=1, max_size=4))
def test_exactly_one_iteration_is_right_and_the_code_of_the_lesson_finds_it(ids):
    trace = fake(ids, LETTERS)
    wrong = (trace.readout_id.isel(rank=0) != trace.token_id).any("generated_token")
    late = trace.iteration.values[wrong.values]
    right = int(late[-1]) + 1 if late.size else 0
    exercise = whole_text(trace)
    assert verdicts(exercise, range(5)) == [right]


def test_neither_question_nor_hint_gives_the_solution_away():
    exercise = whole_text(fake([[0, 1, 1, 1, 1], [2, 2, 0, 2, 2]], LETTERS))
    for said in (exercise, exercise.check(None), exercise.check("three"), *exercise.clue):
        assert "3" not in f"{said}"


def test_text_that_was_drawn_by_chance_is_refused():
    trace = fake([[0, 1], [1, 2]], LETTERS)
    with pytest.raises(TraceError) as raised:
        whole_text(trace.assign_coords(token_id=("generated_token", [0, 2])))
    assert str(raised.value) == (
        "This exercise needs a decoding whose last readout is the token taken. Run it with readouts, "
        "temperature=0.0 and exit=None."
    )


# Lesson 6: how lax may a threshold be?


def with_steps(values, ids):
    """A decoding whose relative steps are given, and the likeliest token at each iteration."""
    trace = fake(ids, LETTERS)
    kept = np.concatenate([np.full((len(values), 1), np.nan), np.array(values, float)], axis=1)
    return trace.assign(
        exit_value=(("generated_token", "iteration", "criterion"), kept[..., None]), kl=trace.distance
    ).assign_coords(criterion=["latent-diff"])


@pytest.fixture
def trace():
    """Two tokens: the first changes at 2, the second at 3; steps 0.5, 0.05, 0.005, 0.0005."""
    steps = [0.5, 0.05, 0.005, 0.0005]
    return with_steps([steps, steps], [[0, 0, 1, 1, 1], [0, 0, 0, 2, 2]])


def test_largest_threshold_without_a_change_is_right(trace):
    exercise = laxest_threshold(trace, "latent-diff", [1.0, 0.1, 0.01, 0.001])
    assert str(exercise.check(0.01)) == (
        "Right. With 0.01 no token changes, and 25% of the iterations are saved."
    )
    assert str(exercise.check(0.1)) == "Not yet. At 0.1, 1 token changes."
    assert str(exercise.check(0)) == "Not yet. At 0.001 no token changes, so the answer is not 0."
    assert str(exercise.check(0.001)) == (
        "Not yet. Up to 0.001 no token changes, but a larger threshold has this property, too."
    )


def test_no_threshold_is_right_where_even_the_smallest_changes_a_token(trace):
    exercise = laxest_threshold(trace, "latent-diff", [0.1, 1.0])
    assert verdicts(exercise, [0, 0.1, 1.0]) == [0]


def test_a_threshold_above_one_that_changes_a_word_is_never_right():
    # At 1.0 the token happens to be the last one again, but at 0.1 it is not.
    trace = with_steps([[0.5, 0.05, 0.005]], [[0, 1, 0, 1]])
    assert lk.exit_iteration(trace, "latent-diff", [0.01, 0.1, 1.0]).same_token.values.tolist() == [
        [True], [False], [True],
    ]  # fmt: skip
    exercise = laxest_threshold(trace, "latent-diff", [0.01, 0.1, 1.0])
    assert verdicts(exercise, [0, 0.01, 0.1, 1.0]) == [0.01]
    assert str(exercise.check(1.0)) == "Not yet. At 1, no token changes, but one does at a smaller one."


@pytest.mark.parametrize("given", ["0.1", 0.2, True, None])
def test_answer_that_is_no_choice_is_told_the_choice(trace, given):
    exercise = laxest_threshold(trace, "latent-diff", [0.1, 1.0])
    said = str(exercise.check(given))
    if given is None:
        assert said.startswith("Not attempted yet.")
    else:
        assert said == f"Not yet. The answer is one of 0.1, 1, or 0 if there is none; this is {given!r}."


def test_code_of_the_solution_finds_the_answer(trace):
    thresholds = [0.001, 0.01, 0.1, 1.0]
    exercise = laxest_threshold(trace, "latent-diff", thresholds)
    same = lk.exit_iteration(trace, "latent-diff", thresholds).same_token.all("generated_token")
    answer = thresholds[int(same.argmin("threshold")) - 1]
    assert verdicts(exercise, [0, *thresholds]) == [answer]


def test_one_threshold_is_no_choice(trace):
    with pytest.raises(ArgumentError) as raised:
        laxest_threshold(trace, "latent-diff", [0.1, 0.1])
    assert str(raised.value) == (
        "thresholds are [0.1, 0.1]; pass at least two different ones to choose from."
    )


def test_decoding_without_readouts_is_refused(trace):
    with pytest.raises(TraceError) as raised:
        laxest_threshold(trace.drop_vars("readout_id"), "latent-diff", [0.1, 1.0])
    assert str(raised.value) == (
        "This exercise needs readouts. Run the decoding again with readout_top=1 or more."
    )


def test_made_traces_are_decodings(trace):
    assert isinstance(trace, xr.Dataset)
    assert lk.exit_iteration(trace, "latent-diff", 0.01).exit_iteration.values.tolist() == [3, 3]

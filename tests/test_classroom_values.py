"""Exercises of code: right values, likely mistakes and everything else."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from latentkit.classroom.values import Mistake, values_exercise


@pytest.fixture
def exercise():
    return values_exercise(
        "The squares?",
        xr.DataArray([0.0, 1.0, 4.0, np.nan], dims="token"),
        hints=("Multiply.", "By itself.", "x * x"),
        right="All squares.",
        mistakes=[
            Mistake([0.0, 2.0, 4.0, np.nan], "These are doubles."),
            Mistake(4.0, "This is only the largest."),
            Mistake([0.0, 1.0, 4.0, np.nan], "Never said, because it is right."),
        ],
        wrong=lambda place, value: f"At token {place} it is not {value:g}.",
    )


def values(kind):
    return kind([0.0, 1.0, 4.0, np.nan])


@pytest.mark.parametrize("kind", [list, tuple, np.array, xr.DataArray, lambda x: np.array(x, np.float32)])
def test_right_values_are_right_in_every_form(exercise, kind):
    assert str(exercise.check(values(kind))) == "Right. All squares."


def test_a_likely_mistake_has_its_own_message(exercise):
    assert str(exercise.check([0, 2, 4, np.nan])) == "Not yet. These are doubles."
    assert str(exercise.check(np.float32(4))) == "Not yet. This is only the largest."


def test_other_wrong_values_are_counted_and_the_first_is_shown(exercise):
    assert (
        str(exercise.check([0, 3, 4, 5])) == "Not yet. 2 of 4 values are not right. At token 1 it is not 3."
    )


@pytest.mark.parametrize(
    ("given", "kind"), [("0", "str"), (True, "bool"), (xr.Dataset(), "Dataset"), ([[1], [2, 3]], "list")]
)
def test_another_kind_of_answer_is_named(exercise, given, kind):
    assert str(exercise.check(given)) == (
        f"Not yet. The answer is an array with 4 numbers, one for each token; this is a {kind}."
    )


def test_another_shape_is_named(exercise):
    assert str(exercise.check(np.zeros((2, 3)))).endswith("one for each token; this has the shape (2, 3).")


def test_the_answer_appears_in_no_message(exercise):
    messages = [exercise.judge(given)[1] for given in ("x", 7.0, [9, 9, 9, 9], [0, 2, 4, np.nan])]
    assert not [said for said in messages if "1.0" in said or "[0" in said]


def test_one_number_is_compared_with_a_tolerance():
    exercise = values_exercise("π?", np.pi, hints=["Circle."], right="Yes.", tolerance=0.01)
    assert str(exercise.check(3.14)) == "Right. Yes."
    assert str(exercise.check(3.0)) == "Not yet. The number is another one."

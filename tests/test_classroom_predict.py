"""Predictions: what may be entered, what is noted, and what is said afterwards."""

from __future__ import annotations

import ipywidgets
import pytest
from test_trace import make_trace

from latentkit.classroom import predict
from latentkit.classroom.field import field
from latentkit.errors import ArgumentError


@pytest.fixture(autouse=True)
def _nothing_entered(monkeypatch):
    monkeypatch.setattr("latentkit.classroom.prediction._entered", {})


def shown(prediction):
    """The widgets of a prediction: the input, and the line below it."""
    _question, entry, noted, _keys = field(
        prediction, prediction._options, several=prediction._several
    ).children
    return entry, noted


def test_nothing_entered_is_no_mistake():
    assert str(predict("How many?").compare(7)) == "Your prediction. You entered none. It was 7."


def test_a_number_is_compared_with_the_result():
    guess = predict("How many?", low=0, high=16, said=5)
    assert str(guess.compare(7)) == "Your prediction. You said 5, it was 7."
    assert str(guess.compare(5, "Luck.")) == "Your prediction. You said 5, and so it was.\nLuck."


def test_a_result_may_lie_outside_of_what_can_be_entered():
    assert "it was 17" in str(predict("How many?", high=16, said=5).compare(17))


def test_tokens_are_compared_by_position():
    tokens = make_trace(["x", " y", "x", "z"]).token_text
    guess = predict("Which are slow?", tokens=tokens, said=[2, 1])
    assert guess.said == [1, 2]
    assert str(guess.compare([0, 2])) == (
        "Your prediction. You said 1 “ y”, 2 “x”, it was 0 “x”, 2 “x”: 1 of 2 found."
    )


def test_rows_of_a_part_keep_their_positions():
    tokens = make_trace(["a", "b", "c"]).token_text.isel(token=slice(1, None))
    assert predict("Which?", tokens=tokens, said=2).said == [2]
    with pytest.raises(ArgumentError, match=r"by their positions, 1 to 2, got 0\."):
        predict("Which?", tokens=tokens, said=0)


@pytest.mark.parametrize("said", ["x", 0.5, [0, "b"], True])
def test_what_is_no_position_of_a_token_is_refused(said):
    with pytest.raises(ArgumentError, match=r"by their positions, 0 to 1, got "):
        predict("Which?", tokens=["a", "b"], said=said)


def test_a_choice_is_one_of_those_given():
    guess = predict("Which?", choices=["red", "blue"], said="red")
    assert str(guess.compare("blue")) == "Your prediction. You said “red”, it was “blue”."
    with pytest.raises(ArgumentError) as raised:
        predict("Which?", choices=["red", "blue"], said="green")
    assert str(raised.value) == "The prediction is one of ['red', 'blue'], got 'green'."


@pytest.mark.parametrize("said", ["many", float("nan"), -1, 17, [1, 2]])
def test_other_numbers_are_refused(said):
    with pytest.raises(ArgumentError, match="The prediction is a number from 0 to 16, got"):
        predict("How many?", low=0, high=16, said=said)


def test_choices_and_tokens_exclude_each_other():
    with pytest.raises(ArgumentError, match=r"one of `choices` or some of `tokens`, not both\."):
        predict("Which?", choices=["a"], tokens=["a"])


def test_a_number_typed_into_the_field_is_noted():
    guess = predict("What share?", low=0, high=1)
    entry, noted = shown(guess)
    assert noted.value == '<span role="status"></span>'
    entry.value = "0,5"
    assert guess.said == 0.5
    assert ">Noted: 0.5.<" in noted.value
    entry.value = "<b>"
    assert guess.said == 0.5
    assert "The prediction is a number from 0 to 1, got &#x27;&lt;b&gt;&#x27;." in noted.value
    entry.value = ""
    assert guess.said is None


def test_tokens_chosen_in_the_field_are_noted():
    guess = predict("Which?", tokens=["a", "b", "a"])
    entry, noted = shown(guess)
    assert isinstance(entry, ipywidgets.SelectMultiple)
    entry.value = (2, 0)
    assert guess.said == [0, 2]
    assert "Noted: 0 “a”, 2 “a”." in noted.value


def test_a_choice_made_in_the_field_is_noted():
    guess = predict("Which?", choices=["red", "blue"])
    entry, _ = shown(guess)
    assert entry.value is None
    entry.value = "blue"
    assert guess.said == "blue"


def test_a_prediction_survives_when_its_cell_runs_again():
    predict("How many?", said=3)
    guess = predict("How many?")
    assert guess.said == 3
    assert shown(guess)[0].value == "3"
    assert predict("How few?").said is None


def test_a_page_without_a_kernel_shows_the_question_as_text():
    bundle = predict("Is <1> enough?", low=0)._repr_mimebundle_()
    assert "Is &lt;1&gt; enough?" in bundle["text/html"]
    assert bundle["text/plain"] == "Predict: Is <1> enough?"
    assert "application/vnd.jupyter.widget-view+json" in bundle

"""The exercise of lesson 4: which claims a picture of layers supports, whatever its values are."""

from __future__ import annotations

import ast
from pathlib import Path

import jupytext
import numpy as np
import pytest
from causal_for_tests import causal_model
from test_plot_layer_kl import fake

import latentkit as lk
from latentkit import classroom
from latentkit.errors import TraceError

LESSON = Path(__file__).resolve().parent.parent / "notebooks" / "04_layer_kl.py"


def result(layers=(0, 2, 1, 4), count=5, **options):
    return fake(list(layers), layers_of_model=str(count), **options)


@pytest.mark.parametrize("given", ["BE", "eb", "b, e", ["B", "E"], {"e", "B"}, ("B", " E")])
def test_the_right_claims_may_be_named_in_any_form(given):
    assert str(classroom.caption_claims(result()).check(given)).startswith("Right. ")


@pytest.mark.parametrize("letter", "ACDFG")
def test_a_claim_too_much_is_named_with_its_reason(letter):
    said = str(classroom.caption_claims(result()).check("BE" + letter))
    assert said.startswith(f"Not yet. {letter} is not supported: ")


@pytest.mark.parametrize("given", ["B", "E"])
def test_a_missing_claim_is_counted_and_not_named(given):
    assert str(classroom.caption_claims(result()).check(given)) == (
        "Not yet. The claims you named are supported, but one more claim is, too."
    )


def test_the_claims_follow_from_the_picture():
    shown = result(values=[[1, 2], [5, 1], [2, 2], [3, 4]], texts="ab")
    question = str(classroom.caption_claims(shown))
    assert "B. Of the cells that are drawn, layer 2 at Gen0 has the largest KL." in question
    assert "C. No layer of the model has a larger mean effect than layer 4." in question


def test_of_tokens_that_are_a_part_the_true_number_is_named():
    part = result(texts="abcde").isel(generated_token=slice(2, 4))
    assert "layer 4 at Gen3 has the largest KL" in str(classroom.caption_claims(part))


def test_where_all_layers_are_drawn_in_order_two_more_claims_are_supported():
    exercise = classroom.caption_claims(result([0, 1, 2, 3], 4))
    assert str(exercise.check("ABCE")).startswith("Right. ")
    assert str(exercise.check("BE")) == (
        "Not yet. The claims you named are supported, but 2 more claims are, too."
    )


def test_a_last_row_of_zeros_supports_nothing_about_the_definition():
    zeros = result(values=[[1, 2], [9, 1], [2, 2], [0, 0]], texts="ab")
    assert str(classroom.caption_claims(zeros).check("B")).startswith("Right. ")


@pytest.mark.parametrize("given", ["XY", 5, "", ["B", 2]])
def test_what_names_no_claim_is_told_what_an_answer_looks_like(given):
    assert str(classroom.caption_claims(result()).check(given)) == (
        f'Not yet. The answer names claims by letters from A to G, such as "AB"; this is {given!r}.'
    )


def test_hint_gives_no_letter_away_and_the_solution_gives_all_with_reasons():
    exercise = classroom.caption_claims(result())
    assert "B" not in exercise.clue
    assert exercise.worked.startswith("B, E.\nA: no, the rows stand in the order that was asked for")


@pytest.mark.parametrize(
    "wrong",
    [
        result(definition="lens"),
        result([0, 2, 1]),
        result(prompts=3),
    ],
)
def test_another_comparison_is_refused(wrong):
    with pytest.raises(TraceError) as caught:
        classroom.caption_claims(wrong)
    assert str(caught.value) == (
        "This exercise needs the effect of layers on one prompt, with the model's last layer among them. "
        "Run `run_layer_effect` with -1 among layers=."
    )


def test_a_result_of_a_run_can_be_asked_about():
    ran = lk.run_layer_effect(causal_model("llama"), [3, 1, 4], new_tokens=2, layers=[0, 2], progress=False)
    assert str(classroom.caption_claims(ran).check("ABE")).startswith("Right. ")


# The cell of the lesson that may reach for the network


def online_cell() -> str:
    (cell,) = [
        cell.source
        for cell in jupytext.read(LESSON).cells
        if cell.cell_type == "code" and "Qwen" in cell.source
    ]
    return cell


def test_the_cell_for_those_online_is_off_and_loads_nothing_outside_its_condition():
    switch, condition = ast.parse(online_cell()).body
    assert ast.unparse(switch) == "online = False"
    assert isinstance(condition, ast.If)
    assert ast.unparse(condition.test) == "online"
    assert "load_model" not in "".join(map(ast.unparse, condition.orelse))


def test_the_cell_for_those_online_does_what_it_says_with_a_model_of_28_layers(monkeypatch):
    model = causal_model("qwen2", num_hidden_layers=28, vocab_size=4096)
    model.tokenizer = lk.load_model("nano-untrained").tokenizer
    asked, pictures = [], []
    monkeypatch.setattr(lk, "load_model", lambda name: (asked.append(name), model)[1])
    monkeypatch.setattr(lk, "with_alt", lambda ax: ax, raising=False)
    given = {
        "lk": lk,
        "display": pictures.append,
        "text": "It was 3",
        "rows": [0, 15, 18, 17, 16, 19, 20, 21, 27],
    }
    exec(online_cell().replace("online = False", "online = True"), given)
    assert asked == ["Qwen/Qwen2.5-1.5B"]
    assert pictures[0].collections[0].get_array().shape == (9, 5)
    assert np.isfinite(given["far"].kl).all()

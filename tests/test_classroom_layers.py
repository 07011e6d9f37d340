"""The exercises of lesson 4, and the signs of the published picture, whatever the values are."""

from __future__ import annotations

import ast
from pathlib import Path

import jupytext
import numpy as np
import pytest
import xarray as xr
from causal_for_tests import causal_model
from test_plot_layer_kl import fake

import latentkit as lk
from latentkit import classroom
from latentkit.errors import ArgumentError, TraceError

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
    assert not [step for step in exercise.clue if "B" in step]
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


# The signs of the published picture

NINE = [0, 15, 18, 17, 16, 19, 20, 21, 27]


def nine_rows(ends=0.1, middle=1.0, **cells):
    """Rows of which the outer ones and the middle ones have one value each, but for some cells."""
    values = np.full((9, 5), middle)
    values[[0, 8]] = ends
    for place, value in cells.items():
        row, column = map(int, place[1:].split("_"))
        values[row, column] = value
    return fake(NINE, values=values.tolist(), texts="abcde", layers_of_model="28")


def found(result):
    return [name for name, sign in classroom.picture_signs(result).items() if bool(sign)]


def test_each_sign_of_the_published_picture_is_found_and_missed():
    assert found(nine_rows(c3_0=2.0)) == ["ends", "column", "peak"]
    assert found(nine_rows(c3_1=2.0)) == ["ends"]
    assert found(nine_rows(ends=3.0, c3_0=2.9)) == ["column"]
    assert found(nine_rows(c0_0=9.0)) == ["column"]
    assert found(nine_rows(c3_0=2.0, c5_1=1.6, c6_1=1.6)) == ["ends", "peak"]


def test_signs_do_not_count_layers_beyond_the_picture_and_keep_prompts():
    one, other = nine_rows(c3_0=2.0), nine_rows(c3_1=2.0)
    together = xr.concat([one[["kl"]], other[["kl"]]], dim="prompt")
    assert classroom.picture_signs(together).peak.values.tolist() == [True, False]
    beyond = one[["kl"]].isel(layer=[0]).assign_coords(layer=[29]) * 0
    longer = xr.concat([one[["kl"]], beyond], dim="layer", join="outer", coords="minimal", compat="override")
    assert found(longer) == ["ends", "column", "peak"]


def test_signs_of_other_layers_are_refused():
    with pytest.raises(TraceError) as caught:
        classroom.picture_signs(result([0, 1, 2], 3))
    assert "compare layers 0 and 27 with others, got [0, 1, 2]." in str(caught.value)


# Exercises of code


def whole_effect():
    return fake(
        [0, 1, 2, 3], values=[[3, 3], [0.1, 1.5], [0.2, 0.2], [2, 1]], texts="ab", layers_of_model="4"
    )


@pytest.mark.parametrize("given", [[0, 3], (3, 0), {0, 3}, np.array([0.0, 3.0])])
def test_needed_layers_may_be_given_in_any_form(given):
    said = classroom.needed_layers(whole_effect(), threshold=1.0).check(given)
    assert str(said) == "Right. 2 of 4 layers have a mean effect above 1 nats."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [0, 1, 3],
            "These layers exceed the threshold for at least one token. Compare the mean of each row.",
        ),
        ([1, 2], "These are the layers that stay below the threshold."),
        ([0, 2, 3], "Layer 2 is in your list; its mean over the tokens is 0.2 nats."),
        ([0], "All layers of your list (1) exceed the threshold, but others do, too."),
        ([7], "The answer is a list of layer numbers from 0 to 3; this is [7]."),
        ("ab", "The answer is a list of layer numbers from 0 to 3; this is 'ab'."),
        ([True, False], "The answer is a list of layer numbers from 0 to 3; these are True and False."),
    ],
)
def test_likely_mistakes_with_needed_layers_have_messages(given, message):
    right, said = classroom.needed_layers(whole_effect(), threshold=1.0).judge(given)
    assert (right, said) == (False, message)


def test_a_threshold_that_decides_nothing_is_refused():
    with pytest.raises(ArgumentError, match=r"threshold is 9; pass one between 0\.2 and 3\."):
        classroom.needed_layers(whole_effect(), threshold=9)


@pytest.fixture(scope="module")
def noise():
    return lk.open_example("smollm2_noise_medium")


def count(kl, ends, between):
    means = kl.mean("generated_token")
    return int((means.sel(layer=ends).max("layer") < means.sel(layer=between).min("layer")).sum())


@pytest.mark.parametrize("last", [27, 29])
def test_pale_ends_are_counted_on_new_prompts(noise, last):
    new = noise.kl.isel(prompt=slice(3, None))
    answer = count(new, [0, last], NINE[1:-1])
    exercise = classroom.pale_ends(noise, last=last, searched=3)
    assert exercise.judge(answer)[0]
    everything = count(noise.kl, [0, last], NINE[1:-1])
    assert everything != answer
    assert exercise.judge(everything) == (
        False, "This counts all 27 prompts. The first 3 were searched; leave them out."
    )  # fmt: skip
    assert exercise.judge(99)[1] == "The answer is a number of prompts, from 0 to 24; this is 99."
    for step in (*exercise.clue, exercise.question):
        assert str(answer) not in step.replace(str(last), "").replace("24", "")


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

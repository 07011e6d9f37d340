"""Lesson 8: its tables of prompts, studies that are repeated, and its exercises."""

from __future__ import annotations

import numpy as np
import pytest

import latentkit as lk
from latentkit import classroom


def test_the_three_kinds_have_200_different_prompts_each() -> None:
    table = classroom.kinds_table()
    assert len(set(table["prompt"])) == len(table["prompt"]) == 600
    assert [table["kind"].count(kind) for kind in ("arithmetic", "fact", "prose")] == [200] * 3
    assert table == classroom.kinds_table()


def test_harmful_and_harmless_prompts_have_the_same_shapes() -> None:
    """The same sentences, with things of as many tokens."""
    table = classroom.danger_table()
    tokenizer = lk.load_model("nano").tokenizer
    shapes: dict[str, set[tuple[str, int]]] = {"harmful": set(), "harmless": set()}
    rows = zip(table["prompt"], table["group"], table["sentence"], table["thing"], strict=True)
    for prompt, group, sentence, thing in rows:
        assert prompt == sentence.replace("{}", thing)
        shapes[group].add((sentence, len(tokenizer.encode(prompt))))
    assert shapes["harmful"] == shapes["harmless"]
    assert len(shapes["harmful"]) == 5
    assert len(set(table["prompt"])) == 240


def test_studies_of_equal_groups_seldom_decide_and_those_of_distant_groups_always() -> None:
    values = np.random.default_rng(0).normal(size=200)
    equal = classroom.repeated_studies(values, values, sizes=[5, 50])
    assert np.all(np.abs(equal.decided.mean("study") - 0.05) < 0.02)
    far = classroom.repeated_studies(values + 9, values, sizes=[5, 50])
    assert far.decided.all()
    assert np.all(far.low < far.difference)
    assert np.all(far.difference < far.high)


def test_the_picture_of_studies_shows_the_first_forty_of_each_size() -> None:
    studies = classroom.repeated_studies([1.0, 2.0, 3.0], [1.5, 2.5, 3.5], sizes=[5, 50], repeats=60)
    figure = classroom.plot_studies(studies)
    for ax, size in zip(figure.axes, (5, 50), strict=True):
        points = [line for line in ax.lines if line.get_marker() == "o"]
        wanted = studies.difference.sel(size=size).values[:40]
        assert [float(line.get_xdata()[0]) for line in points] == wanted.tolist()
        filled = [line.get_fillstyle() == "full" for line in points]
        assert filled == studies.decided.sel(size=size).values[:40].tolist()


VALUES = np.array([10.0, 11.0, 12.0, 13.0, 14.0])  # standard deviation √2.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (250, "Right. The prompts differ by 1.58 iterations (standard deviation)."),
        (249, "Not yet. Rounded down, the error is a little larger than wanted."),
        (16, "Not yet. This is the root of the number. Square it before rounding."),
        (0.70710678, "Not yet. This is the error with the prompts that you have."),
        (256, "Not yet. Square first, and round only once, at the end."),
        (200, "Not yet. Nearly. numpy's std() describes these prompts only; with ddof=1"),
        (961, "Not yet. This makes half of the 95 % interval as small as wanted."),
        (7, "Not yet. It is not 7."),
    ],
)
def test_the_number_of_prompts_and_likely_mistakes_have_messages(given: float, message: str) -> None:
    assert str(classroom.needed_prompts(VALUES, wanted=0.1).check(given)).startswith(message)


def test_a_share_of_exchanges_near_the_exact_one_is_right() -> None:
    """Of the 252 ways to choose 5 of 10 numbers, 2 give a difference as large as the real one."""
    exercise = classroom.chance_of_difference(VALUES, VALUES + 5)
    assert exercise.judge(2 / 252)[0]
    assert exercise.judge(1 - 2 / 252) == (False, "This is the share of smaller differences.")
    assert exercise.judge(-5.0)[1].startswith("This is the difference itself.")
    assert not exercise.judge(0.5)[0]
    assert exercise.judge(7.0)[1] == "A share lies between 0 and 1 (no percentage, no count); this is 7."


def test_the_supported_claims_are_about_how_much_the_data_say() -> None:
    assert str(classroom.prompt_claims().check("ADF")).startswith("Right.")
    assert str(classroom.prompt_claims().check("AC")).startswith("Not yet.")

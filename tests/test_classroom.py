"""Exercises: what is right, what is not yet, and what is told to whoever asks."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_trace import make_trace

import latentkit as lk
from latentkit.classroom import Exercise, check_environment, loop_drawing, settled_guess
from latentkit.errors import TraceError


@pytest.fixture
def exercise():
    return Exercise("2 + 2?", "Use your fingers.", lambda answer: (answer == 4, f"You said {answer}."), "4")


@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_is_no_mistake(exercise, nothing):
    assert str(exercise.check(nothing)) == (
        "Not attempted yet. Put your answer in place of None and run the cell again. There is a hint."
    )


def test_answer_is_judged(exercise):
    assert str(exercise.check(4)) == "Right. You said 4."
    assert str(exercise.check(5)) == "Not yet. You said 5."


@pytest.mark.parametrize(("ask", "words"), [("hint", "Use your fingers."), ("solution", "4")])
def test_hint_and_solution_stay_folded_until_they_are_opened(exercise, ask, words):
    asked = getattr(exercise, ask)()
    assert words not in repr(asked)
    assert str(asked) == f"{ask.capitalize()}. {words}"
    assert asked._repr_html_().startswith("<details style=")
    assert f"<p>{words}</p></details>" in asked._repr_html_()


def test_neither_question_nor_verdict_gives_the_solution_away():
    exercise = settled_guess(guesses("aabcaaa"))
    verdicts = [exercise.check(answer) for answer in (None, "three", 0, 1, 2, 3)]
    for said in (exercise, *verdicts, *exercise.clue):
        assert "4" not in f"{said}"
        assert "“a”" not in f"{said}"


def test_hints_of_several_steps_are_folded_one_by_one():
    asked = Exercise("?", ("Look.", "Look <there>."), lambda answer: (False, "")).hint()
    assert repr(asked) == "Hint 1 of 2: folded. print() shows it.\nHint 2 of 2: folded. print() shows it."
    assert str(asked) == "Hint 1 of 2. Look.\nHint 2 of 2. Look <there>."
    assert asked._repr_html_().count("<details") == 2
    assert "Look &lt;there&gt;." in asked._repr_html_()


def test_an_exercise_without_a_worked_answer_points_to_the_solution_cell():
    exercise = Exercise("?", "!", lambda answer: (False, ""))
    assert str(exercise.solution()) == "Solution. It stands in the solution cell of the lesson."


def test_what_is_shown_is_text_and_no_markup():
    exercise = Exercise("<b>?", "<script>", lambda answer: (False, f"{answer}"), "<i>")
    cards = (exercise, exercise.check("<img src=x>"), exercise.hint(), exercise.solution())
    for card in cards:
        assert "&lt;" in card._repr_html_()
        assert not any(tag in card._repr_html_() for tag in ("<b>?", "<script", "<i>", "<img"))


# Lesson 0: from which iteration on does the top token stay the same?


def guesses(letters, offset=0):
    """A trace whose likeliest token after the last one is, iteration by iteration, these letters."""
    trace = make_trace(["x", "y"], iterations=len(letters) - 1)
    trace["readout_text"][-1, :, 0] = np.array(list(letters), dtype=object)
    trace["readout_id"][-1, :, 0] = [ord(letter) for letter in letters]
    return trace.assign_coords(iteration=trace.iteration + offset)


def test_answer_is_the_first_iteration_from_which_the_top_token_stays():
    exercise = settled_guess(guesses("abcaaa"))
    assert str(exercise.check(3)) == (
        "Right. From iteration 3 on the top token is “a”. It does not change in the 2 iterations that follow."
    )


def test_answer_that_is_too_early_is_shown_a_later_change():
    # At 0 the top token is already the last one, but it changes again.
    assert str(settled_guess(guesses("abcaaa")).check(0)) == (
        "Not yet. After iteration 0 the top token still changes. It changes 3 more times."
    )
    assert str(settled_guess(guesses("abcaaa")).check(2)).endswith("It changes once more.")


def test_answer_that_is_too_late_is_shown_an_earlier_iteration():
    assert str(settled_guess(guesses("abcaaa")).check(5)) == (
        "Not yet. From iteration 5 on the top token stays the same, but it was already “a” at iteration 4."
    )


@pytest.mark.parametrize("given", ["three", 3.5, True, [3], -1, 6, float("nan")])
def test_answer_of_another_kind_is_told_what_is_asked(given):
    assert str(settled_guess(guesses("abcaaa")).check(given)) == (
        f"Not yet. The answer is a whole number from 0 to 5; this is {given!r}."
    )


@pytest.mark.parametrize("given", [3, 3.0, np.int64(3), np.float32(3)])
def test_number_is_a_number_however_it_was_computed(given):
    assert str(settled_guess(guesses("abcaaa")).check(given)).startswith("Right.")


@given(st.text("ab", min_size=2, max_size=9), st.integers(0, 3))
def test_exactly_one_answer_is_right_and_the_code_of_the_solution_finds_it(letters, offset):
    trace = guesses(letters, offset)
    exercise = settled_guess(trace)
    passes = trace.iteration.values.tolist()
    right = [number for number in passes if str(exercise.check(number)).startswith("Right")]
    guess = trace.readout_id.isel(token=-1, rank=0)
    differs = guess.iteration.values[(guess != guess.isel(iteration=-1)).values]
    assert right == [int(differs[-1]) + 1 if differs.size else passes[0]]


def test_trace_without_readouts_is_refused():
    with pytest.raises(TraceError) as raised:
        settled_guess(make_trace(["a", "b"]).drop_vars(["readout_id", "readout_text"]))
    assert str(raised.value) == "This exercise needs readouts. Run the trace again without readout_top=0."


# Whether this computer is ready


def doctor(monkeypatch, status, out, err=""):
    done = subprocess.CompletedProcess([], status, out, err)
    monkeypatch.setattr(subprocess, "run", lambda *command, **options: done)


def test_a_computer_that_has_everything_is_told_so_in_a_sentence(monkeypatch):
    doctor(
        monkeypatch,
        0,
        "latentkit in /somewhere\n\n  ok    torch  2.13\n  note  Chromium  absent\n\nAll is well.\n",
    )
    said = str(check_environment())
    assert said.startswith(f"All is well. latentkit {lk.__version__} on Python 3.")
    assert said.endswith(": 1 checks passed, and nano is installed.")
    assert "/somewhere" not in said


def test_what_is_missing_is_named_with_what_to_type(monkeypatch):
    rows = (
        "ok    torch  2.13",
        "FAIL  numpy  not installed. Run: pip install numpy",
        "note  Chromium  absent",
    )
    doctor(monkeypatch, 1, "".join(f"  {row}\n" for row in rows))
    assert str(check_environment()) == (
        "Something is missing. \nnumpy  not installed. Run: pip install numpy"
    )


def test_a_doctor_that_cannot_start_is_heard(monkeypatch):
    doctor(monkeypatch, 1, "", "No module named latentkit\n")
    assert str(check_environment()) == "Something is missing. \nNo module named latentkit"


def test_the_real_doctor_is_asked():
    assert str(check_environment()).startswith("All is well.")


def test_the_drawing_without_its_tags_is_a_sentence():
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", loop_drawing().svg)).strip()
    assert words.startswith(
        "text → prelude (once) → repeated block (again and again) → coda (at any time) → next"
    )

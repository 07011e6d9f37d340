"""Questions from the exercises that are marked in a lesson."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from latentkit.assign.checking import check_questions
from latentkit.assign.exercises import find_lesson, read_exercises
from latentkit.cli import main
from latentkit.errors import ArgumentError, FileError

LESSONS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
MARKED = [path for path in LESSONS if '"exercise:' in path.read_text()]

SETUP = "from latentkit.classroom import Exercise\n\nnumbers = [3, 5]"
SOLUTION = "<details>\n\n```python\nanswer = numbers[0] * factor\n```\n\nMultiply.\n</details>"
CHECK = """wanted = numbers[0] * factor
says = {False: "Too small.", True: "Fine."}
exercise = Exercise("q", "c", lambda answer: (answer == wanted, says[answer >= wanted]))
exercise.check(answer)"""


def lesson(tmp_path, **changed):
    cells = {
        "setup": ("code", SETUP),
        "exercise:77-times points:3": ("markdown", "### Times\n\nHow much is `numbers[0] * factor`?"),
        "parameters:77-times": ("code", "factor = 2  # one of: [2, 3, 4, 5]"),
        "answer:77-times": ("code", "answer = None  # your answer"),
        "check:77-times": ("code", CHECK),
        "hint:77-times": ("code", "exercise.hint()"),
        "solution:77-times": ("markdown", SOLUTION),
        "exercise:77-why points:2 manual": ("markdown", "### Why\n\nWhy?"),
        "answer:77-why": ("markdown", "*Write here.*"),
        "solution:77-why": ("markdown", "Says that it is so."),
    }
    cells |= {key: (cells[key][0], text) for key, text in changed.items()}
    stored = [
        {"cell_type": kind, "metadata": {"tags": tags.split()}, "source": text}
        for tags, (kind, text) in cells.items()
    ]
    path = tmp_path / "77_times.ipynb"
    path.write_text(json.dumps({"cells": stored}))
    return path


def test_an_exercise_becomes_a_question_with_names_of_its_own(tmp_path):
    times, why = read_exercises(lesson(tmp_path))
    assert (times.id, times.title, times.points, times.lesson) == ("77-times", "Times", 3, "77")
    assert times.parameters == {"factor_77_times": [2, 3, 4, 5]}
    assert times.answer == "answer_77_times"
    assert times.solution == "answer_77_times = numbers[0] * factor_77_times"
    assert times.text == "How much is `numbers[0] * factor_77_times`?"
    assert "lambda answer_77_times: (answer_77_times == wanted" in times.prepare
    assert (why.manual, why.points, why.rubric) == (True, 2, "Says that it is so.")


def test_its_check_grades_it(tmp_path):
    assert check_questions(read_exercises(lesson(tmp_path))) == []


def test_a_wrong_answer_gets_the_message_of_the_exercise(tmp_path):
    from latentkit.assign.marking import reference

    times = read_exercises(lesson(tmp_path))[0]
    known = reference(times, secret=b"k", student="ada")
    verdict = known.verdict(times.parts[0], {"answer_77_times": 1})
    assert (verdict.points, verdict.message) == (0, "Too small.")


def test_a_lesson_whose_solution_does_not_pass_its_own_check_is_found(tmp_path):
    wrong = SOLUTION.replace("* factor", "+ factor")
    problems = check_questions(read_exercises(lesson(tmp_path, **{"solution:77-times": wrong})))
    assert "the solution does not pass answer" in str(problems[0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"solution:77-times": "No code."}, "the solution has no Python block"),
        ({"check:77-times": "exercise = 1"}, "the check must end with exercise.check(answer)"),
        ({"parameters:77-times": "factor = some()"}, "cannot read the parameter 'factor = some()'"),
    ],
)
def test_an_incomplete_exercise_is_refused(tmp_path, changed, message):
    with pytest.raises(FileError, match=re.escape(message)):
        read_exercises(lesson(tmp_path, **changed))


def test_code_between_an_exercise_and_its_answer_is_given_with_it(tmp_path):
    path = lesson(tmp_path)
    content = json.loads(path.read_text())
    answer = next(
        place for place, each in enumerate(content["cells"]) if "answer:77-times" in each["metadata"]["tags"]
    )
    shown = {"cell_type": "code", "metadata": {}, "source": "print('A, B or C?', factor)", "outputs": []}
    content["cells"].insert(answer, shown)
    content["cells"].append(shown)
    path.write_text(json.dumps(content))
    assert read_exercises(path)[0].given == "print('A, B or C?', factor_77_times)"


@pytest.mark.parametrize("path", MARKED)
def test_the_claims_of_a_lesson_are_shown_before_they_are_judged(path):
    for question in read_exercises(path):
        if question.id.endswith("-claims"):
            assert re.search(r"classroom\.\w+\(", question.given), question.id


def test_names_in_comments_of_a_stub_are_those_of_the_assignment(tmp_path):
    changed = {"answer:77-times": "answer = None  # from `factor`, not from another factor"}
    question = read_exercises(lesson(tmp_path, **changed))[0]
    assert question.stub.endswith("# from `factor_77_times`, not from another factor")


def test_a_class_larger_than_the_variants_of_an_exercise_gets_notebooks_all_the_same(tmp_path, capsys):
    roster = tmp_path / "students.csv"
    roster.write_text("id\n" + "".join(f"s{number}\n" for number in range(9)))
    arguments = [
        str(lesson(tmp_path)),
        "--roster",
        str(roster),
        "--out",
        str(tmp_path / "course"),
        "--no-answers",
    ]
    assert main(["assign", "make", *arguments, "--exercises"]) == 0
    said = capsys.readouterr().out
    assert "9 notebooks in" in said
    assert "several students have the same one" in said


def test_an_unknown_lesson_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="No lesson '98' in"):
        find_lesson("98")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", MARKED or [pytest.param(None, marks=pytest.mark.skip("no exercise is marked"))]
)
def test_exercises_of_the_lessons_can_be_handed_out(path):
    problems = check_questions(read_exercises(path), students=("a",))
    assert [str(problem) for problem in problems] == []

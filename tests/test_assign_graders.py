"""Assignments through the real nbgrader and the real otter: same marks, gradebook as expected."""

from __future__ import annotations

import pytest
from assign_for_tests import NAME, RIGHT, WRONG, filled, hand_in, handed_out, make_course, mangled

from latentkit.assign.graders.grading import grade_course
from latentkit.assign.repair.repairing import repair_course

pytest.importorskip("nbgrader")
pytest.importorskip("otter")
pytestmark = pytest.mark.slow

MANGLED = 40  # seeds; their notebooks have the answers of ada


def points(rows):
    return {(row["student"], row["question"], row["part"]): row["points"] for row in rows}


def messages(rows):
    return {(row["student"], row["question"], row["part"]): (row["mistake"], row["message"]) for row in rows}


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """A course in which one student is right, one wrong, one empty, one mangled, and one hands in nothing."""
    folder = tmp_path_factory.mktemp("assign") / "course"
    students = ("ada", "bob", "cy", "dan", "eve")
    course, made = make_course(folder, students=students, graders=("nbgrader", "otter"))
    hand_in(course, "ada", filled(handed_out(course, "ada"), RIGHT))
    hand_in(course, "bob", filled(handed_out(course, "bob"), WRONG))
    hand_in(course, "cy", handed_out(course, "cy"))
    hand_in(course, "dan", mangled(filled(handed_out(course, "dan"), RIGHT), MANGLED)[0])
    repair_course(course, NAME)
    return course, made


@pytest.fixture(scope="module")
def graded(collected):
    course, _ = collected
    return {grader: grade_course(course, NAME, grader=grader) for grader in ("kit", "otter", "nbgrader")}


def test_kit_nbgrader_and_otter_give_the_same_marks_and_messages(graded):
    kit = graded["kit"]
    assert points(graded["nbgrader"]) == points(kit)
    assert points(graded["otter"]) == points(kit)
    assert messages(graded["nbgrader"]) == messages(kit)
    sums = {student: 0.0 for student, _, _ in points(kit)}
    for (student, _, _), each in points(kit).items():
        sums[student] += each
    assert sums == {"ada": 7, "bob": 3, "cy": 0, "dan": 7, "eve": 0}


def test_nbgraders_own_gradebook_has_the_marks_and_waits_for_the_written_answers(graded, collected):
    from nbgrader.api import Gradebook

    course, _ = collected
    with Gradebook(f"sqlite:///{course.path('gradebook.db')}") as book:
        found = {each.student.id: each for each in book.assignment_submissions(NAME)}
        assert {name: each.score for name, each in found.items()} == {"ada": 7, "bob": 3, "cy": 0, "dan": 7}
        assert {each.max_score for each in found.values()} == {9}
        waiting = {name for name, each in found.items() if each.needs_manual_grade}
        assert waiting >= {"ada", "bob", "dan"}  # cy wrote nothing


def test_nbgraders_feedback_names_the_mistake(graded, collected):
    from latentkit.assign.graders.grading import run_tool

    course, _ = collected
    run_tool("nbgrader", ["generate_feedback", NAME, "--student", "bob"], cwd=course.folder)
    page = course.path("feedback", "bob", NAME, f"{NAME}.html").read_text()
    assert "Multiplies." in page

"""Make an assignment: one notebook per student, sources for the graders, rubric and answer sheets."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentkit.assign.cells import Cell, assignment_cells, notebook_of, plain
from latentkit.assign.course import SAMPLE, Assignment, Course, as_json
from latentkit.assign.draws import draw_parameters
from latentkit.assign.graders.for_nbgrader import CONFIG, handout_cell, source_cell
from latentkit.assign.graders.for_otter import autograder_zip
from latentkit.assign.question import Question
from latentkit.assign.roster import Student, read_roster, read_secret
from latentkit.errors import ArgumentError, nearest
from latentkit.files import write_file

__all__ = ["GRADERS", "make_assignment", "parameters_of", "student_cells"]

GRADERS = ("nbgrader", "otter")


def make_assignment(
    questions: Sequence[Question],
    *,
    roster: Path | str,
    out: Path | str,
    name: str = "assignment",
    title: str = "",
    graders: Sequence[str] = (),
    answers: bool = True,
    alike: bool = False,
) -> Assignment:
    """Write the notebooks of an assignment into the folder of a course.

    Parameters
    ----------
    questions : sequence of Question
        From `read_questions`.
    roster : path
        The students, as for `read_roster`.
    out : path
        Folder of the course; made if it does not exist. The first assignment writes ``secret.key`` into it.
    name : str, optional
        Name of the notebook and of its folders.
    title : str, optional
        Heading of the notebook.
    graders : sequence of str, optional
        "nbgrader", "otter" or both.
    answers : bool, optional
        Compute the answer sheets; this runs nano for every student.
    alike : bool, optional
        Allow students with the same parameters, as for exercises of a lesson, which have few variants.

    Returns
    -------
    Assignment

    Raises
    ------
    ArgumentError
        If there are no questions, two define the same name, or two students would have all parameters equal
        and ``alike`` is not set.
    FileError
        If the roster cannot be read.
    """
    for grader in graders:
        if grader not in GRADERS:
            raise ArgumentError(f"No grader named {grader!r}. {nearest(grader, GRADERS)}")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ArgumentError(f"The name {name!r} has other characters than letters, digits, - and _.")
    _need_distinct(questions)
    students = read_roster(roster)
    made = Assignment(name, title or f"Assignment {name}", tuple(graders), tuple(questions), tuple(students))
    course = Course(out)
    secret = read_secret(course.folder / "secret.key", create=True)
    drawn = {student.id: parameters_of(made, secret, student.id) for student in students}
    if not alike:
        _need_variants(drawn)
    course.save(made)
    for student in students:
        _write_handout(course, made, student, drawn[student.id])
    _write_sources(course, made, parameters_of(made, secret, SAMPLE))
    _write_teachers(course, made, drawn, answers=answers)
    return made


def parameters_of(assignment: Assignment, secret: bytes, student: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of all questions for one student."""
    return {each.id: draw_parameters(each, secret=secret, student=student) for each in assignment.questions}


def student_cells(assignment: Assignment, secret: bytes, student: str) -> list[Cell]:
    """Return the cells of the notebook that a student got."""
    names = {each.id: each.name for each in assignment.students}
    parameters = parameters_of(assignment, secret, student)
    return assignment_cells(assignment, parameters, student=names.get(student) or student)


def _need_distinct(questions: Sequence[Question]) -> None:
    if not questions:
        raise ArgumentError("An assignment needs at least one question.")
    for what, names in (
        ("id", [each.id for each in questions]),
        ("answer", [each.answer for each in questions if each.answer]),
    ):
        if twice := [name for name in names if names.count(name) > 1]:
            raise ArgumentError(f"Two questions have the {what} {twice[0]!r}. Rename one of them.")


def _need_variants(drawn: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise if two students would get the same notebook."""
    seen: dict[str, str] = {}
    for student, parameters in drawn.items():
        key = as_json(parameters)
        if key in seen and any(parameters.values()):
            raise ArgumentError(
                f"{seen[key]} and {student} would have all parameters equal. Give the questions more choices."
            )
        seen[key] = student


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        new = content.encode() if isinstance(content, str) else content
        if path.read_bytes() == new:
            return
    write_file(path, content)


def _write_handout(course: Course, made: Assignment, student: Student, drawn: Mapping[str, Any]) -> None:
    cells = assignment_cells(made, drawn, student=student.name or student.id)
    stored = [handout_cell(cell) if "nbgrader" in made.graders else plain(cell) for cell in cells]
    notebook = notebook_of(stored, name=made.name, student=student.id)
    path = course.path("handout", made.name, student.id, f"{made.name}.ipynb")
    _write(path, as_json(notebook))


def _write_sources(course: Course, made: Assignment, sample: Mapping[str, Any]) -> None:
    if "nbgrader" in made.graders:
        cells = [source_cell(cell) for cell in assignment_cells(made, sample)]
        notebook = notebook_of(cells, name=made.name, student=SAMPLE)
        _write(course.path("source", made.name, f"{made.name}.ipynb"), as_json(notebook))
        _write(course.path("nbgrader_config.py"), CONFIG.format(course=course.folder.resolve().name))
    if "otter" in made.graders:
        _write(course.path("otter", made.name, "autograder.zip"), autograder_zip(made))


def _write_teachers(
    course: Course, made: Assignment, drawn: Mapping[str, Mapping[str, Any]], *, answers: bool
) -> None:
    from latentkit.assign.sheets import answer_sheet, right_values, rubric

    folder = course.path("teacher", made.name)
    _write(folder / "rubric.md", rubric(made))
    if not answers:
        shutil.rmtree(folder / "answers", ignore_errors=True)
        return
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["student", "question", "part", "parameters", "answer"])
    for student in made.students:
        values = right_values(made, drawn[student.id])
        _write(
            folder / "answers" / f"{student.id}.md", answer_sheet(made, student, drawn[student.id], values)
        )
        for question, part, value in values:
            parameters = json.dumps(drawn[student.id][question], ensure_ascii=False)
            writer.writerow([student.id, question, part, parameters, value])
    _write(folder / "answers.csv", table.getvalue())

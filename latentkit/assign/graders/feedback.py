"""What a student gets back, and all written answers on one page for the person who grades them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from latentkit.assign.cells import answer_mark
from latentkit.assign.course import Assignment, Course
from latentkit.assign.question import Question
from latentkit.assign.roster import Student
from latentkit.files import write_file

__all__ = ["feedback_of", "write_feedback", "written_answer"]


def write_feedback(course: Course, assignment: Assignment, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``feedback/STUDENT.md`` for each student, and ``written.md`` for the teacher.

    Parameters
    ----------
    course : Course
        The course.
    assignment : Assignment
        The assignment.
    rows : iterable of mapping
        Marks, as from `grade_course`.
    """
    folder = course.path("results", assignment.name)
    shutil.rmtree(folder / "feedback", ignore_errors=True)
    (folder / "feedback").mkdir(parents=True)
    marks = list(rows)
    for student in assignment.students:
        own = [row for row in marks if row["student"] == student.id]
        write_file(folder / "feedback" / f"{student.id}.md", feedback_of(assignment, student, own))
    manual = [question for question in assignment.questions if question.manual]
    if manual:
        write_file(folder / "written.md", _written(course, assignment, manual))


def feedback_of(assignment: Assignment, student: Student, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the marks and messages of one student as Markdown; right answers are not part of it."""
    earned, of = (sum(float(row[key]) for row in rows) for key in ("points", "of"))
    lines = [f"# {assignment.title}: {student.name or student.id}", "", f"{earned:g} of {of:g} points."]
    for question in assignment.questions:
        lines += ["", f"## {question.title} ({question.points:g} points)", ""]
        if question.manual:
            lines.append("Graded by hand; not part of the sum above.")
        lines += [
            f"* {row['part']}: {float(row['points']):g} of {float(row['of']):g}. {row['message']}"
            for row in rows
            if row["question"] == question.id
        ]
    return "\n".join(lines) + "\n"


def _written(course: Course, assignment: Assignment, questions: Sequence[Question]) -> str:
    lines = [f"# {assignment.title}: written answers"]
    notebooks = {student: _cells(course, assignment, student) for student in assignment.students}
    for question in questions:
        lines += ["", f"## {question.id}: {question.title} ({question.points:g} points)", "", question.rubric]
        for student, cells in notebooks.items():
            answer = written_answer(cells, question) or "(nothing)"
            quoted = [f"> {line}".rstrip() for line in answer.splitlines()]
            lines += ["", f"### {student.name or student.id} ({student.id})", "", *quoted]
    return "\n".join(lines) + "\n"


def _cells(course: Course, assignment: Assignment, student: Student) -> list[dict[str, Any]]:
    path = course.path("submitted", student.id, assignment.name, f"{assignment.name}.ipynb")
    if not path.is_file():
        return []
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def written_answer(cells: Iterable[Mapping[str, Any]], question: Question) -> str:
    """Return the answer to a written question, with text that the student put beside it."""
    texts: list[str] = []
    here = False
    for cell in cells:
        name = cell["metadata"].get("latentkit")
        if name is not None:
            here = name in {f"{question.id}-text", f"{question.id}-answer"}
        if here and name != f"{question.id}-text" and cell["cell_type"] == "markdown":
            lines = "".join(cell["source"]).splitlines()
            text = "\n".join(line for line in lines if line.strip() != answer_mark(question)).strip()
            texts.append("" if text == question.stub else text)
    return "\n\n".join(filter(None, texts))

"""Cells of an assignment, before they become a notebook of one of the graders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from latentkit.assign.course import Assignment
from latentkit.assign.question import Part, Question

__all__ = ["Cell", "answer_mark", "assignment_cells", "notebook_of", "plain"]

Role = Literal["title", "setup", "text", "parameters", "given", "answer", "test"]

_START = "import latentkit as lk\nfrom latentkit import assign\n\nassign.begin()"
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Cell:
    """One cell: its id, its role, its text, and the question and part that it belongs to."""

    id: str
    role: Role
    source: str
    question: Question | None = None
    part: Part | None = None

    @property
    def kind(self) -> Literal["code", "markdown"]:
        """Type of the cell in a notebook."""
        written = self.role == "answer" and self.question is not None and self.question.manual
        return "markdown" if self.role in {"title", "text"} or written else "code"


def assignment_cells(
    assignment: Assignment, parameters: Mapping[str, Mapping[str, Any]], *, student: str = ""
) -> list[Cell]:
    """Return the cells of the notebook for a student.

    Parameters
    ----------
    assignment : Assignment
        The assignment.
    parameters : mapping
        For each question the student's parameters.
    student : str, optional
        Name to print below the heading.

    Returns
    -------
    list of Cell
        The answer cells hold the stubs, the test cells check the form only.
    """
    total = sum(question.points for question in assignment.questions)
    cells = [
        Cell("title", "title", _title(assignment, total, student)),
        Cell("setup", "setup", _START),
    ]
    lesson = setup = ""
    for number, question in enumerate(assignment.questions, start=1):
        if question.lesson != lesson:
            lesson = question.lesson
            cells.append(Cell(f"lesson-{lesson}", "text", f"## Lesson {lesson}"))
        if question.setup and question.setup != setup:
            setup = question.setup
            cells.append(Cell(f"setup-{question.lesson}-{question.id}", "setup", setup))
        cells += _question_cells(question, number, parameters[question.id])
    return cells


def _title(assignment: Assignment, total: float, student: str) -> str:
    for_whom = f"For {student}. " if student else ""
    own = all(question.manual or _has_variants(question) for question in assignment.questions)
    whose = (
        "The numbers and texts in this notebook are your own, so answers of others do not fit."
        if own
        else "Some questions have parameters of your own, so answers of others may not fit."
    )
    return (
        f"# {assignment.title}\n\n"
        f"{for_whom}{len(assignment.questions)} questions, {total:g} points. {whose}\n\n"
        "* Write your answers into the cells that start with “Your answer”. You may add cells.\n"
        "* The cell after each answer checks its form only.\n"
        "* Before you hand in, choose *Kernel → Restart Kernel and Run All Cells…*, then save."
    )


def _has_variants(question: Question) -> bool:
    """Whether a question has many variants; an exercise of a lesson, which its own check judges, has few."""
    return bool(question.parameters) and not any(part.judged for part in question.parts)


def _question_cells(question: Question, number: int, parameters: Mapping[str, Any]) -> Iterator[Cell]:
    heading = f"### Question {number}: {question.title} ({question.points:g} points)"
    text = question.text
    for name, value in parameters.items():
        text = text.replace("{" + name + "}", str(value))
    yield Cell(f"{question.id}-text", "text", f"{heading}\n\n{text}", question)
    if parameters:
        lines = [f"{name} = {value!r}" for name, value in parameters.items()]
        source = "\n".join(["# Your parameters. Please leave this cell as it is.", *lines])
        yield Cell(f"{question.id}-parameters", "parameters", source, question)
    if question.given:
        yield Cell(f"{question.id}-given", "given", question.given, question)
    yield Cell(f"{question.id}-answer", "answer", _stub(question), question)
    for part in question.parts:
        check = f'assign.check_form({question.answer}, "{question.form}")  # {question.id}: {part.name}'
        yield Cell(f"{question.id}-test-{part.name.replace(' ', '-')}", "test", check, question, part)


def _stub(question: Question) -> str:
    return (
        f"{answer_mark(question)}\n\n{question.stub}"
        if question.manual
        else f"{answer_mark(question)}\n{question.stub}"
    )


def answer_mark(question: Question) -> str:
    """Return the first line of an answer cell, by which repair finds it."""
    mark = f"Your answer to “{question.title}”"
    return f"**{mark}:**" if question.manual else f"# {mark}"


def plain(cell: Cell) -> dict[str, Any]:
    """Return the cell as a notebook stores it."""
    stored: dict[str, Any] = {
        "cell_type": cell.kind,
        "id": cell.id[:64],
        "metadata": {"latentkit": cell.id},
        "source": cell.source.splitlines(keepends=True),
    }
    if cell.role != "answer":
        stored["metadata"] |= {"deletable": False, "editable": False}
    if cell.kind == "code":
        stored |= {"execution_count": None, "outputs": []}
    return stored


def notebook_of(cells: list[dict[str, Any]], *, name: str, student: str) -> dict[str, Any]:
    """Return a notebook of stored cells."""
    metadata = {
        "kernelspec": _KERNEL,
        "language_info": {"name": "python"},
        "latentkit": {"assignment": name, "student": student},  # for people; no grader reads it
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}

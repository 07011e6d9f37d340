"""What only the teacher gets: the rubric, and each student's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentkit.assign.course import Assignment
from latentkit.assign.marking import Reference
from latentkit.assign.roster import Student

__all__ = ["answer_sheet", "right_values", "rubric"]


def right_values(made: Assignment, drawn: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Compute the right value of every part: (question, part, value)."""
    rows = []
    for question in made.questions:
        if question.manual:
            continue
        known = Reference(question, drawn[question.id])
        for part in question.parts:
            value = known.right[part.name]
            shown = value.tolist() if hasattr(value, "tolist") else value
            rows.append((question.id, part.name, f"{shown:.6g}" if isinstance(shown, float) else str(shown)))
    return rows


def answer_sheet(
    made: Assignment,
    student: Student,
    drawn: Mapping[str, Mapping[str, Any]],
    values: list[tuple[str, str, str]],
) -> str:
    """Return a student's parameters and right answers as Markdown."""
    lines = [f"# {made.title}: answers of {student.name or student.id} ({student.id})", ""]
    for question in made.questions:
        lines += [f"## {question.id}: {question.title} ({question.points:g} points)", ""]
        lines += [f"* `{name} = {value!r}`" for name, value in drawn[question.id].items()]
        lines += [f"* {part}: **{value}**" for name, part, value in values if name == question.id]
        lines += (
            ["", "```python", question.solution, "```", ""]
            if not question.manual
            else ["", question.rubric, ""]
        )
    return "\n".join(lines)


def rubric(made: Assignment) -> str:
    """Return the points of all parts, the marks of common mistakes, and the criteria of manual questions."""
    lines = [f"# {made.title}: rubric", ""]
    lines += [f"{sum(question.points for question in made.questions):g} points.", ""]
    for question in made.questions:
        lines += [f"## {question.id}: {question.title} ({question.points:g} points)", ""]
        if question.manual:
            lines += ["Graded by hand.", "", question.rubric, ""]
            continue
        lines += [f"* {part.name}: {part.points:g}" for part in question.parts]
        marks = {part.name: part.points for part in question.parts}
        if question.mistakes:
            lines += ["", "| common mistake | what it shows | points |", "|---|---|---|"]
        for mistake in question.mistakes:
            earned = sum(marks[name] for name in mistake.passes)
            lines.append(f"| {mistake.name} | {mistake.shows} | {earned:g} |")
        lines.append("")
    return "\n".join(lines)

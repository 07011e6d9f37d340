"""Notebooks for nbgrader: the cell metadata of its schema 3, source notebooks, a configuration."""

from __future__ import annotations

import hashlib
from typing import Any

from latentkit.assign.cells import Cell, plain

__all__ = ["CONFIG", "handout_cell", "source_cell"]

CONFIG = """# Written by `latentkit assign make --for nbgrader`.
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {course!r}
c.Execute.timeout = 120
c.ClearSolutions.code_stub = {{"python": "# Your answer"}}
"""


def handout_cell(cell: Cell) -> dict[str, Any]:
    """Return a cell of a student's notebook."""
    stored = plain(cell)
    details = _metadata(cell)
    if details is not None:
        stored["metadata"]["nbgrader"] = details | {"checksum": _checksum(stored, details)}
    return stored


def source_cell(cell: Cell) -> dict[str, Any]:
    """Return a cell of the teacher's notebook, with the solution and the hidden tests."""
    stored = plain(cell)
    details = _metadata(cell)
    if details is not None:
        stored["metadata"]["nbgrader"] = details
    if cell.role == "answer" and cell.question is not None:
        worked = cell.question.rubric if cell.question.manual else cell.question.solution
        text = f"{cell.source}\n### BEGIN SOLUTION\n{worked}\n### END SOLUTION"
        stored["source"] = text.splitlines(keepends=True)
    if cell.role == "test":
        stored["source"] = graded_source(cell).splitlines(keepends=True)
    return stored


def graded_source(cell: Cell) -> str:
    """Return the text of a test cell with its hidden test."""
    assert cell.question is not None
    assert cell.part is not None
    call = f'assign.grade("{cell.question.id}", "{cell.part.name}", globals())'
    return f"{cell.source}\n### BEGIN HIDDEN TESTS\n{call}\n### END HIDDEN TESTS"


def _metadata(cell: Cell) -> dict[str, Any] | None:
    """Return nbgrader's entry of a cell, if it has one.

    Cells with a student's parameters have none: nbgrader replaces locked cells by those of the source, which
    belong to nobody. `latentkit assign repair` restores them.
    """
    if cell.role not in {"answer", "test", "setup", "given"}:
        return None
    manual = cell.role == "answer" and cell.question is not None and cell.question.manual
    details: dict[str, Any] = {
        "cell_type": cell.kind,
        "grade": cell.role == "test" or manual,
        "grade_id": cell.id,
        "locked": cell.role != "answer",
        "schema_version": 3,
        "solution": cell.role == "answer",
        "task": False,
    }
    if cell.part is not None:
        details["points"] = cell.part.points
    elif manual and cell.question is not None:
        details["points"] = cell.question.manual_points
    return details


def _checksum(stored: dict[str, Any], details: dict[str, Any]) -> str:
    """Checksum of a cell as in nbgrader/utils.py (0.9), by which it recognises untouched answers."""
    locked = not details["solution"] and (details["grade"] or details["locked"])
    words = ["".join(stored["source"]), stored["cell_type"], str(details["grade"]), str(details["solution"])]
    words += [str(locked), details["grade_id"]]
    if details["grade"]:
        words.append(str(float(details["points"])))
    return hashlib.md5("".join(words).encode(), usedforsecurity=False).hexdigest()

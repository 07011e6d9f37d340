"""Make what came back gradeable, and write down what was done."""

from __future__ import annotations

import csv
import io
import re
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentkit.assign.cells import Cell, notebook_of, plain
from latentkit.assign.course import Assignment, Course, as_json
from latentkit.assign.graders.for_nbgrader import handout_cell
from latentkit.assign.making import student_cells
from latentkit.assign.names import defined_names
from latentkit.assign.repair.pieces import Piece, joined, student_pieces
from latentkit.assign.repair.placing import place
from latentkit.assign.repair.returned import Returned, read_returned, said_student
from latentkit.errors import FileError
from latentkit.files import write_file

__all__ = ["Repaired", "repair_course", "repair_notebook"]


@dataclass(frozen=True)
class Repaired:
    """What was done to one file.

    Parameters
    ----------
    student : str
        Id, or "" if it is not known.
    file : str
        Name of the file.
    status : str
        "unchanged", "repaired", "look" (a person must look at something) or "not repairable".
    notes : tuple of str
        What was done, and what a person must look at.
    """

    student: str
    file: str
    status: str
    notes: tuple[str, ...]


def repair_notebook(
    path: Path, *, assignment: Assignment, secret: bytes, student: str
) -> tuple[dict[str, Any], Repaired]:
    """Return the repaired notebook of one student.

    Parameters
    ----------
    path : Path
        The file that came back.
    assignment : Assignment
        The assignment.
    secret : bytes
        Secret of the course.
    student : str
        Whose file it is. What the notebook says about that does not count.

    Returns
    -------
    tuple
        The notebook, and what was done.

    Raises
    ------
    FileError
        If the file is no notebook of this assignment.
    """
    returned, metadata = read_returned(path)
    expected = student_cells(assignment, secret, student)
    _need_known(returned, expected, path)
    pieces, notes = student_pieces(returned, expected)
    names = {cell.question.answer for cell in expected if cell.question} - {""}
    pieces, more, uncertain = joined(pieces, names)
    placed = place(pieces, expected)
    notes += more + placed.notes
    unclear = placed.unclear + uncertain
    said = said_student(metadata)
    if said is not None and said != student:
        unclear.append(
            f"the notebook says that it is {said}'s; it is graded with the parameters of {student}"
        )
    changed = _order(returned) != _order_of(placed.cells)
    if changed and not notes:
        notes.append("cells were missing, copied, retyped or in another order")
    status = "look" if unclear else "repaired" if changed or notes else "unchanged"
    stored = [_stored(cell, number, assignment) for number, cell in enumerate(placed.cells)]
    notebook = notebook_of(stored, name=assignment.name, student=student)
    return notebook, Repaired(student, path.name, status, (*unclear, *notes))


def _need_known(returned: Sequence[Returned], expected: Sequence[Cell], path: Path) -> None:
    """Raise unless some cell belongs to the assignment."""
    ids = {cell.id for cell in expected}
    names = {cell.question.answer for cell in expected if cell.question} - {""}
    if not any(cell.ids & ids or defined_names(cell.text) & names for cell in returned):
        raise FileError(f"{path.name} has no cell of this assignment. Was another notebook handed in?")


def _order(returned: Sequence[Returned]) -> list[str]:
    return [cell.text.strip() for cell in returned]


def _order_of(cells: Sequence[Cell | Piece]) -> list[str]:
    return [(cell.source if isinstance(cell, Cell) else cell.text).strip() for cell in cells]


def _stored(cell: Cell | Piece, number: int, assignment: Assignment) -> dict[str, Any]:
    if isinstance(cell, Cell):
        return handout_cell(cell) if "nbgrader" in assignment.graders else plain(cell)
    stored: dict[str, Any] = {
        "cell_type": "code" if cell.code else "markdown",
        "id": f"added-{number}",
        "metadata": {},
        "source": cell.text.splitlines(keepends=True),
    }
    return stored | ({"execution_count": None, "outputs": []} if cell.code else {})


def repair_course(course: Course, name: str, *, source: Path | None = None) -> list[Repaired]:
    """Repair all notebooks that came back.

    Parameters
    ----------
    course : Course
        The course.
    name : str
        Name of the assignment.
    source : Path, optional
        Folder with what came back, by default ``collected/NAME`` of the course. From ``submitted/``, where
        nbgrader collects, the originals are copied to ``collected/NAME`` first. A file belongs to the student
        whose id is the name of its folder or part of its own name.

    Returns
    -------
    list of Repaired
        One entry per file. The notebooks are written to ``submitted/``, the list to
        ``teacher/NAME/repairs.csv``.

    Raises
    ------
    FileError
        If the folder is empty.
    """
    assignment, secret = course.assignment(name), course.secret
    folder = source or course.path("collected", name)
    if folder.resolve() == course.path("submitted").resolve():
        folder = _from_nbgrader(course, name)
    files = sorted(path for path in folder.rglob("*") if path.suffix == ".ipynb" and _wanted(path, folder))
    if not files:
        raise FileError(
            f"No .ipynb file in {folder}. Put what came back there, one folder or file per student."
        )
    owners = {path: _owner(path, folder, assignment) for path in files}
    done = []
    for path, student in owners.items():
        try:
            _need_one_file(path, owners)
            notebook, entry = repair_notebook(path, assignment=assignment, secret=secret, student=student)
        except FileError as error:
            done.append(Repaired(student, path.name, "not repairable", (str(error),)))
            continue
        target = course.path("submitted", student, name, f"{name}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, as_json(notebook))
        done.append(entry)
    _write_list(course, name, done)
    return done


def _from_nbgrader(course: Course, name: str) -> Path:
    """Copy what nbgrader collected, because the repaired notebooks take its place."""
    folder = course.path("collected", name)
    for path in course.path("submitted").glob(f"*/{name}/*.ipynb"):
        target = folder / path.parts[-3] / path.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return folder


def _need_one_file(path: Path, owners: Mapping[Path, str]) -> None:
    """Raise unless the file belongs to one student, who has no other file."""
    student = owners[path]
    if not student:
        raise FileError(f"{path.name}: no id of the roster in the name of the file or its folder")
    others = [other.name for other, owner in owners.items() if owner == student and other != path]
    if others:
        raise FileError(f"{student} has several files, this one and {', '.join(others)}. Keep one.")


def _wanted(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts)


def _owner(path: Path, folder: Path, assignment: Assignment) -> str:
    """Return the student in the name of the folder or file; "" if there is none or more than one."""
    ids = {student.id for student in assignment.students}
    found = [*path.relative_to(folder).parts[:-1], path.stem]
    parts = [unicodedata.normalize("NFC", part) for part in found]  # macOS writes é as two characters
    exact = {part for part in parts if part in ids}
    if exact:
        return exact.pop() if len(exact) == 1 else ""
    inside = {
        each
        for each in ids
        for part in parts
        if re.search(rf"(?<![\w.@-]){re.escape(each)}(?![\w.@-])", part)
    }
    inside |= {each for each in ids for part in parts if each in re.split(r"[_\s()]+", part)}
    return inside.pop() if len(inside) == 1 else ""


def _write_list(course: Course, name: str, done: Sequence[Repaired]) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["student", "file", "status", "notes"])
    for entry in done:
        writer.writerow([entry.student, entry.file, entry.status, "; ".join(entry.notes)])
    write_file(course.path("teacher", name, "repairs.csv"), table.getvalue())

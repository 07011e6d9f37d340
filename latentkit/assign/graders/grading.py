"""Grade all repaired notebooks: with the kit alone, with nbgrader or with otter."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from latentkit.assign.course import Assignment, Course, grading_environment
from latentkit.assign.graders.feedback import write_feedback
from latentkit.assign.graders.for_otter import otter_name
from latentkit.errors import ArgumentError, FileError, LatentkitError, nearest
from latentkit.files import write_file

__all__ = ["COLUMNS", "GRADE_WITH", "grade_course", "read_marks", "run_tool", "write_gradebook"]

COLUMNS = ("student", "question", "part", "points", "of", "message", "mistake", "answer")
_TAG = re.compile(r" \[([^\[\]]+)\]$")

Rows = list[dict[str, Any]]


def grade_course(course: Course, name: str, *, grader: str = "kit", limit: float = 300.0) -> Rows:
    """Grade the notebooks in ``submitted/``.

    Parameters
    ----------
    course : Course
        The course.
    name : str
        Name of the assignment.
    grader : str, optional
        "kit", "nbgrader" or "otter".
    limit : float, optional
        Seconds for one notebook; nbgrader has a limit per cell in its own configuration.

    Returns
    -------
    list of dict
        One row per student and part, also written to ``results/NAME/marks.csv``; sums stand in
        ``gradebook.csv``.

    Raises
    ------
    ArgumentError
        If there is no such grader, or the assignment was not made for it.
    FileError
        If nothing was handed in.
    """
    if grader not in GRADE_WITH:
        raise ArgumentError(f"No grader named {grader!r}. {nearest(grader, GRADE_WITH)}")
    assignment = course.assignment(name)
    if grader != "kit" and grader not in assignment.graders:
        raise ArgumentError(f"{name} was not made for {grader}. Make it again with: --for {grader}")
    files = {
        student.id: course.path("submitted", student.id, name, f"{name}.ipynb")
        for student in assignment.students
    }
    there = {student: path for student, path in files.items() if path.is_file()}
    if not there:
        raise FileError(f"Nothing to grade in {course.path('submitted')}. Run first: latentkit assign repair")
    rows = GRADE_WITH[grader](course, assignment, there, limit)
    rows += [row for student in files if student not in there for row in _nothing(assignment, student)]
    folder = course.path("results", name)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "marks.csv", _table(COLUMNS, rows))
    write_gradebook(course, assignment, rows)
    write_feedback(course, assignment, rows)
    return rows


def read_marks(course: Course, name: str) -> Rows:
    """Read the rows that `grade_course` wrote."""
    path = course.path("results", name, "marks.csv")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
    except OSError:
        raise FileError(f"No marks in {path}. Run first: latentkit assign grade") from None
    return [row | {"points": float(row["points"]), "of": float(row["of"])} for row in rows]


def write_gradebook(course: Course, assignment: Assignment, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write one line per student: points, what is left to grade by hand, and whether repair needs a look."""
    points: dict[tuple[str, str], float] = {}
    for row in rows:
        key = row["student"], row["question"]
        points[key] = points.get(key, 0.0) + float(row["points"])
    automatic = [question for question in assignment.questions if not question.manual]
    manual = sum(question.points for question in assignment.questions if question.manual)
    repairs = course.to_look_at(assignment.name)
    lines = []
    for student in assignment.students:
        own = {question.id: points.get((student.id, question.id), 0.0) for question in automatic}
        line: dict[str, Any] = {"id": student.id, "name": student.name} | {
            key: f"{value:g}" for key, value in own.items()
        }
        lines.append(
            line
            | {"points": f"{sum(own.values()):g}", "of": f"{sum(each.points for each in automatic):g}"}
            | {"by hand, of": f"{manual:g}", "repair": repairs.get(student.id, "")}
        )
    columns = [
        "id",
        "name",
        *(question.id for question in automatic),
        "points",
        "of",
        "by hand, of",
        "repair",
    ]
    return write_file(course.path("results", assignment.name, "gradebook.csv"), _table(columns, lines))


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _nothing(assignment: Assignment, student: str, message: str = "Not handed in.") -> Rows:
    return [
        dict(zip(COLUMNS, (student, question.id, part.name, 0.0, part.points, message, "", ""), strict=True))
        for question in assignment.questions
        for part in question.parts
    ]


def _with_kit(course: Course, made: Assignment, files: Mapping[str, Path], limit: float) -> Rows:
    """Grade in processes of their own; where the system can fork, they share the loaded model."""
    rows: Rows = []
    with TemporaryDirectory(prefix="latentkit-grade-") as folder:
        results = {student: Path(folder, student, "rows.json") for student in files}
        jobs = [(student, str(path.resolve()), str(results[student])) for student, path in files.items()]
        for result in results.values():
            result.parent.mkdir()
        for batch in [jobs] if hasattr(os, "fork") else [[job] for job in jobs]:
            problem = _run_kit(course, made.name, batch, limit)
            for student, _, _ in batch:
                found = results[student]
                done = json.loads(found.read_text(encoding="utf-8")) if found.is_file() else None
                rows += _nothing(made, student, problem) if done is None else done
    return rows


def _run_kit(course: Course, name: str, batch: Sequence[tuple[str, str, str]], limit: float) -> str:
    """Run the kit's grader; return what to say of a notebook without a result."""
    job = json.dumps({"course": str(course.folder.resolve()), "name": name, "files": batch, "limit": limit})
    command = [sys.executable, "-m", "latentkit.assign.graders.running", job]
    try:
        done = subprocess.run(  # noqa: S603  (our own command)
            command, timeout=limit * len(batch) + 60, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return f"The notebook ran for more than {limit:g} s."
    said = done.stderr.strip().splitlines()[-1:] or [f"more than {limit:g} s, or the process died"]
    return f"Grading ended early: {said[0]}"


def run_tool(module: str, arguments: Sequence[str], **options: Any) -> None:
    """Run nbgrader or otter; raise if it fails."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise LatentkitError(
            f"{module} is not installed. Install it with: pip install 'latentkit[classroom]'"
        )
    command = [sys.executable, "-m", module, *arguments]
    environment = dict(options.pop("env", os.environ))
    programs = str(Path(sys.executable).parent)  # nbgrader calls alembic, which may not be on the path
    environment["PATH"] = os.pathsep.join([programs, environment.get("PATH", "")])
    options["env"] = environment
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # noqa: S603  (our own command)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise LatentkitError(f"{module} {arguments[0]} failed:\n{last}")


def _with_nbgrader(course: Course, made: Assignment, files: Mapping[str, Path], _limit: float) -> Rows:
    """Run nbgrader's own steps; the limit per cell stands in its configuration."""
    run_tool("nbgrader", ["generate_assignment", made.name, "--force"], cwd=course.folder)
    run_tool("nbgrader", ["autograde", made.name, "--force"], cwd=course.folder)
    rows: Rows = []
    for student in files:
        graded = course.path("autograded", student, made.name, f"{made.name}.ipynb")
        if not graded.is_file():
            rows += _nothing(made, student, "nbgrader could not grade this notebook.")
            continue
        cells = json.loads(graded.read_text(encoding="utf-8"))["cells"]
        errors = {cell["metadata"].get("nbgrader", {}).get("grade_id"): _error(cell) for cell in cells}
        for question in made.questions:
            for part in question.parts:
                key = f"{question.id}-test-{part.name.replace(' ', '-')}"
                message = errors.get(key, "The test is missing.")
                rows.append(_graded(student, question.id, part.name, part.points, message))
    return rows


def _error(cell: Mapping[str, Any]) -> str:
    """Return the message of the error that a cell ended with, or ""."""
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            return str(output["evalue"]) or str(output["ename"])
    return ""


def _graded(student: str, question: str, part: str, of: float, message: str) -> dict[str, Any]:
    tag = _TAG.search(message)
    values = (
        student,
        question,
        part,
        0.0 if message else of,
        of,
        _TAG.sub("", message) or "Right.",
        tag[1] if tag else "",
        "",
    )
    return dict(zip(COLUMNS, values, strict=True))


def _with_otter(course: Course, made: Assignment, files: Mapping[str, Path], limit: float) -> Rows:
    """Run otter for each notebook; once more where no test ran, as when a kernel does not start."""
    rows: Rows = []
    for student, path in files.items():
        for attempts_left in (1, 0):
            try:
                tests = _otter_tests(course, made, student, path, limit)
            except subprocess.TimeoutExpired:
                rows += _nothing(made, student, f"The notebook ran for more than {limit:g} s.")
                break
            except (LatentkitError, OSError, ValueError, KeyError) as error:
                if not attempts_left:
                    rows += _nothing(made, student, f"otter could not grade this notebook: {error}")
            else:
                rows += _otter_rows(made, student, tests)
                break
    return rows


def _otter_tests(
    course: Course, made: Assignment, student: str, path: Path, limit: float
) -> dict[str, Mapping[str, Any]]:
    """Return otter's results by the name of the test; raise if otter ran none of the tests."""
    autograder = str(course.path("otter", made.name, "autograder.zip").resolve())
    environment = {**os.environ, **grading_environment(course, made.name, student)}
    with TemporaryDirectory(prefix="latentkit-otter-") as folder:
        arguments = [
            "run",
            "--autograder",
            autograder,
            "--output-dir",
            folder,
            "--no-logo",
            str(path.resolve()),
        ]
        run_tool("otter", arguments, cwd=folder, env=environment, timeout=limit)
        tests = json.loads(Path(folder, "results.json").read_text(encoding="utf-8"))["tests"]
    by_name = {test.get("name"): test for test in tests}
    wanted = {otter_name(question.id, part.name) for question in made.questions for part in question.parts}
    if not wanted & set(by_name):
        said = " ".join(str(test.get("output", "")) for test in tests).split()
        raise LatentkitError(f"none of its tests ran. {' '.join(said)[-300:]}".rstrip())
    return by_name


def _otter_rows(made: Assignment, student: str, tests: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Return a row per part from otter's results, which have one entry per test file."""
    rows: Rows = []
    for question in made.questions:
        for part in question.parts:
            test = tests.get(otter_name(question.id, part.name), {})
            passed = test.get("score", 0) == part.points
            message = "" if passed else _otter_message(str(test.get("output", "")))
            rows.append(_graded(student, question.id, part.name, part.points, message))
    return rows


def _otter_message(output: str) -> str:
    """Return the message of the error in otter's text."""
    errors = [line for line in output.splitlines() if "Error: " in line]
    return errors[-1].partition("Error: ")[2].strip() if errors else "The test failed."


GRADE_WITH: dict[str, Callable[[Course, Assignment, Mapping[str, Path], float], Rows]] = {
    "kit": _with_kit,
    "nbgrader": _with_nbgrader,
    "otter": _with_otter,
}

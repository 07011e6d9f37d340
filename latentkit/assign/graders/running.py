"""Run one repaired notebook and grade it, without nbgrader or otter.

``python -m latentkit.assign.graders.running JOB`` grades each notebook in a process of its own, because a
student's code may do anything. It runs with the rights of whoever grades, as in other graders.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from latentkit.assign.course import Assignment, Course, grading_environment
from latentkit.assign.marking import Reference, Verdict, begin, reference
from latentkit.assign.question import Part, Question
from latentkit.assign.quiet import Quiet
from latentkit.threads import available_cores

__all__ = ["grade_cells", "grade_file", "main", "new_names", "run_cell"]

Rows = list[dict[str, Any]]


def grade_cells(
    cells: Iterable[Mapping[str, Any]], assignment: Assignment, *, secret: bytes, student: str
) -> Rows:
    """Run the cells of a notebook and grade each part at the test cell that belongs to it.

    Returns
    -------
    list of dict
        One row per part: student, question, part, points, of, message, mistake, answer.
    """
    tests = _tests(assignment)
    references: dict[str, Reference] = {}
    names = new_names()
    rows: Rows = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        name = str(cell["metadata"].get("latentkit", ""))
        if name not in tests:
            run_cell("".join(cell["source"]), names)
            continue
        question, part = tests.pop(name)
        known = references.setdefault(question.id, reference(question, secret=secret, student=student))
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            verdict = known.verdict(part, names)
        rows.append(_row(student, question, part, verdict, names))
    lost = Verdict(0, "The test is missing. Repair the notebook first: latentkit assign repair")
    rows += [_row(student, question, part, lost, names) for question, part in tests.values()]
    return rows


def _tests(assignment: Assignment) -> dict[str, tuple[Question, Part]]:
    return {
        f"{question.id}-test-{part.name.replace(' ', '-')}": (question, part)
        for question in assignment.questions
        for part in question.parts
    }


def _row(
    student: str, question: Question, part: Part, verdict: Verdict, names: Mapping[str, Any]
) -> dict[str, Any]:
    answer = names.get(question.answer)
    shown = "" if answer is None or callable(answer) else repr(answer)[:200]
    return {
        "student": student,
        "question": question.id,
        "part": part.name,
        "points": verdict.points,
        "of": part.points,
        "message": verdict.message,
        "mistake": verdict.mistake,
        "answer": shown,
    }


class _Shell:
    """What ``get_ipython()`` returns while a notebook is graded: cell magics run their code, nothing else."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names

    def run_cell_magic(self, _name: str, _line: str, body: str) -> None:
        """Run the code of a cell that starts with a magic, such as ``%%time``."""
        run_cell(body, self.names)

    def __getattr__(self, name: str) -> Quiet:
        return Quiet()


def new_names() -> dict[str, Any]:
    """Return the names that a notebook starts with."""
    from IPython.display import display

    names: dict[str, Any] = {"__name__": "__main__", "display": display}
    shell = _Shell(names)
    names["get_ipython"] = lambda: shell
    return names


def run_cell(source: str, names: dict[str, Any]) -> None:
    """Run a cell as IPython does; an error ends the cell and not the notebook."""
    from IPython.core.inputtransformer2 import TransformerManager

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            code = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
            exec(compile(code, "<cell>", "exec"), names)  # noqa: S102  (the student's code, in its own process)
        except (Exception, SystemExit):  # noqa: BLE001  (a student's code may raise anything)
            return


def grade_file(notebook: Path, result: Path, *, course: Course, name: str, student: str) -> None:
    """Grade one notebook and write its rows as JSON; the working directory is an empty folder."""
    os.environ |= grading_environment(course, name, student)
    os.chdir(result.parent)
    begin()
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    rows = grade_cells(cells, course.assignment(name), secret=course.secret, student=student)
    result.write_text(json.dumps(rows), encoding="utf-8")


def main() -> int:
    """Grade the notebooks of the job that stands on the command line as JSON; each in a process of its own.

    Where the system can fork, torch and nano are loaded once for all of them, if a question needs them.
    """
    import matplotlib as mpl

    mpl.use("agg")
    job = json.loads(sys.argv[1])
    course = Course(job["course"])
    questions = course.assignment(job["name"]).questions
    if len(job["files"]) > 1 and any("load_model" in question.setup for question in questions):
        import latentkit as lk

        lk.load_model("nano")
    grade = [
        partial(grade_file, Path(notebook), Path(result), course=course, name=job["name"], student=student)
        for student, notebook, result in job["files"]
    ]
    if len(grade) == 1:
        grade[0]()
    else:
        _in_children(grade, job["limit"])
    return 0


def _in_children(calls: Sequence[Callable[[], None]], limit: float) -> None:
    """Make each call in a forked process, as many at once as there are cores.

    A process that runs for more than ``limit`` seconds is ended.
    """
    waiting, ends, cores = list(calls), dict[int, float](), available_cores()
    while waiting or ends:
        while waiting and len(ends) < cores:
            ends[_forked(waiting.pop(0))] = time.monotonic() + limit
        for child, end in list(ends.items()):
            late = time.monotonic() > end
            if late:
                os.kill(child, signal.SIGKILL)
            if os.waitpid(child, 0 if late else os.WNOHANG) != (0, 0):
                del ends[child]
        time.sleep(0.02)


def _forked(call: Callable[[], None]) -> int:
    """Make a call in a forked process; return its id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call()
            status = 0
        finally:
            os._exit(status)
    return child


if __name__ == "__main__":
    sys.exit(main())

"""The folder of a course: where its files stand, and whose notebook is being graded.

::

    course/
        latentkit-course.json         marks the folder
        secret.key                    keep it private, keep a copy
        handout/NAME/STUDENT/         what each student gets
        teacher/NAME/                 questions, roster, rubric, answer sheets
        source/NAME/, nbgrader_config.py      for nbgrader
        otter/NAME/autograder.zip             for otter
        collected/NAME/               what came back
        submitted/STUDENT/NAME/       what came back, repaired
        results/NAME/                 marks, messages for students, written answers, report
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latentkit.assign.question import Mistake, Part, Question
from latentkit.assign.roster import Student, read_secret
from latentkit.errors import ArgumentError, FileError, nearest

__all__ = ["MARKER", "SAMPLE", "Assignment", "Course", "as_json", "current_grading", "grading_environment"]

MARKER = "latentkit-course.json"
SAMPLE = "sample"  # the student of the source notebook, who is nobody


@dataclass(frozen=True)
class Assignment:
    """An assignment as it was handed out.

    Parameters
    ----------
    name : str
        Name of the notebook.
    title : str
        Heading of the notebook.
    graders : tuple of str
        Some of "nbgrader" and "otter".
    questions : tuple of Question
        In their order.
    students : tuple of Student
        The roster.
    """

    name: str
    title: str
    graders: tuple[str, ...]
    questions: tuple[Question, ...]
    students: tuple[Student, ...]

    def question(self, name: str) -> Question:
        """Return the question with this id."""
        for question in self.questions:
            if question.id == name:
                return question
        raise ArgumentError(
            f"{self.name} has no question {name!r}. {nearest(name, [each.id for each in self.questions])}"
        )


class Course:
    """The folder of a course.

    Parameters
    ----------
    folder : path
        The folder.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @property
    def secret(self) -> bytes:
        """The course's secret."""
        return read_secret(self.folder / "secret.key")

    def path(self, *parts: str) -> Path:
        """Return a path in the course."""
        return self.folder.joinpath(*parts)

    def names(self) -> list[str]:
        """Return the names of the assignments that were made here."""
        return sorted(path.parent.name for path in self.folder.glob("teacher/*/assignment.json"))

    def only_name(self) -> str:
        """Return the name of the only assignment, or raise."""
        names = self.names()
        if len(names) == 1:
            return names[0]
        if not names:
            raise FileError(f"{self.folder} has no assignment. Make one with: latentkit assign make")
        raise ArgumentError(f"{self.folder} has several assignments. Name one: --name {' | '.join(names)}")

    def save(self, assignment: Assignment) -> None:
        """Write the assignment down, so that it can be graded after the kit or its questions changed."""
        from latentkit.files import write_file

        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.path(MARKER), as_json({"latentkit": "course", "version": 1}))
        folder = self.path("teacher", assignment.name)
        folder.mkdir(parents=True, exist_ok=True)
        content = as_json(asdict(assignment), sort_keys=False)  # parameters in the order of the handout
        write_file(folder / "assignment.json", content)

    def assignment(self, name: str) -> Assignment:
        """Read an assignment that was made here."""
        path = self.path("teacher", name, "assignment.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = self.names()
            advice = nearest(name, known) if known else "Make one with: latentkit assign make"
            raise FileError(f"{self.folder} has no assignment {name!r}. {advice}") from None
        return Assignment(
            name=content["name"],
            title=content["title"],
            graders=tuple(content["graders"]),
            questions=tuple(_question(each) for each in content["questions"]),
            students=tuple(Student(*each) for each in content["students"]),
        )

    def to_look_at(self, name: str) -> dict[str, str]:
        """Return the students whose file a person must look at, with what repair said of it."""
        path = self.path("teacher", name, "repairs.csv")
        if not path.is_file():
            return {}
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["status"] in {"look", "not repairable"}]
        return {row["student"]: row["status"] for row in rows}

    @classmethod
    def around(cls, start: Path) -> Course | None:
        """Return the course that a folder lies in, if any."""
        return next((cls(place) for place in (start, *start.parents) if (place / MARKER).is_file()), None)


@dataclass(frozen=True)
class Grading:
    """Where a notebook is graded: the course, the assignment and the student."""

    course: Course
    name: str
    student: str


def current_grading() -> Grading | None:
    """Return where this process grades, or None on a student's computer.

    The student is the one in whose folder the submission lies, never what the notebook says.
    """
    place = Path.cwd()
    if "LATENTKIT_COURSE" in os.environ:
        course = Course(os.environ["LATENTKIT_COURSE"])
        return Grading(course, os.environ["LATENTKIT_ASSIGNMENT"], os.environ["LATENTKIT_STUDENT"])
    found = Course.around(place)
    if found is None:
        return None
    parts = place.relative_to(found.folder).parts
    if len(parts) >= 3 and parts[0] in {"autograded", "submitted"}:  # nbgrader: STEP/STUDENT/NAME
        return Grading(found, parts[2], parts[1])
    if len(parts) >= 2 and parts[0] in {"source", "release"}:
        return Grading(found, parts[-1], SAMPLE)
    return None


def grading_environment(course: Course, name: str, student: str) -> dict[str, str]:
    """Return the environment variables by which `current_grading` finds the place."""
    return {
        "LATENTKIT_COURSE": str(course.folder.resolve()),
        "LATENTKIT_ASSIGNMENT": name,
        "LATENTKIT_STUDENT": student,
    }


def as_json(content: Any, *, sort_keys: bool = True) -> str:
    """Return JSON that is the same for the same content."""
    return json.dumps(content, indent=1, sort_keys=sort_keys, ensure_ascii=False) + "\n"


def _question(content: dict[str, Any]) -> Question:
    parts = tuple(Part(**part) for part in content.pop("parts"))
    mistakes = tuple(Mistake(**{**each, "passes": tuple(each["passes"])}) for each in content.pop("mistakes"))
    return Question(**content, parts=parts, mistakes=mistakes)

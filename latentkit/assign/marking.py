"""Grade one answer: run the solution with the student's parameters and compare.

`begin`, `check_form` and `grade` are called by the cells of assignments. On a student's computer there is no
course folder: `check_form` checks the form only, and `grade` refuses.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, MutableMapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from latentkit.assign.course import Course, Grading, current_grading
from latentkit.assign.draws import draw_parameters
from latentkit.assign.forms import form_of, same
from latentkit.assign.question import Mistake, Part, Question
from latentkit.errors import LatentkitError

__all__ = ["Reference", "Verdict", "WrongAnswerError", "begin", "check_form", "grade", "reference"]

_place: Grading | None = None
_begun = False


class WrongAnswerError(LatentkitError, AssertionError):
    """An answer is not right."""


@dataclass(frozen=True)
class Verdict:
    """Result of one part: marks, a message, and the name of the mistake if it is a common one."""

    points: float
    message: str
    mistake: str = ""


def begin() -> None:
    """Prepare a notebook of an assignment; while it is graded, widgets draw nothing."""
    global _place, _begun
    if not _begun:
        _place, _begun = current_grading(), True
    if _place is not None:
        from latentkit.assign.quiet import quiet_widgets

        quiet_widgets()


def check_form(answer: Any, form: str) -> None:
    """Check that an answer has the right form; says nothing about whether it is right.

    Parameters
    ----------
    answer : object
        The answer.
    form : str
        Such as "whole number".

    Raises
    ------
    WrongAnswerError
        If the form is wrong.
    """
    if wrong := form_of(form, answer):
        raise WrongAnswerError(wrong)
    if _place is None:
        print("The form is right. Whether the answer is right shows when it is graded.")  # noqa: T201


def grade(question: str, part: str, names: MutableMapping[str, Any]) -> None:
    """Grade one part of an answer; called by the tests of an assignment.

    Parameters
    ----------
    question, part : str
        Which answer.
    names : mapping
        The notebook's ``globals()``.

    Raises
    ------
    WrongAnswerError
        If the part is not right; the message says why.
    """
    begin()
    if _place is None:
        raise LatentkitError(
            "Answers can be graded only in the folder of a course, which has the secret and the questions. "
            "Teachers grade with: latentkit assign grade"
        )
    known = _reference_for(str(_place.course.folder), _place.name, _place.student, question)
    verdict = known.verdict(_part(known.question, part), names)
    if verdict.points == 0:
        tag = f" [{verdict.mistake}]" if verdict.mistake else ""
        raise WrongAnswerError(verdict.message + tag)


def _part(question: Question, name: str) -> Part:
    return next(part for part in question.parts if part.name == name)


@functools.lru_cache(maxsize=64)
def _reference_for(folder: str, name: str, student: str, question: str) -> Reference:
    course = Course(folder)
    assignment = course.assignment(name)
    return reference(assignment.question(question), secret=course.secret, student=student)


def reference(question: Question, *, secret: bytes, student: str) -> Reference:
    """Return what a student's answer to a question is compared with."""
    return Reference(question, draw_parameters(question, secret=secret, student=student))


class Reference:
    """A question with its parameters, the right values and those of common mistakes.

    Parameters
    ----------
    question : Question
        The question.
    parameters : mapping
        Parameters of the student.
    """

    def __init__(self, question: Question, parameters: Mapping[str, Any]) -> None:
        self.question = question
        self.parameters = dict(parameters)

    @functools.cached_property
    def names(self) -> dict[str, Any]:
        """What the notebook defines before the answer, for this student."""
        names = dict(_after_setup(self.question.setup))
        names |= self.parameters
        _run(self.question.given, names)
        _run(self.question.prepare, names)
        return names

    @functools.cached_property
    def right(self) -> dict[str, Any]:
        """Value of each part for the solution."""
        return self._values(self.question.solution)

    @functools.cached_property
    def wrong(self) -> list[tuple[Mistake, dict[str, Any]]]:
        """Values of each part for each common mistake."""
        return [(mistake, self._values(mistake.code)) for mistake in self.question.mistakes]

    def _values(self, code: str) -> dict[str, Any]:
        names = dict(self.names)
        _run(code, names)
        return {part.name: self.value(part, names) for part in self.question.parts}

    def value(self, part: Part, names: MutableMapping[str, Any]) -> Any:
        """Value of a part for the answer in ``names`` with the student's parameters; an error is a value."""
        answer = self.question.answer
        if answer not in names:
            return _Failed(f"{answer} is not defined.")
        known = {**self.names, answer: names[answer]}
        given = {name: self.names[name] for name in self.names if not name.startswith("__")}
        try:
            with _replaced(getattr(names[answer], "__globals__", {}), given), redirect_stdout(StringIO()):
                return eval(part.value, known)  # noqa: S307  (the teacher's expression)
        except Exception as error:  # noqa: BLE001  (a student's function may raise anything)
            return _Failed(f"{type(error).__name__}: {error}")

    def verdict(self, part: Part, names: MutableMapping[str, Any]) -> Verdict:
        """Grade one part of the answer in ``names``."""
        if self.question.answer not in names:  # its cell stopped with an error; nbgrader reports the same
            return Verdict(0, f"name {self.question.answer!r} is not defined")
        answer = names[self.question.answer]
        if wrong := form_of(self.question.form, answer):
            return Verdict(0, wrong)
        return self.judged(part, self.value(part, names))

    def judged(self, part: Part, given: Any) -> Verdict:
        """Compare the value of a part with the solution's and with those of common mistakes."""
        if isinstance(given, _Failed):
            return Verdict(0, f"The test stopped with {given}")
        if part.judged:
            right, message = given
            return Verdict(part.points if right else 0, str(message))
        expected = self.right[part.name]
        if same(given, expected, part.tolerance):
            return Verdict(part.points, "Right.")
        shown = _short(given)
        for mistake, values in self.wrong:
            value = values[part.name]
            if not isinstance(value, _Failed) and same(given, value, part.tolerance):
                return Verdict(0, f"Not right: {shown}. {mistake.shows}", mistake.name)
        return Verdict(0, f"Not right: {shown}.")


class _Failed(str):
    """Message of an expression that could not be evaluated."""

    __slots__ = ()


@functools.lru_cache(maxsize=16)
def _after_setup(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    _run(code, names)
    return names


def _run(code: str, names: dict[str, Any]) -> None:
    """Run the code of a question."""
    with redirect_stdout(StringIO()):
        exec(compile(code, "<question>", "exec"), names)  # noqa: S102  (the teacher's code)


@contextmanager
def _replaced(names: MutableMapping[str, Any], values: Mapping[str, Any]) -> Any:
    """Set names for the time of a test."""
    before = {name: names[name] for name in values if name in names}
    names.update(values)
    try:
        yield
    finally:
        for name in values:
            names.pop(name, None)
        names.update(before)


def _short(value: Any) -> str:
    shown = repr(value.tolist() if hasattr(value, "tolist") else value)
    return shown if len(shown) < 60 else shown[:57] + "..."

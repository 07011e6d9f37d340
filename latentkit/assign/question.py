"""Questions of assignments: what a student reads, what is right, and what common mistakes look like.

A question is text: Markdown for the student, Python for the solution and for each common mistake. Everything
else follows from running that Python. An answer is right if its parts equal those of the solution.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentkit.assign.names import defined_names
from latentkit.errors import ArgumentError, FileError, nearest

__all__ = ["Mistake", "Part", "Question", "read_questions", "shipped_questions"]

_SHIPPED = Path(__file__).parent / "questions"
_KEYS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "title": str,
    "text": str,
    "answer": str,
    "form": str,
    "parameters": dict,
    "given": str,
    "stub": str,
    "solution": str,
    "prepare": str,
    "part": list,
    "mistake": list,
    "points": (int, float),
    "rubric": str,
}


@dataclass(frozen=True)
class Part:
    """One test of a question.

    Parameters
    ----------
    name : str
        Name within the question.
    points : float
        Marks for a right answer.
    value : str
        Python expression in the name of the answer; it is compared with the solution's value.
    tolerance : float, optional
        Largest relative difference of numbers that counts as equal.
    judged : bool, optional
        The value is a pair (right, message), as from the ``judge`` of a lesson's exercise.
    """

    name: str
    points: float
    value: str
    tolerance: float = 0.0
    judged: bool = False


@dataclass(frozen=True)
class Mistake:
    """A common wrong answer.

    Parameters
    ----------
    name : str
        Short name, for tables.
    shows : str
        The misconception, as a sentence.
    code : str
        Code in place of the solution.
    passes : tuple of str, optional
        Names of the parts that are right all the same.
    """

    name: str
    shows: str
    code: str
    passes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question, in the form from which notebooks, tests, rubric and answer sheets are made.

    Parameters
    ----------
    id : str
        Unique in an assignment; letters, digits and hyphens.
    lesson : str
        Number of the lesson, such as "02".
    title, text : str
        Markdown; ``{name}`` in the text is replaced by the value of a parameter.
    answer : str
        Name that the student assigns or defines.
    form : str
        Form of the answer, one of `latentkit.assign.forms.FORMS`; "text" is graded by hand.
    stub, solution : str
        What stands in the student's cell at first, and what earns full marks.
    parameters : mapping
        For each name the choices: a list, or a table with ``from`` and ``to``.
    setup, given, prepare : str
        Imports and model; code before the answer, which the student sees; code before the tests, which the
        student does not see.
    parts, mistakes : tuple
        Tests; common wrong answers.
    manual_points : float
        Marks of a question that is graded by hand.
    rubric : str
        For the person who grades by hand.
    """

    id: str
    lesson: str
    title: str
    text: str
    answer: str
    form: str
    stub: str
    solution: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    setup: str = ""
    given: str = ""
    prepare: str = ""
    parts: tuple[Part, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    manual_points: float = 0.0
    rubric: str = ""

    @property
    def manual(self) -> bool:
        """Whether a person grades the answer."""
        return self.form == "text"

    @property
    def points(self) -> float:
        """Marks of a complete answer."""
        return self.manual_points if self.manual else sum(part.points for part in self.parts)


def shipped_questions() -> dict[str, Path]:
    """Return the question files of the package by lesson."""
    return {path.stem.removeprefix("lesson_"): path for path in sorted(_SHIPPED.glob("lesson_*.toml"))}


def read_questions(source: Path | str, *, only: Iterable[str] | None = None) -> list[Question]:
    """Read a file of questions.

    Parameters
    ----------
    source : path or str
        A TOML file, or the number of a lesson for the questions of the package.
    only : iterable of str, optional
        Ids of the questions to keep, in the order of the file.

    Returns
    -------
    list of Question

    Raises
    ------
    ArgumentError
        If the lesson or an id in ``only`` does not exist, or a question is not complete.
    FileError
        If the file cannot be read.

    Examples
    --------
    >>> read_questions("00")[0].lesson
    '00'
    """
    path = _path_of(source)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(f"Cannot read the questions in {path}: {error}") from None
    entries = content.get("question")
    if not isinstance(entries, list) or not entries:
        raise FileError(f"{path} has no questions. A question starts with the line [[question]].")
    lesson = str(content.get("lesson", path.stem))
    setup = str(content.get("setup", "")).strip()
    questions = [_question(entry, lesson, setup, path) for entry in entries]
    _need_different([question.id for question in questions], path)
    return questions if only is None else _choose(questions, list(only), path)


def _path_of(source: Path | str) -> Path:
    if isinstance(source, Path) or str(source).endswith(".toml"):
        return Path(source)
    shipped = shipped_questions()
    number = str(source).partition("_")[0].zfill(2)
    if number not in shipped:
        raise ArgumentError(f"There are no questions for lesson {source!r}. {nearest(number, shipped)}")
    return shipped[number]


def _choose(questions: list[Question], only: list[str], path: Path) -> list[Question]:
    known = {question.id for question in questions}
    if unknown := [name for name in only if name not in known]:
        raise ArgumentError(f"{path.name} has no question {unknown[0]!r}. {nearest(unknown[0], known)}")
    return [question for question in questions if question.id in only]


def _need_different(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileError(f"{path.name} has two questions with the id {twice[0]!r}. Rename one of them.")


def _question(entry: Mapping[str, Any], lesson: str, setup: str, path: Path) -> Question:
    where = f"Question {entry.get('id', '?')!r} in {path.name}"
    for key, value in entry.items():
        if key not in _KEYS:
            raise FileError(f"{where}: unknown key {key!r}. {nearest(key, _KEYS)}")
        if not isinstance(value, _KEYS[key]):
            raise FileError(f"{where}: {key} has the wrong type, {type(value).__name__}.")
    if missing := [key for key in ("id", "title", "text", "form", "stub", "solution") if key not in entry]:
        raise FileError(f"{where}: {missing[0]} is missing.")
    question = Question(
        id=entry["id"],
        lesson=lesson,
        title=entry["title"],
        text=entry["text"].strip(),
        answer=entry.get("answer", ""),
        form=entry["form"],
        stub=entry["stub"].strip(),
        solution=entry["solution"].strip(),
        parameters=entry.get("parameters", {}),
        setup=setup,
        given=entry.get("given", "").strip(),
        prepare=entry.get("prepare", "").strip(),
        parts=tuple(Part(**part) for part in entry.get("part", [])),
        mistakes=tuple(_mistake(each) for each in entry.get("mistake", [])),
        manual_points=float(entry.get("points", 0.0)),
        rubric=entry.get("rubric", "").strip(),
    )
    _need_complete(question, where)
    return question


def _mistake(entry: Mapping[str, Any]) -> Mistake:
    return Mistake(entry["name"], entry["shows"], entry["code"].strip(), tuple(entry.get("passes", ())))


def _need_complete(question: Question, where: str) -> None:
    """Raise unless the question can be graded."""
    from latentkit.assign.forms import FORMS

    if question.form not in FORMS:
        raise FileError(f"{where}: unknown form {question.form!r}. {nearest(question.form, FORMS)}")
    if not question.id.replace("-", "").isalnum() or not question.id.isascii():
        raise FileError(f"{where}: an id has letters, digits and hyphens only.")
    if question.manual:
        if not question.manual_points or not question.rubric:
            raise FileError(f"{where}: a question that is graded by hand needs points and a rubric.")
        return
    if not question.parts:
        raise FileError(f"{where}: needs at least one [[question.part]] with name, points and value.")
    for code in (question.stub, question.solution, *(each.code for each in question.mistakes)):
        if question.answer not in defined_names(code):
            raise FileError(f"{where}: this code does not define {question.answer!r}:\n{code}")
    parts = {part.name for part in question.parts}
    for mistake in question.mistakes:
        if not parts.issuperset(mistake.passes):
            raise FileError(f"{where}: mistake {mistake.name!r} passes an unknown part. {nearest('', parts)}")

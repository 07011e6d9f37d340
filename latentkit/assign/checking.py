"""Check questions before they are handed out: solutions score full marks, mistakes their part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latentkit.assign.draws import draw_parameters
from latentkit.assign.forms import form_of, same
from latentkit.assign.marking import Reference
from latentkit.assign.names import defined_names
from latentkit.assign.question import Question
from latentkit.errors import LatentkitError

__all__ = ["Problem", "check_questions"]


@dataclass(frozen=True)
class Problem:
    """A fault of a question."""

    question: str
    student: str
    text: str

    def __str__(self) -> str:
        return f"{self.question} ({self.student}): {self.text}"


def check_questions(
    questions: Sequence[Question],
    *,
    secret: bytes = b"check, not a course",
    students: Sequence[str] = ("a", "b", "c"),
) -> list[Problem]:
    """Check that the questions can be graded as their authors mean.

    Parameters
    ----------
    questions : sequence of Question
        The questions.
    secret : bytes, optional
        Draws the parameters.
    students : sequence of str, optional
        Made-up students for whom every question is solved.

    Returns
    -------
    list of Problem
        Empty if for each student the solution scores full marks, the stub nothing, and each common
        mistake exactly the parts that it names; and if the answers differ between the students.
    """
    found: list[Problem] = []
    for question in questions:
        if not question.manual:
            found += _problems(question, secret, students)
    return found


def _problems(question: Question, secret: bytes, students: Sequence[str]) -> Iterator[Problem]:
    known = {
        student: Reference(question, draw_parameters(question, secret=secret, student=student))
        for student in students
    }
    for student, each in known.items():
        try:
            yield from (Problem(question.id, student, text) for text in _faults(each))
        except Exception as error:  # noqa: BLE001  (a question's code may raise anything)
            yield Problem(question.id, student, f"its code stops with {type(error).__name__}: {error}")
            return
    for text in (*_mistakes(question, list(known.values())), *_variants(question, list(known.values()))):
        yield Problem(question.id, "all", text)


def _faults(known: Reference) -> Iterator[str]:
    """Faults of a question with one student's parameters."""
    question = known.question
    full = {part.name for part in question.parts}
    if stub := _passed(known, question.stub):
        yield f"the stub passes {', '.join(sorted(stub))}"
    solved = _passed(known, question.solution)
    if solved != full:
        missed = next(part for part in question.parts if part.name not in solved)
        names = dict(known.names)
        exec(compile(question.solution, "<answer>", "exec"), names)  # noqa: S102  (the teacher's code)
        yield f"the solution does not pass {missed.name}: {known.verdict(missed, names).message}"
    if drift := _drift(question):
        yield drift


def _mistakes(question: Question, known: Sequence[Reference]) -> Iterator[str]:
    """Mistakes that pass other parts than they say; by chance one may pass more for some students."""
    for mistake in question.mistakes:
        passed = set.intersection(*(_passed(each, mistake.code) for each in known))
        if passed != set(mistake.passes):
            yield (
                f"the mistake {mistake.name!r} passes {sorted(passed) or 'nothing'}, "
                f"and the question says {sorted(mistake.passes) or 'nothing'}"
            )


def _variants(question: Question, known: Sequence[Reference]) -> Iterator[str]:
    """Whether the answer depends on the parameters."""
    if not question.parameters or question.form == "function" or len(known) < 2:
        return
    if not any(part.judged for part in question.parts) and all(
        same(each.right, known[0].right) for each in known
    ):
        yield "the answer is the same for all students who were tried"


def _passed(known: Reference, code: str) -> set[str]:
    """Names of the parts that a piece of code passes."""
    names = dict(known.names)
    try:
        exec(compile(code, "<answer>", "exec"), names)  # noqa: S102  (the teacher's code)
    except LatentkitError as error:
        raise LatentkitError(f"{error} (in: {code.splitlines()[0]})") from error
    if form_of(known.question.form, names.get(known.question.answer)):
        return set()
    return {part.name for part in known.question.parts if known.verdict(part, names).points > 0}


def _drift(question: Question) -> str | None:
    """Say whether stub and solution define different names or functions with other arguments."""
    import ast

    def shape(code: str) -> dict[str, list[str]]:
        return {
            node.name: [argument.arg for argument in node.args.args]
            for node in ast.parse(code).body
            if isinstance(node, ast.FunctionDef)
        }

    missing = defined_names(question.stub) - defined_names(question.solution)
    if missing:
        return f"stub and solution have drifted: the solution does not define {', '.join(sorted(missing))}"
    stub, solution = shape(question.stub), shape(question.solution)
    for name, arguments in stub.items():
        if solution.get(name) != arguments:
            return f"stub and solution have drifted: {name} takes {arguments} and {solution.get(name)}"
    return None

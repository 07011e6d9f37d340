"""The commands `latentkit assign make | check | repair | grade | report`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from latentkit.assign.course import Course
from latentkit.assign.question import Question, read_questions

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="latentkit assign",
        description="Assignments that grade themselves. In this order: check, make, repair, grade, report.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    _make_parser(commands)
    _check_parser(commands)
    for name, run, says in (
        ("repair", _repair, "make what came back gradeable"),
        ("grade", _grade, "grade what was repaired"),
        ("report", _report, "show what the class knows and where it is stuck"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.add_argument("course", type=Path, help="folder of the course")
        command.add_argument("--name", help="name of the assignment, if the course has several")
        if name == "repair":
            command.add_argument(
                "--from",
                dest="source",
                type=Path,
                help="folder with what came back; by default COURSE/collected/NAME",
            )
        if name == "grade":
            command.add_argument("--with", dest="grader", default="kit", help="kit, nbgrader or otter")
        command.set_defaults(run=run)
    arguments = parser.parse_args(list(argv) or ["--help"])
    chosen: Callable[[argparse.Namespace], int] = arguments.run
    return chosen(arguments)


def _make_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    make = commands.add_parser("make", help="write a notebook for each student")
    _add_sources(make)
    make.add_argument(
        "--roster", type=Path, required=True, help="CSV with a column id and, if you like, name"
    )
    make.add_argument("--out", type=Path, required=True, help="folder of the course")
    make.add_argument("--name", default="assignment", help="name of the assignment and its notebook")
    make.add_argument("--title", default="", help="heading of the notebook")
    make.add_argument(
        "--for", dest="graders", action="append", default=[], help="nbgrader or otter; may be repeated"
    )
    make.add_argument("--no-answers", action="store_true", help="write no answer sheets")
    make.set_defaults(run=_make)


def _check_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser("check", help="check questions before they are handed out")
    _add_sources(check)
    check.set_defaults(run=_check)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lessons", nargs="+", help="numbers of lessons, or TOML files with questions of your own"
    )
    parser.add_argument("--only", action="append", help="id of a question to take; may be repeated")
    parser.add_argument("--exercises", action="store_true", help="take the exercises marked in the lessons")


def _questions(arguments: argparse.Namespace) -> list[Question]:
    found: list[Question] = []
    for lesson in arguments.lessons:
        if arguments.exercises:
            from latentkit.assign.exercises import read_exercises

            found += read_exercises(lesson)
        else:
            found += read_questions(lesson)
    if arguments.only is None:
        return found
    known = {question.id for question in found}
    if unknown := [name for name in arguments.only if name not in known]:
        from latentkit.errors import ArgumentError, nearest

        raise ArgumentError(f"No question {unknown[0]!r} in these lessons. {nearest(unknown[0], known)}")
    return [question for question in found if question.id in arguments.only]


def _make(arguments: argparse.Namespace) -> int:
    from latentkit.assign.making import make_assignment

    made = make_assignment(
        _questions(arguments),
        roster=arguments.roster,
        out=arguments.out,
        name=arguments.name,
        title=arguments.title,
        graders=arguments.graders,
        answers=not arguments.no_answers,
        alike=arguments.exercises,
    )
    out: Path = arguments.out
    _say(f"{len(made.students)} notebooks in {out / 'handout' / made.name}, one folder per student.")
    _say(f"Rubric and answers in {out / 'teacher' / made.name}. Keep {out / 'secret.key'} private.")
    if arguments.exercises:
        _say("Exercises of a lesson have few variants, so several students have the same one.")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from latentkit.assign.checking import check_questions

    questions = _questions(arguments)
    problems = check_questions(questions)
    for problem in problems:
        _say(str(problem))
    _say(f"{len(questions)} questions, {len(problems)} problems.")
    return 1 if problems else 0


def _repair(arguments: argparse.Namespace) -> int:
    from latentkit.assign.repair.repairing import repair_course

    course = Course(arguments.course)
    name = arguments.name or course.only_name()
    done = repair_course(course, name, source=arguments.source)
    for entry in done:
        if entry.status in {"look", "not repairable"}:
            _say(f"{entry.status}: {entry.student or '?'} ({entry.file}): {'; '.join(entry.notes)}")
    counts = {
        status: sum(entry.status == status for entry in done)
        for status in dict.fromkeys(e.status for e in done)
    }
    _say(", ".join(f"{count} {status}" for status, count in counts.items()))
    came = {entry.student for entry in done}
    if absent := [student.id for student in course.assignment(name).students if student.id not in came]:
        _say(f"No notebook from: {', '.join(absent)}")
    _say(f"What was done: {course.path('teacher', name, 'repairs.csv')}")
    return 0


def _grade(arguments: argparse.Namespace) -> int:
    from latentkit.assign.graders.grading import grade_course

    course = Course(arguments.course)
    name = arguments.name or course.only_name()
    grade_course(course, name, grader=arguments.grader)
    _say(f"Marks: {course.path('results', name, 'gradebook.csv')}")
    _say(f"Messages for students: {course.path('results', name, 'feedback')}")
    if waiting := [student or "?" for student in course.to_look_at(name)]:
        _say(f"Look first at {course.path('teacher', name, 'repairs.csv')}: {', '.join(waiting)}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from latentkit.assign.graders.report import report_course

    course = Course(arguments.course)
    name = arguments.name or course.only_name()
    report = report_course(course, name)
    _say(report.text)
    _say(f"\nThe same as files: {course.path('results', name)}")
    return 0


def _say(text: str) -> None:
    print(text)  # noqa: T201

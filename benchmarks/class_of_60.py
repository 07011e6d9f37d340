"""How long it takes to make, repair, grade and report an assignment for a class, and whether answers travel.

    python benchmarks/class_of_60.py [STUDENTS] [LESSON or QUESTIONS.toml] [GRADER]

Every student hands in the solution in a mangled notebook; every tenth hands in the numbers of a neighbour.
Prints seconds, and the points of those copies.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from assign_for_tests import NAME, hand_in, handed_out, make_course, mangled

from latentkit.assign.graders.grading import grade_course
from latentkit.assign.graders.report import report_course
from latentkit.assign.marking import reference
from latentkit.assign.question import shipped_questions
from latentkit.assign.repair.repairing import repair_course


def main(students: int = 60, lesson: str = "00", grader: str = "kit") -> None:
    names = [f"s{number:03}" for number in range(students)]
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        graders = () if grader == "kit" else (grader,)
        course, made = make_course(
            Path(folder, "course"),
            students=names,
            questions=shipped_questions().get(lesson, Path(lesson)),
            graders=graders,
        )
        seconds["make, without answer sheets"] = time.perf_counter() - start
        copies = names[9::10]
        for number, student in enumerate(names):
            notebook = handed_out(course, student)
            for cell in notebook["cells"]:
                question = next((each for each in made.questions if cell["id"] == f"{each.id}-answer"), None)
                if question is not None and not question.manual:
                    cell["source"] = question.solution
                    if student in copies:
                        cell["source"] = _copied(question, course, names[number - 1])
            hand_in(course, student, mangled(notebook, number)[0])
        start = time.perf_counter()
        repaired = repair_course(course, NAME)
        seconds["repair"] = time.perf_counter() - start
        start = time.perf_counter()
        rows = grade_course(course, NAME, grader=grader)
        seconds[f"grade with {grader}"] = time.perf_counter() - start
        start = time.perf_counter()
        report_course(course, NAME)
        seconds["report"] = time.perf_counter() - start
    print(json.dumps({what: round(each, 1) for what, each in seconds.items()}, indent=1))
    full = sum(part.points for question in made.questions for part in question.parts)
    sums = {name: sum(row["points"] for row in rows if row["student"] == name) for name in names}
    print(
        {
            status: sum(each.status == status for each in repaired)
            for status in ("unchanged", "repaired", "look")
        }
    )
    own = [name for name in names if name not in copies]
    print(f"{sum(sums[name] == full for name in own)} of {len(own)} own solutions with full marks ({full:g})")
    print("not full:", {name: sums[name] for name in own if sums[name] != full})
    print("points of those with the numbers of their neighbour:", [sums[name] for name in copies])


def _copied(question, course, neighbour):
    """Another student's answer as numbers; functions do not depend on parameters and are left out."""
    if question.form == "function":
        return question.stub
    names = dict(reference(question, secret=course.secret, student=neighbour).names)
    exec(question.solution, names)
    return f"{question.answer} = {names[question.answer]!r}"


if __name__ == "__main__":
    words = sys.argv[1:]
    main(*([int(words[0])] if words else []), *words[1:])

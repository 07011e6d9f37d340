"""What a class knows and where it is stuck."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentkit.assign.course import Assignment, Course
from latentkit.assign.graders.grading import read_marks
from latentkit.files import write_file

__all__ = ["ClassReport", "QuestionResult", "plot_report", "report_course"]

_OUTCOMES = {"right": "#2a788e", "partly right": "#7ad151", "wrong": "#e8a33d", "not attempted": "#b8b8b8"}
_HATCHES = {"right": "", "partly right": "//", "wrong": "xx", "not attempted": ".."}
_UNTRIED = ("Not attempted yet", "Not handed in")


@dataclass
class QuestionResult:
    """How a class did on one question."""

    question: str
    title: str
    outcomes: dict[str, int]
    wrong: list[tuple[str, str, int]]  # mistake, what it shows, how many students
    stuck: list[str] = field(default_factory=list)

    @property
    def share_right(self) -> float:
        """Share of the class with full marks."""
        return self.outcomes["right"] / max(sum(self.outcomes.values()), 1)


@dataclass(frozen=True)
class ClassReport:
    """The results of all questions, as a text and for a picture."""

    title: str
    results: list[QuestionResult]

    @property
    def text(self) -> str:
        """The report as Markdown."""
        lines = [f"# {self.title}: report", "", f"| question | {' | '.join(_OUTCOMES)} | share right |"]
        lines.append("|---|" + "---|" * (len(_OUTCOMES) + 1))
        for each in self.results:
            counts = " | ".join(str(each.outcomes[outcome]) for outcome in _OUTCOMES)
            lines.append(f"| {each.question} | {counts} | {each.share_right:.0%} |")
        for each in self.results:
            lines += ["", f"## {each.question}: {each.title}", ""]
            lines += [
                f"* {count} × {mistake}: {shows}" if shows else f"* {count} × {mistake}"
                for mistake, shows, count in each.wrong
            ] or ["No wrong answers."]
            if each.stuck:
                lines.append(f"* No marks: {', '.join(each.stuck)}")
        return "\n".join(lines)


def report_course(course: Course, name: str) -> ClassReport:
    """Write the report of a graded assignment.

    Parameters
    ----------
    course : Course
        The course.
    name : str
        Name of the assignment; `grade_course` ran before.

    Returns
    -------
    ClassReport
        Also written to ``results/NAME/``: report.md, report.csv, report.svg.

    Raises
    ------
    FileError
        If there are no marks yet.
    """
    assignment = course.assignment(name)
    report = _report(assignment, read_marks(course, name))
    folder = course.path("results", name)
    write_file(folder / "report.md", report.text + "\n")
    write_file(folder / "report.csv", _csv(report))
    _draw(report, folder / "report.svg")
    return report


def _report(assignment: Assignment, rows: Sequence[dict[str, Any]]) -> ClassReport:
    results = []
    for question in assignment.questions:
        own = [row for row in rows if row["question"] == question.id]
        if not own:
            continue  # graded by hand
        students = {
            student.id: [row for row in own if row["student"] == student.id]
            for student in assignment.students
        }
        outcomes = {student: _outcome(parts) for student, parts in students.items() if parts}
        shows = {mistake.name: mistake.shows for mistake in question.mistakes}
        wrong: Counter[str] = Counter()
        for parts in students.values():
            wrong.update({_mistake(row) for row in parts if row["points"] == 0 and not _untried(row)})
        results.append(
            QuestionResult(
                question.id,
                question.title,
                {kind: list(outcomes.values()).count(kind) for kind in _OUTCOMES},
                [(mistake, shows.get(mistake, ""), count) for mistake, count in wrong.most_common(5)],
                [student for student, outcome in outcomes.items() if outcome in {"wrong", "not attempted"}],
            )
        )
    return ClassReport(assignment.title, results)


def _untried(row: dict[str, Any]) -> bool:
    return str(row["message"]).startswith(_UNTRIED)


def _mistake(row: dict[str, Any]) -> str:
    """Name of a mistake; of an unknown one the message without the student's own numbers."""
    if row["mistake"]:
        return str(row["mistake"])
    message = str(row["message"])
    return "another wrong answer" if message.startswith("Not right") else message.partition(";")[0][:100]


def _outcome(parts: Sequence[dict[str, Any]]) -> str:
    earned, of = sum(row["points"] for row in parts), sum(row["of"] for row in parts)
    if earned >= of:
        return "right"
    if earned > 0:
        return "partly right"
    return "not attempted" if all(_untried(row) for row in parts) else "wrong"


def _csv(report: ClassReport) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["question", *_OUTCOMES, "commonest mistake", "students with it"])
    for each in report.results:
        mistake, _, count = each.wrong[0] if each.wrong else ("", "", 0)
        writer.writerow([each.question, *each.outcomes.values(), mistake, count])
    return table.getvalue()


def plot_report(report: ClassReport, *, ax: Any = None) -> Any:
    """Draw one bar per question: how many students were right, partly right, wrong, or did not try.

    Parameters
    ----------
    report : ClassReport
        From `report_course`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        from matplotlib.figure import Figure

        height = 0.5 * len(report.results) + 1.4
        ax = Figure(figsize=(7.5, height), layout="constrained").add_subplot()
    names = [each.question for each in report.results]
    left = [0] * len(names)
    for outcome, colour in _OUTCOMES.items():
        counts = [each.outcomes[outcome] for each in report.results]
        bars = ax.barh(
            names, counts, left=left, color=colour, hatch=_HATCHES[outcome], edgecolor="white", label=outcome
        )
        shown = [str(count) if count else "" for count in counts]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # readable on the hatching
        for label in ax.bar_label(bars, shown, label_type="center", fontsize=9):
            label.set_bbox(box if label.get_text() else None)
        left = [start + count for start, count in zip(left, counts, strict=True)]
    ax.invert_yaxis()
    ax.set_xlabel("Students")
    ax.legend(ncols=len(_OUTCOMES), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return ax


def _draw(report: ClassReport, path: Path) -> None:
    import matplotlib as mpl

    drawn = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "latentkit", "svg.fonttype": "none"}):
        figure = plot_report(report).figure
        figure.savefig(
            drawn, format="svg", metadata={"Date": None, "Title": f"{report.title}: share right by question"}
        )
    write_file(path, drawn.getvalue())

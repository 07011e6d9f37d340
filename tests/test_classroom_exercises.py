"""Exercises in the lessons' sources: marked as CONTRIBUTING says, solvable, and not solved by their stubs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import jupytext
import pytest

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
PARTS = ("exercise", "parameters", "answer", "check", "hint", "solution")
SOURCES = [
    path
    for path in sorted(LESSONS.glob("[0-9][0-9]_*.py"))
    if "exercise:" in path.read_text(encoding="utf-8")
]

lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def _tags(cell: Any) -> list[str]:
    return cell.metadata.get("tags", [])


def _exercises(source: Path) -> dict[str, dict[str, Any]]:
    """Cells by exercise and part; the order of the file."""
    found: dict[str, dict[str, Any]] = {}
    for cell in jupytext.read(source).cells:
        for tag in _tags(cell):
            part, _, name = tag.partition(":")
            if name and part in PARTS:
                assert part not in found.setdefault(name, {}), f"{tag} stands twice"
                found[name][part] = cell
    return found


def _setup(source: Path) -> str:
    return "\n".join(cell.source for cell in jupytext.read(source).cells if "setup" in _tags(cell))


def _solution(cells: dict[str, Any]) -> str:
    blocks = re.findall(r"```python\n(.*?)```", cells["solution"].source, re.DOTALL)
    assert len(blocks) == 1, cells["solution"].source
    return blocks[0]


def _parameters(cell: Any) -> list[str]:
    """Every code of the cell that a variant may have: one parameter changed at a time."""
    codes = [cell.source]
    for line in cell.source.splitlines():
        if found := re.match(r"(\w+) = .*# one of: (\[.*\])", line):
            name, values = found[1], ast.literal_eval(found[2])
            codes += [cell.source.replace(line, f"{name} = {value!r}") for value in values]
    return codes


def test_lessons_have_exercises():
    assert {path.name[:2] for path in SOURCES} >= {"00"}


@lesson
def test_cells_of_an_exercise_stand_in_their_order(source):
    for name, cells in _exercises(source).items():
        assert name.startswith(f"{source.name[:2]}-"), name
        assert list(cells) == [part for part in PARTS if part in cells], name
        assert [tag for tag in _tags(cells["exercise"]) if re.fullmatch(r"points:\d+", tag)], name
        manual = "manual" in _tags(cells["exercise"])
        needed = ("answer", "solution") if manual else ("answer", "check", "hint", "solution")
        assert all(part in cells for part in needed), name
        for part, cell in cells.items():
            markdown = part in {"exercise", "solution"} or (manual and part == "answer")
            assert cell.cell_type == ("markdown" if markdown else "code"), f"{part}:{name}"
        assert cells["exercise"].source.startswith("### "), name
        assert cells["solution"].source.startswith("<details>"), name


@lesson
def test_a_lesson_has_three_to_five_exercises_and_half_of_them_are_code(source):
    cells = _exercises(source).values()
    assert 3 <= len(cells) <= 5
    code = [each for each in cells if "check" in each and len(_solution(each).splitlines()) >= 3]
    assert 2 * len(code) >= len(cells) - 1
    assert all(len(_solution(each).splitlines()) <= 10 for each in code)


@pytest.mark.slow
@lesson
def test_stub_is_not_attempted_and_solution_is_right_for_every_parameter(source, monkeypatch):
    monkeypatch.chdir(LESSONS)
    shared: dict[str, Any] = {}
    exec(_setup(source), shared)
    for name, cells in _exercises(source).items():
        if "check" not in cells:
            continue
        head, _, last = cells["check"].source.rstrip().rpartition("\n")
        codes = _parameters(cells["parameters"]) if "parameters" in cells else [""]
        for code in codes:
            for answer, verdict in ((cells["answer"].source, "Not attempted"), (_solution(cells), "Right")):
                here = dict(shared)
                exec("\n".join([code, answer, head]), here)
                said = str(eval(last, here))
                assert said.startswith(verdict), f"{name}\n{code}\n{answer}\n{said}"

"""Questions from the exercises of the lessons, which are marked by cell tags.

CONTRIBUTING describes the tags under "Exercises in a lesson".
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latentkit.assign.question import Part, Question
from latentkit.errors import ArgumentError, FileError, nearest
from latentkit.lessons import lesson_folder

__all__ = ["find_lesson", "read_exercises"]

_ROLES = ("exercise", "parameters", "answer", "check", "solution")
_CHOICES = re.compile(r"#\s*one of:\s*(\[.*\])\s*$")
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_HEADING = re.compile(r"^#+\s*(.+)$", re.MULTILINE)

Cells = dict[str, tuple[str, list[str]]]


def read_exercises(lesson: Path | str, *, folder: Path | str | None = None) -> list[Question]:
    """Read the exercises of a lesson.

    Parameters
    ----------
    lesson : path or str
        A notebook, or the number of a lesson.
    folder : path, optional
        Folder of the lessons; by default those of the package.

    Returns
    -------
    list of Question
        Each exercise with its parameters, stub, solution and check; code without a tag between an exercise
        and its answer, such as a list of claims, is given. Its names get the exercise's id, so that
        exercises of several lessons fit into one notebook.

    Raises
    ------
    ArgumentError
        If there is no such lesson, or it has no marked exercises.
    FileError
        If the file cannot be read or an exercise is not complete.
    """
    path = find_lesson(lesson, folder)
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"Cannot read the lesson {path}: {error}") from None
    setup = "\n\n".join(_text(cell) for cell in cells if "setup" in _tags(cell))
    found: dict[str, Cells] = {}
    here = ""  # the exercise whose answer has not come yet
    for cell in cells:
        for role, name in _marks(cell):
            found.setdefault(name, {})[role] = (_text(cell), _tags(cell))
            here = "" if role == "answer" else name if role == "exercise" else here
        if here and cell["cell_type"] == "code" and not _tags(cell):
            given, tags = found[here].get("given", ("", []))
            found[here]["given"] = (f"{given}\n\n{_text(cell)}".strip(), tags)
    if not found:
        raise ArgumentError(f"{path.name} has no marked exercises. Leave out --exercises.")
    return [_question(name, parts, setup, path) for name, parts in found.items()]


def find_lesson(lesson: Path | str, folder: Path | str | None = None) -> Path:
    """Return the notebook of a lesson."""
    if isinstance(lesson, Path) or str(lesson).endswith(".ipynb"):
        return Path(lesson)
    place = lesson_folder() if folder is None else Path(folder)
    number = str(lesson).partition("_")[0].zfill(2)
    if files := sorted(place.glob(f"{number}_*.ipynb")):
        return files[0]
    known = [path.name[:2] for path in sorted(place.glob("[0-9][0-9]_*.ipynb"))]
    raise ArgumentError(f"No lesson {lesson!r} in {place}. {nearest(number, known)}")


def _tags(cell: Mapping[str, Any]) -> list[str]:
    tags = cell.get("metadata", {}).get("tags", [])
    return [tag for tag in tags if isinstance(tag, str)]


def _text(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def _marks(cell: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for tag in _tags(cell):
        role, _, name = tag.partition(":")
        if role in _ROLES and name:
            yield role, name


def _question(name: str, cells: Cells, setup: str, path: Path) -> Question:
    where = f"Exercise {name!r} of {path.name}"
    manual = "manual" in cells.get("exercise", ("", []))[1]
    needed = ["exercise", "answer", "solution", *([] if manual else ["check"])]
    if missing := [role for role in needed if role not in cells]:
        raise FileError(f"{where} has no cell with the tag {missing[0]}:{name}.")
    text, tags = cells["exercise"]
    points = float(next((tag.partition(":")[2] for tag in tags if tag.startswith("points:")), "1"))
    heading = _HEADING.search(text)
    common: dict[str, Any] = {
        "id": name,
        "lesson": name.partition("-")[0],
        "title": re.sub(r"^Exercise[^:]*:\s*", "", heading[1]) if heading else name,
        "text": text.replace(heading[0], "", 1).strip() if heading else text,
        "setup": setup,
    }
    if manual:
        stub, rubric = cells["answer"][0], cells["solution"][0]
        return Question(
            **common, answer="", form="text", stub=stub, solution=rubric, rubric=rubric, manual_points=points
        )
    return _checked(common, cells, points, where)


def _checked(common: dict[str, Any], cells: Cells, points: float, where: str) -> Question:
    """Return a question whose test is the check of the exercise."""
    block = _BLOCK.search(cells["solution"][0])
    if block is None:
        raise FileError(f"{where}: the solution has no Python block.")
    lines = cells["check"][0].rstrip().splitlines()
    call = ast.parse(lines[-1]).body[0]
    if not (isinstance(call, ast.Expr) and isinstance(call.value, ast.Call) and call.value.args):
        raise FileError(f"{where}: the check must end with exercise.check(answer).")
    answer = ast.unparse(call.value.args[0])
    choices = dict(_parameters(cells.get("parameters", ("", []))[0], where))
    suffix = "_" + common["id"].replace("-", "_")
    names = {name: name + suffix for name in {answer, *choices}}

    def own(code: str) -> str:
        return _renamed(code.strip(), names)

    value = own(f"exercise.judge({answer})")
    return Question(
        **{**common, "text": _renamed_text(common["text"], names)},
        answer=names[answer],
        form="function" if f"def {answer}(" in block[1] else "any",
        given=own(cells.get("given", ("", []))[0]),
        stub=own(cells["answer"][0]),
        solution=own(block[1]),
        parameters={names[name]: values for name, values in choices.items()},
        prepare=own("\n".join(lines[:-1])),
        parts=(Part("answer", points, value, judged=True),),
    )


def _parameters(code: str, where: str) -> Iterator[tuple[str, list[Any]]]:
    """Read ``name = literal  # one of: [...]`` lines."""
    for line in code.splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        choices = _CHOICES.search(line)
        name, _, value = line.partition("=")
        try:
            plain = value.partition("#")[0].strip()
            known = ast.literal_eval(choices[1]) if choices else [ast.literal_eval(plain)]
        except (ValueError, SyntaxError):
            raise FileError(f"{where}: cannot read the parameter {line!r}.") from None
        yield name.strip(), known


def _renamed(code: str, names: Mapping[str, str]) -> str:
    """Replace names in Python code, in comments between backticks; strings, attributes and arguments stay."""
    tokens = list(tokenize.generate_tokens(io.StringIO(code + "\n").readline))
    lines = code.splitlines()
    for place in range(len(tokens) - 1, -1, -1):
        token = tokens[place]
        if token.type == tokenize.COMMENT:
            row, start = token.start
            lines[row - 1] = lines[row - 1][:start] + _renamed_text(token.string, names)
            continue
        before = tokens[place - 1].string if place else ""
        after = tokens[place + 1].string if place + 1 < len(tokens) else ""
        keyword = after == "=" and before in {"(", ","}
        if token.type == tokenize.NAME and token.string in names and before != "." and not keyword:
            row, start = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:start] + names[token.string] + line[start + len(token.string) :]
    return "\n".join(lines)


def _renamed_text(text: str, names: Mapping[str, str]) -> str:
    """Replace names between backticks."""
    for name, new in names.items():
        text = re.sub(rf"(`[^`\n]*)\b{re.escape(name)}\b([^`\n]*`)", rf"\g<1>{new}\g<2>", text)
    return text

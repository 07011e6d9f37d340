"""Put a student's answers into their places, and other cells where they can run."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from latentkit.assign.cells import Cell, answer_mark
from latentkit.assign.names import defined_names, parses, used_names
from latentkit.assign.question import Question
from latentkit.assign.repair.pieces import Piece, normal

__all__ = ["Placed", "place"]


@dataclass
class Placed:
    """The cells of a repaired notebook in their order, with notes and what a person must look at."""

    cells: list[Cell | Piece]
    notes: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)


def place(pieces: Sequence[Piece], expected: Sequence[Cell]) -> Placed:
    """Return the repaired notebook.

    Parameters
    ----------
    pieces : sequence of Piece
        What the student wrote.
    expected : sequence of Cell
        The notebook that was handed out.

    Returns
    -------
    Placed
        An answer is recognised by the name it defines; a written one by the id of its cell, by its first line
        or by the question before it.
    """
    questions = {cell.id: cell.question for cell in expected if cell.role == "answer" and cell.question}
    names = {question.answer: cell for cell, question in questions.items() if not question.manual}
    pieces = [part for piece in pieces for part in _apart(piece, names)]
    placed = Placed([])
    chosen: dict[str, list[Piece]] = {}
    used: set[int] = set()
    for name, question in questions.items():
        candidates = _candidates(name, question, pieces)
        used |= {id(piece) for piece in candidates}
        chosen[name] = _choose(question, candidates, placed)
    others = [piece for piece in pieces if id(piece) not in used]
    attached = _attach(others, pieces, chosen)
    for cell in expected:
        if cell.role == "answer":
            placed.cells += attached.get(cell.id, [])
            placed.cells += _answer_cells(cell, chosen[cell.id])
        else:
            placed.cells.append(cell)
    placed.cells += attached.get("", [])
    _make_runnable(placed)
    return placed


def _apart(piece: Piece, names: Mapping[str, str]) -> list[Piece]:
    """Cut code that defines several answers after each of them."""
    if not piece.code or len(defined_names(piece.text) & set(names)) < 2 or not parses(piece.text):
        return [piece]
    try:
        body = ast.parse(piece.text).body
    except SyntaxError:  # lines for IPython
        return [piece]
    lines = piece.text.splitlines()
    cuts, seen = [0], ""
    for statement in body:
        here = next(iter(defined_names(ast.unparse(statement)) & set(names)), "")
        if here and seen and here != seen:
            cuts.append(_first_line(statement) - 1)
        seen = here or seen
    bounds = [*cuts, len(lines)]
    texts = ["\n".join(lines[start:end]).strip("\n") for start, end in pairwise(bounds)]
    return [replace(piece, text=text, ids=frozenset()) for text in texts if text.strip()]


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    lines: list[int] = [statement.lineno, *(each.lineno for each in decorators)]
    return min(lines)


def _candidates(cell: str, question: Question, pieces: Sequence[Piece]) -> list[Piece]:
    if not question.manual:
        defining = [each for each in pieces if each.code and question.answer in defined_names(each.text)]
        return defining or [each for each in pieces if cell in each.ids and each.code]
    written = [each for each in pieces if not each.code]
    mark = answer_mark(question)
    found = [each for each in written if cell in each.ids or mark in each.text]
    if any(not _is_stub(question, each) for each in found):
        return found
    beside = [each for each in written if each.after in {f"{question.id}-text", cell} and each not in found]
    return [*found, *beside] if len(beside) == 1 else found or beside


def _choose(question: Question, candidates: list[Piece], placed: Placed) -> list[Piece]:
    """Return the answer of a question; several different ones are no answer."""
    different: dict[str, Piece] = {}
    for piece in candidates:
        if not _is_stub(question, piece):
            different.setdefault(_without_mark(question, piece.text), piece)
    kept = list(different.values())
    if len(kept) > 1 and not all(question.answer in used_names(each.text) for each in kept[1:]):
        where = ", ".join(f"cell {each.number}" for each in kept)
        placed.unclear.append(f"{question.id}: several different answers ({where}); none was taken")
        return []
    if len(candidates) > 1 and kept:
        placed.notes.append(
            f"{question.id}: {len(candidates)} copies; the answer of cell {kept[0].number} was taken"
        )
    if kept and kept[0].code and not parses(kept[0].text):
        placed.unclear.append(
            f"{question.id}: the code of cell {kept[0].number} is no valid Python; left as it is"
        )
    return kept


def _is_stub(question: Question, piece: Piece) -> bool:
    """Whether the answer is as it was handed out."""
    stubs = {normal(question.stub), normal(f"{answer_mark(question)}\n{question.stub}")}
    return normal(piece.text) in stubs


def _without_mark(question: Question, text: str) -> str:
    return normal("\n".join(line for line in text.splitlines() if line.strip() != answer_mark(question)))


def _answer_cells(cell: Cell, pieces: list[Piece]) -> list[Cell | Piece]:
    """Return the answer cell with the student's text; further cells of the same answer follow it."""
    if not pieces:
        return [cell]
    return [replace(cell, source=pieces[0].text), *pieces[1:]]


def _attach(
    others: Sequence[Piece], pieces: Sequence[Piece], chosen: Mapping[str, list[Piece]]
) -> dict[str, list[Piece]]:
    """Attach each other cell to the answer that followed it; the last ones go to the end."""
    answer_of = {id(piece): cell for cell, kept in chosen.items() for piece in kept[:1]}
    attached: dict[str, list[Piece]] = {}
    waiting: list[Piece] = []
    seen: set[str] = set()
    other = {id(piece) for piece in others}
    for piece in pieces:
        if id(piece) in answer_of:
            attached.setdefault(answer_of[id(piece)], []).extend(waiting)
            waiting = []
        elif id(piece) in other and (text := normal(piece.text)) not in seen:
            seen.add(text)
            waiting.append(piece)
    attached[""] = waiting
    return attached


def _text(cell: Cell | Piece) -> str:
    code = cell.kind == "code" if isinstance(cell, Cell) else cell.code
    return (cell.source if isinstance(cell, Cell) else cell.text) if code else ""


def _make_runnable(placed: Placed) -> None:
    """Move other cells: before the first cell that needs their names, behind what they need themselves."""
    for _ in range(len(placed.cells)):
        if not _move_one(placed):
            return


def _move_one(placed: Placed) -> bool:
    cells = placed.cells
    defined = [defined_names(_text(cell)) for cell in cells]
    known: set[str] = set()
    for at, cell in enumerate(cells):
        missing = used_names(_text(cell)) - known
        if isinstance(cell, Piece) or cell.role == "answer":
            for name in sorted(missing):
                later = [place for place in range(at + 1, len(cells)) if name in defined[place]]
                if len(later) != 1:
                    continue
                source = cells[later[0]]
                if isinstance(source, Piece):
                    cells.insert(at, cells.pop(later[0]))
                    placed.notes.append(
                        f"cell {source.number} defines {name} and was moved to where it is needed"
                    )
                    return True
                if isinstance(cell, Piece) and source.role != "answer":
                    cells.insert(later[0], cells.pop(at))
                    placed.notes.append(f"cell {cell.number} needs {name} and was moved behind it")
                    return True
        known |= defined[at]
    return False

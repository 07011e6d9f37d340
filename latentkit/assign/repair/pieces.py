"""Separate the kit's own text in returned cells from what the student wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latentkit.assign.cells import Cell, answer_mark
from latentkit.assign.names import defined_names, parses
from latentkit.assign.repair.returned import Returned

__all__ = ["Piece", "joined", "normal", "student_pieces"]


@dataclass(frozen=True)
class Piece:
    """Text of a student: where it stood, the ids of its cell, and whether it is code."""

    number: int
    code: bool
    ids: frozenset[str]
    text: str
    after: str = ""  # id of the expected cell that came last before it


def normal(text: str) -> str:
    """Return a text without blank lines and without spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines() if line.strip())


def student_pieces(returned: Sequence[Returned], expected: Sequence[Cell]) -> tuple[list[Piece], list[str]]:
    """Return what the student wrote, in the order in which it came back, and notes on what was changed.

    Text of the kit's cells is left out wherever it appears: whole cells, their copies, and blocks of lines in
    merged cells. The rest is cut where such a block or the first line of an answer cell stood.
    """
    own = [cell for cell in expected if cell.role != "answer"]
    texts = {normal(cell.source): cell.id for cell in own}
    by_id = {cell.id: cell for cell in own}
    answers = {cell.id for cell in expected if cell.role == "answer"}
    names = {cell.question.answer for cell in expected if cell.question is not None} - {""}
    pieces: list[Piece] = []
    notes: list[str] = []
    after = ""
    for cell in returned:
        text = normal(cell.text)
        if text in texts:
            after = texts[text]
            continue
        edited = next((by_id[each] for each in cell.ids if each in by_id), None)
        code = _is_code(cell, names)
        edited = edited or _edited_parameters(cell, own)
        if edited is not None:
            after = edited.id
            found, note = _edited(cell, edited, own, code=code)
            notes.append(note)
        else:
            found = _cut(cell, own, expected, code=code)
        pieces += [replace(piece, after=after) for piece in found]
        if cell.ids & answers:
            after = next(iter(cell.ids & answers))
    return pieces, notes


def _is_code(cell: Returned, names: set[str]) -> bool:
    """Whether a cell holds code; an answer in a cell whose type was changed counts."""
    if cell.kind == "code":
        return True
    return bool(defined_names(cell.text) & names) or (cell.kind == "raw" and parses(cell.text))


def _edited_parameters(cell: Returned, own: Sequence[Cell]) -> Cell | None:
    """Return the cell of parameters that assigns the same names as this cell, which has lost its id."""
    names = defined_names(cell.text)
    same = [
        each for each in own if each.role == "parameters" and names and names == defined_names(each.source)
    ]
    return same[0] if same else None


def _edited(cell: Returned, original: Cell, own: Sequence[Cell], *, code: bool) -> tuple[list[Piece], str]:
    """Return what a student added to a cell of the kit, and a note."""
    note = f"cell {cell.number}: {original.id} was changed and is restored"
    lines = {line.rstrip() for line in original.source.splitlines()}
    found = _cut(cell, own, [original], code=code)
    kept = []
    for piece in found:
        added = [line for line in piece.text.splitlines() if line.strip() and line.rstrip() not in lines]
        if not added:
            continue
        changed = defined_names(piece.text) - defined_names(original.source)
        if original.kind == "markdown" or changed:
            text = "\n".join(added) if original.kind == "markdown" or parses("\n".join(added)) else piece.text
            kept.append(replace(piece, text=text, ids=frozenset()))
    return kept, note


def _cut(cell: Returned, own: Sequence[Cell], expected: Sequence[Cell], *, code: bool) -> list[Piece]:
    """Cut a cell where text of the kit stands in it, and before the first lines of answer cells."""
    lines = cell.text.splitlines()
    blocks = sorted((normal(each.source).splitlines() for each in own), key=len, reverse=True)
    marks = {answer_mark(each.question) for each in expected if each.role == "answer" and each.question}
    groups: list[list[str]] = [[]]
    place = 0
    while place < len(lines):
        length = next((size for block in blocks if (size := _length(block, lines, place))), 0)
        if length:
            groups.append([])
            place += length
            continue
        if lines[place].strip() in marks and any(line.strip() for line in groups[-1]):
            groups.append([])
        groups[-1].append(lines[place])
        place += 1
    texts = ["\n".join(group).strip("\n") for group in groups]
    kept = [text for text in texts if text.strip()]
    return [Piece(cell.number, code, cell.ids if len(kept) == 1 else frozenset(), text) for text in kept]


def _length(block: list[str], lines: list[str], place: int) -> int:
    """Number of lines from ``place`` on that are this block, with blank lines between; 0 if they are not."""
    if not block:
        return 0
    at = place
    for wanted in block:
        while at < len(lines) and not lines[at].strip() and at > place:
            at += 1
        if at >= len(lines) or lines[at].rstrip() != wanted:
            return 0
        at += 1
    return at - place


def joined(pieces: Sequence[Piece], names: set[str]) -> tuple[list[Piece], list[str], list[str]]:
    """Join code that was split over cells: invalid Python with its neighbour, if together they are valid.

    Parameters
    ----------
    pieces : sequence of Piece
        In the order in which they came back.
    names : set of str
        Names of the answers.

    Returns
    -------
    tuple
        The pieces, notes, and what a person must look at: joins that are likely but not certain.
    """
    result: list[Piece] = []
    notes: list[str] = []
    unclear: list[str] = []
    for piece in pieces:
        before = result[-1] if result else None
        whole = _whole(before, piece) if before is not None else None
        if before is None or whole is None:
            result.append(piece)
            continue
        result[-1] = replace(before, text=whole, ids=before.ids | piece.ids)
        note = f"cells {before.number} and {piece.number} were one cell and are joined"
        certain = not parses(before.text) or bool(defined_names(before.text) & names)
        (notes if certain else unclear).append(note if certain else f"{note}; please check")
    return result, notes, unclear


def _whole(before: Piece, piece: Piece) -> str | None:
    """Return the text of two cells as one if that makes invalid Python valid, else None."""
    if not (before.code and piece.code) or (parses(before.text) and parses(piece.text)):
        return None
    texts = (f"{before.text}\n{piece.text}", before.text + piece.text)
    return next((text for text in texts if parses(text)), None)

"""Read a notebook that came back, in whatever state it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentkit.errors import FileError

__all__ = ["LARGEST", "Returned", "read_returned", "said_student"]

LARGEST = 500_000_000  # bytes; outputs of tens of megabytes happen


@dataclass(frozen=True)
class Returned:
    """A cell that came back: its number, type, ids and text. Outputs are not kept."""

    number: int
    kind: str
    ids: frozenset[str]
    text: str


def read_returned(path: Path) -> tuple[list[Returned], Mapping[str, Any]]:
    """Read the cells of a notebook and its metadata.

    Parameters
    ----------
    path : Path
        A file that may be anything.

    Returns
    -------
    tuple
        The cells, and the notebook's metadata.

    Raises
    ------
    FileError
        If the file is no notebook.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise FileError(f"{path.name} has {size / 1e6:.0f} MB; up to {LARGEST / 1e6:.0f} MB are read.")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path.name} is no notebook: {error}") from None
    cells = _cells(content)
    if not isinstance(cells, list) or not cells:
        raise FileError(f"{path.name} is no notebook: it has no cells.")
    metadata = content.get("metadata")
    found = [_returned(number, cell) for number, cell in enumerate(cells, start=1) if isinstance(cell, dict)]
    return found, metadata if isinstance(metadata, dict) else {}


def said_student(metadata: Mapping[str, Any]) -> str | None:
    """Return whose notebook the metadata say it is; for a note only."""
    own = metadata.get("latentkit")
    said = own.get("student") if isinstance(own, dict) else None
    return said if isinstance(said, str) else None


def _cells(content: Any) -> Any:
    """Return the cells of a notebook of format 4, or 3 with its worksheets."""
    if not isinstance(content, dict):
        return None
    sheets = content.get("worksheets")
    if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict):
        return sheets[0].get("cells")
    return content.get("cells")


def _returned(number: int, cell: dict[str, Any]) -> Returned:
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    grader = metadata.get("nbgrader")
    grader = grader if isinstance(grader, dict) else {}
    ids = (cell.get("id"), metadata.get("id"), metadata.get("latentkit"), grader.get("grade_id"))
    text = cell.get("source", cell.get("input", ""))
    if isinstance(text, list):
        text = "".join(part for part in text if isinstance(part, str))
    return Returned(
        number,
        str(cell.get("cell_type", "code")),
        frozenset(each for each in ids if isinstance(each, str)),
        str(text).replace("\r\n", "\n").replace("\r", "\n"),
    )

"""The students of a course, and its secret."""

from __future__ import annotations

import csv
import os
import re
import secrets
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from latentkit.errors import FileError

__all__ = ["Student", "read_roster", "read_secret"]

_ID = re.compile(r"[\w.@-]+")
_COLUMNS = {"id", "student", "student_id", "username", "user"}


class Student(NamedTuple):
    """A student: id and name."""

    id: str
    name: str


def read_roster(path: Path | str) -> list[Student]:
    """Read a list of students.

    Parameters
    ----------
    path : path
        CSV with a column ``id``, optionally ``name`` or ``first_name`` and ``last_name``.

    Returns
    -------
    list of Student
        In the order of the file.

    Raises
    ------
    FileError
        If the file cannot be read, has no column ``id``, an unusable id or the same id twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"Cannot read the roster {path}: {error}") from None
    with suppress(csv.Error):
        first = text.partition("\n")[0]
        dialect = csv.Sniffer().sniff(first, ",;\t") if any(mark in first for mark in ",;\t") else csv.excel
        rows = list(csv.DictReader(text.splitlines(), dialect=dialect))
        return _students(rows, path)
    raise FileError(f"{path} is not a CSV file. Its first line names the columns, one of them is id.")


def _students(rows: list[dict[str, str]], path: Path | str) -> list[Student]:
    names = {str(name).strip().lower(): name for name in rows[0]} if rows else {}
    column = next((names[name] for name in names if name in _COLUMNS), None)
    if column is None:
        raise FileError(f"{path} has no students in a column id. Its first line must name the columns.")
    students = []
    for number, row in enumerate(rows, start=2):
        identity = unicodedata.normalize("NFC", row[column] or "").strip()
        if not identity and not any(value for value in row.values() if value):
            continue
        if not _ID.fullmatch(identity) or identity.strip(".") == "":
            raise FileError(
                f"{path}, line {number}: {identity!r} is no usable id. Use letters, digits and . _ @ -"
            )
        full = row.get(names.get("name", ""), "") or " ".join(
            filter(None, [row.get(names.get(part, ""), "") for part in ("first_name", "last_name")])
        )
        students.append(Student(identity, full.strip()))
    folded = [student.id.casefold() for student in students]
    if twice := sorted({name for name in folded if folded.count(name) > 1}):
        raise FileError(
            f"{path} has the id {twice[0]!r} twice (in upper or lower case). Each id must be unique."
        )
    return students


def read_secret(path: Path, *, create: bool = False) -> bytes:
    """Read the secret of a course; write a new one if there is none and ``create`` is set.

    Raises
    ------
    FileError
        If there is no secret, or it is too short.
    """
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise FileError(
            f"Cannot read the secret of the course: {error}. Without it the students' parameters are lost; "
            f"put your copy back to {path}."
        ) from None
    if len(secret) < 16:
        raise FileError(f"The secret in {path} has {len(secret)} characters; it needs at least 16.")
    return secret

"""Copies of the lessons for a reader: laid without outputs, never overwritten once they were changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from latentkit.errors import FileError, LatentkitError, nearest
from latentkit.files import write_file

__all__ = ["Laid", "lay_lesson_anew", "lay_lessons", "lesson_folder"]

_RECORD = ".latentkit.json"  # digest of each file as it was laid
_LEFT_OUT = (".py", ".svg")  # sources of the notebooks, and what a run of a lesson writes


def lesson_folder() -> Path:
    """Return the folder of the lessons: in the installed package, or beside it in a copy of the project.

    Raises
    ------
    LatentkitError
        If neither has lessons.
    """
    package = Path(__file__).resolve().parent
    places = [package / "notebooks", package.parent / "notebooks"]
    for place in places:
        if any(place.glob("*.ipynb")):
            return place
    msg = (
        f"No lessons found: there is no .ipynb file in {' or '.join(map(str, places))}. Install latentkit "
        "again."
    )
    raise LatentkitError(msg)


@dataclass
class Laid:
    """What `lay_lessons` did.

    Attributes
    ----------
    first : str
        Name of the first lesson.
    new : list of str
        Files that were laid because they were absent or unchanged copies of an older version.
    outdated : list of str
        Changed copies of lessons that have a newer version.
    """

    first: str
    new: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)


def lay_lessons(folder: str | os.PathLike[str]) -> Laid:
    """Lay copies of the lessons, without outputs, in a folder.

    Parameters
    ----------
    folder : path
        It is created if it does not exist. A file in it that was changed since it was laid stays as it is.

    Returns
    -------
    Laid
        What was laid, and which changed copies have a newer version.

    Raises
    ------
    FileError
        If the folder cannot be created or written to, or is the folder of the original lessons.
    LatentkitError
        If the lessons are not found.
    """
    source, target = lesson_folder(), Path(folder)
    _make_folder(target, source)
    record = _read_record(target)
    laid = Laid(first=min(path.name for path in source.glob("*.ipynb")))
    for path in _originals(source):
        content, copy = _without_outputs(path), target / path.name
        fresh, present = _digest(content), _digest_of(copy)
        if present == fresh:
            record[path.name] = fresh
        elif present in (None, record.get(path.name)):
            write_file(copy, content)
            record[path.name] = fresh
            laid.new.append(path.name)
        elif record.get(path.name, fresh) != fresh:
            laid.outdated.append(path.name)
    _write_record(target, record)
    return laid


def lay_lesson_anew(name: str, folder: str | os.PathLike[str]) -> tuple[Path, Path | None]:
    """Lay one lesson anew; a changed copy is kept under another name.

    Parameters
    ----------
    name : str
        The lesson's number, such as "02" or "2", or its file name.
    folder : path
        A folder that `lay_lessons` filled.

    Returns
    -------
    laid, kept : Path, Path or None
        The new copy, and where the changed one is now; None if it was absent or unchanged.

    Raises
    ------
    LatentkitError
        If there is no such lesson.
    FileError
        If there are no lessons in the folder, or it cannot be written to.
    """
    source, target = lesson_folder(), Path(folder)
    path = _find(name, source)
    if not (target / _RECORD).is_file():
        msg = f"{target} holds no lessons of latentkit. Name the folder that `latentkit lab` opened."
        raise FileError(msg)
    record, content = _read_record(target), _without_outputs(path)
    copy, fresh = target / path.name, _digest(content)
    changed = _digest_of(copy) not in (None, fresh, record.get(path.name))
    kept = _keep(copy) if changed else None
    write_file(copy, content)
    _write_record(target, record | {path.name: fresh})
    return copy, kept


def _make_folder(folder: Path, source: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder} cannot be a folder for the lessons: {error.strerror}. Name another one."
        raise FileError(msg) from error
    if folder.samefile(source):
        msg = f"{folder} holds the original lessons, which stay as they are. Name another folder."
        raise FileError(msg)


def _originals(source: Path) -> Iterator[Path]:
    """Return the lessons and the files that they refer to, in alphabetical order."""
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix not in _LEFT_OUT and not path.name.startswith("."):
            yield path


def _find(name: str, source: Path) -> Path:
    """Return the lesson with this number or name, or another file with this name."""
    lessons = {path.name.removesuffix(".ipynb"): path for path in _originals(source)}
    for known, path in lessons.items():
        number = known.partition("_")[0]
        if name in (known, path.name) or name.zfill(len(number)) == number:
            return path
    msg = f"No lesson named {name!r}. {nearest(name, lessons)}"
    raise LatentkitError(msg)


def _without_outputs(path: Path) -> bytes:
    """Return the content of a lesson's copy; of a file that is not a notebook, its content."""
    if path.suffix != ".ipynb":
        return path.read_bytes()
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _keep(copy: Path) -> Path:
    """Copy a changed lesson to the first name that is free."""
    number = 1
    while True:
        kept = copy.with_name(f"{copy.stem}_kept_{number}{copy.suffix}")
        try:
            with kept.open("xb") as file, copy.open("rb") as changed:
                shutil.copyfileobj(changed, file)
        except FileExistsError:
            number += 1
        except OSError as error:
            kept.unlink(missing_ok=True)
            msg = f"{copy} could not be kept as {kept.name}: {error.strerror}. It is unchanged."
            raise FileError(msg) from error
        else:
            return kept


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str | None:
    """Return the digest of a file, None if there is none."""
    return _digest(path.read_bytes()) if path.exists() else None


def _read_record(folder: Path) -> dict[str, str]:
    """Return the digests of the files as they were laid; of a damaged record, none."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(folder: Path, record: dict[str, str]) -> None:
    write_file(folder / _RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")

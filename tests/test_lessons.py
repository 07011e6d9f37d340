"""Copies of the lessons: fresh at first, kept once they are changed, laid anew on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latentkit import lessons
from latentkit.errors import FileError, LatentkitError
from latentkit.lessons import lay_lesson_anew, lay_lessons, lesson_folder

PROJECT = Path(__file__).resolve().parent.parent


def notebook(text: str) -> str:
    outputs = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    code = {"cell_type": "code", "source": text, "outputs": outputs, "execution_count": 1, "metadata": {}}
    return json.dumps({"cells": [code, {"cell_type": "markdown", "source": "é", "metadata": {}}]})


@pytest.fixture
def originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small lessons and a glossary in place of the shipped ones."""
    folder = tmp_path / "originals"
    folder.mkdir()
    for name in ("00_start.ipynb", "02_two.ipynb"):
        (folder / name).write_text(notebook(name), encoding="utf-8")
    (folder / "glossary.md").write_text("words")
    (folder / "02_two.py").write_text("source")
    (folder / "picture.svg").write_text("saved by a lesson")
    monkeypatch.setattr(lessons, "lesson_folder", lambda: folder)
    return folder


@pytest.fixture
def copies(originals: Path, tmp_path: Path) -> Path:
    lay_lessons(tmp_path / "copies")
    return tmp_path / "copies"


def cells(path: Path) -> list[Any]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_copies_have_no_outputs_and_are_otherwise_the_lessons(originals: Path, copies: Path) -> None:
    assert sorted(path.name for path in copies.iterdir() if path.name[0] != ".") == [
        "00_start.ipynb",
        "02_two.ipynb",
        "glossary.md",
    ]
    expected = cells(originals / "02_two.ipynb")
    expected[0] |= {"outputs": [], "execution_count": None}
    assert cells(copies / "02_two.ipynb") == expected


def test_a_changed_copy_stays_and_an_absent_one_is_laid(copies: Path) -> None:
    (copies / "00_start.ipynb").write_text("mine")
    (copies / "02_two.ipynb").unlink()
    laid = lay_lessons(copies)
    assert (copies / "00_start.ipynb").read_text() == "mine"
    assert (laid.first, laid.new, laid.outdated) == ("00_start.ipynb", ["02_two.ipynb"], [])


def test_a_new_version_replaces_unchanged_copies_only(originals: Path, copies: Path) -> None:
    (copies / "00_start.ipynb").write_text("mine")
    for name in ("00_start.ipynb", "02_two.ipynb"):
        (originals / name).write_text(notebook("newer"), encoding="utf-8")
    for _ in range(2):  # the second call reports the same
        laid = lay_lessons(copies)
        assert laid.outdated == ["00_start.ipynb"]
    assert (copies / "00_start.ipynb").read_text() == "mine"
    assert cells(copies / "02_two.ipynb")[0]["source"] == "newer"


@pytest.mark.parametrize("name", ["02", "2", "02_two", "02_two.ipynb"])
def test_a_lesson_is_laid_anew_and_each_changed_copy_is_kept(copies: Path, name: str) -> None:
    fresh = (copies / "02_two.ipynb").read_bytes()
    for number in (1, 2):
        (copies / "02_two.ipynb").write_text(f"mine {number}")
        laid, kept = lay_lesson_anew(name, copies)
        assert laid.read_bytes() == fresh
        assert kept is not None
        assert (kept.name, kept.read_text()) == (f"02_two_kept_{number}.ipynb", f"mine {number}")
    assert lay_lesson_anew(name, copies) == (copies / "02_two.ipynb", None)  # unchanged: nothing to keep
    assert (copies / "02_two_kept_1.ipynb").read_text() == "mine 1"


def test_a_lesson_that_was_laid_anew_counts_as_unchanged(originals: Path, copies: Path) -> None:
    (copies / "02_two.ipynb").write_text("mine")
    lay_lesson_anew("02", copies)
    (originals / "02_two.ipynb").write_text(notebook("newer"), encoding="utf-8")
    assert lay_lessons(copies).new == ["02_two.ipynb"]


def test_without_a_readable_record_every_differing_copy_is_kept(originals: Path, copies: Path) -> None:
    (copies / ".latentkit.json").write_text("{")
    (originals / "00_start.ipynb").write_text(notebook("newer"), encoding="utf-8")
    before = (copies / "00_start.ipynb").read_bytes()
    laid = lay_lessons(copies)
    assert (laid.new, laid.outdated) == ([], [])
    assert (copies / "00_start.ipynb").read_bytes() == before


def test_an_unknown_lesson_gets_the_nearest_known_one(copies: Path) -> None:
    with pytest.raises(LatentkitError) as raised:
        lay_lesson_anew("02_too", copies)
    assert str(raised.value) == (
        "No lesson named '02_too'. Did you mean '02_two'? Known: '00_start', '02_two', 'glossary.md'."
    )


def test_folders_that_cannot_hold_copies_are_refused(originals: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"holds the original lessons, which stay as they are"):
        lay_lessons(originals)
    with pytest.raises(FileError, match=r"holds no lessons of latentkit\. Name the folder that"):
        lay_lesson_anew("02", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"cannot be a folder for the lessons: File exists"):
        lay_lessons(tmp_path / "file")


def test_a_failed_write_loses_nothing(copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise FileError("Could not write.")

    (copies / "02_two.ipynb").write_text("mine")
    monkeypatch.setattr(lessons, "write_file", fail)
    with pytest.raises(FileError):
        lay_lesson_anew("02", copies)
    assert (copies / "02_two.ipynb").read_text() == "mine"


def test_the_lessons_of_the_project_are_found_beside_the_package() -> None:
    assert lesson_folder() == PROJECT / "notebooks"

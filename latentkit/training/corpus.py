"""Documents from files, folders or a named dataset, without the held-out ones."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from latentkit.errors import ArgumentError
from latentkit.models.chat import BEGIN_TEXT, END_TEXT, render_chat
from latentkit.problems.held_out import shows_held_out_addition

__all__ = [
    "find_files",
    "is_held_out_document",
    "is_share_alike",
    "read_documents",
    "read_held_out_documents",
    "sample_texts",
]

DOCUMENT_END = "<|endoftext|>"
SUFFIXES = (".txt", ".txt.xz", ".jsonl", ".jsonl.xz")
HELD_OUT = "heldout_"
PARTLY_HELD_OUT, HELD_OUT_ONE_IN = "docs", 40  # prefix of file names; one document in 40 is held out


def find_files(source: str | Path) -> list[Path]:
    """Return the files of a source, sorted by name; an empty list if the source is not on this disk.

    Parameters
    ----------
    source : str or Path
        A file or a folder. Of a folder, every text and chat file in it and its subfolders is returned,
        except files named ``heldout_*``.

    Raises
    ------
    ArgumentError
        If a file is named ``heldout_*`` or has an unknown format, or a folder contains no readable file.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.name.endswith(SUFFIXES) and p.is_file())
        files = [p for p in files if not p.name.startswith(HELD_OUT)]
        if not files:
            raise ArgumentError(
                f"The folder '{path}' contains no files to train on. Add files that end in "
                f"{', '.join(SUFFIXES)} and are not called {HELD_OUT}*."
            )
        return files
    if not path.is_file():
        return []
    if path.name.startswith(HELD_OUT):
        raise ArgumentError(
            f"'{path.name}' is held out: figures are measured on it, so it is never trained on. "
            "Pass other files."
        )
    if not path.name.endswith(SUFFIXES):
        raise ArgumentError(f"Cannot read '{path.name}'. Pass a file that ends in {', '.join(SUFFIXES)}.")
    return [path]


def read_documents(source: str | Path, *, share_alike: bool = False) -> Iterator[str]:
    """Yield every document of a file or dataset as text with special tokens, ready to be encoded.

    If the name of a text file begins with ``docs``, its held-out documents (see `is_held_out_document`) are
    left out, because bits per byte are measured on them. Chats that contain a held-out addition (see
    `latentkit.problems.held_out`) are left out too.

    Parameters
    ----------
    source : str or Path
        A file as `find_files` returns it, or the name of a dataset on the hub. The `datasets` package reads
        the column ``messages`` or ``text`` of the split ``train``.
    share_alike : bool
        Keep records whose licence contains ``-SA-``.

    Yields
    ------
    str
        ``<|begin_text|>…<|end_text|>``; chats are rendered with the chat template.

    Raises
    ------
    ArgumentError
        If the source is neither on this disk nor the name of a dataset, or a line is not a valid record.
    """
    path = Path(source)
    if not path.is_file():
        yield from _records(_from_hub(str(source)), str(source), share_alike=share_alike)
        return
    with _open(path) as file:
        if ".jsonl" in path.name:
            yield from _records(_lines(file, path.name), path.name, share_alike=share_alike)
        else:
            partly = path.name.startswith(PARTLY_HELD_OUT)
            for text in _texts(file):
                if not (partly and is_held_out_document(text)):
                    yield f"{BEGIN_TEXT}{text}{END_TEXT}"


def read_held_out_documents(path: str | Path) -> Iterator[str]:
    """Yield the documents of a text file that `read_documents` leaves out."""
    with _open(Path(path)) as file:
        yield from filter(is_held_out_document, _texts(file))


def is_held_out_document(text: str) -> bool:
    """Return whether a document of a file named ``docs*`` is held out: one in 40, by a digest of its text.

    Examples
    --------
    >>> sum(is_held_out_document(f"Document {i}") for i in range(4000))
    86
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0


def sample_texts(sources: Iterable[str | Path], *, piece: int = 20_000, every: int = 5) -> Iterator[str]:
    """Yield one piece in ``every`` of the documents, as a sample to train a tokenizer on.

    Parameters
    ----------
    sources : iterable of str or Path
        As for `read_documents`.
    piece : int
        Length of a piece in characters; the last piece of a source may be shorter.
    every : int
        One piece in this many is yielded.
    """
    for source in sources:
        waiting, count = "", 0
        for document in read_documents(source):
            waiting += document.replace(BEGIN_TEXT, "").replace(END_TEXT, "\n")
            whole = len(waiting) // piece * piece
            for start in range(0, whole, piece):
                if (count := count + 1) % every == 1 % every:
                    yield waiting[start : start + piece]
            waiting = waiting[whole:]
        if not count:
            yield waiting


def is_share_alike(record: Mapping[str, Any]) -> bool:
    """Return whether the record has a share-alike licence.

    Examples
    --------
    >>> is_share_alike({"licence": "CC-BY-SA-4.0"}), is_share_alike({"licence": "MIT"}), is_share_alike({})
    (True, False, False)
    """
    return "-SA-" in str(record.get("licence", ""))


def _open(path: Path) -> TextIO:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _texts(file: TextIO) -> Iterator[str]:
    lines: list[str] = []
    for line in file:
        if line.rstrip("\n") == DOCUMENT_END:
            yield "".join(lines).strip()
            lines = []
        else:
            lines.append(line)
    if rest := "".join(lines).strip():
        yield rest


def _lines(file: TextIO, name: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(file, start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise ArgumentError(
                f"Line {number} of '{name}' is not a JSON record ({error}). Write one object per line."
            ) from error


def _records(records: Iterable[Mapping[str, Any]], name: str, *, share_alike: bool) -> Iterator[str]:
    for record in records:
        if not share_alike and is_share_alike(record):
            continue
        if "messages" in record:
            chat = render_chat(record["messages"])
            if not shows_held_out_addition(chat):
                yield chat
        elif "text" in record:
            yield f"{BEGIN_TEXT}{record['text'].strip()}{END_TEXT}"
        else:
            raise ArgumentError(
                f"A record of '{name}' has {', '.join(sorted(record)) or 'nothing'}; "
                "it needs 'messages' (a chat) or 'text'."
            )


def _from_hub(name: str) -> Iterable[Mapping[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise ArgumentError(
            f"There is no file or folder '{name}', and the package `datasets`, which would look for a "
            "dataset of that name, is not installed. Correct the path, or `pip install datasets`."
        ) from None
    dataset: Iterable[Mapping[str, Any]] = load_dataset(name, split="train")
    return dataset

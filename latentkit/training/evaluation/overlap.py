"""Find held-out text in training text: sequences of thirteen words that occur in both."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from latentkit.training.corpus import find_files, read_documents
from latentkit.training.evaluation.evaluate import read_held_out

__all__ = ["main", "shared_runs"]

_WORD = re.compile(r"[^\W_]+")


def shared_runs(held_out: str, documents: Iterable[str], *, words: int = 13) -> list[str]:
    """Return the sequences of words of the held-out text that also occur in a document, each once.

    Parameters
    ----------
    held_out : str
        Text that training must not contain.
    documents : iterable of str
        Training documents, read one at a time.
    words : int
        Length of a sequence. Case, punctuation and line breaks are ignored.

    Returns
    -------
    list of str
        Lower-case words; empty if nothing is shared.

    Notes
    -----
    A sequence of a document is compared in full only if its first three words begin a held-out sequence.

    Examples
    --------
    >>> shared_runs("One, two; three four.", ["zero one two three", "two three four!"], words=3)
    ['one two three', 'two three four']
    """
    ours = _words(held_out)
    runs = {tuple(ours[i : i + words]) for i in range(len(ours) - words + 1)}
    starts = {run[:3] for run in runs}
    found: dict[str, None] = {}
    for document in documents:
        theirs = _words(document)
        heads = zip(theirs, theirs[1:], theirs[2:], strict=False)
        for i in (i for i, head in enumerate(heads) if head in starts):
            run = tuple(theirs[i : i + words])
            if run in runs:
                found[" ".join(run)] = None
    return list(found)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the sequences that held-out and training text share; the exit status is 1 if there are any."""
    parser = argparse.ArgumentParser(
        prog="python -m latentkit.training.evaluation.overlap", description=__doc__
    )
    parser.add_argument("--heldout", help="file of held-out text")
    parser.add_argument("--data", nargs="+", required=True, help="files or folders of training text")
    arguments = parser.parse_args(argv)
    text = read_held_out(arguments.heldout)
    found = shared_runs(text, _all_documents(arguments.data))
    for run in found:
        print(run)
    print(f"{len(found)} sequences of 13 words occur in both.")
    return 1 if found else 0


def _all_documents(sources: Iterable[str | Path]) -> Iterator[str]:
    for source in sources:
        for file in find_files(source) or (source,):
            yield from read_documents(file, share_alike=True)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


if __name__ == "__main__":
    raise SystemExit(main())

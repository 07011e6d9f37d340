"""What can go wrong, under one name: every error of the kit is a `LatentkitError`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "FileError",
    "LatentkitError",
    "ModelError",
    "PromptError",
    "TraceError",
    "nearest",
]


class LatentkitError(Exception):
    """Parent of every error that latentkit raises on purpose.

    A message says what was wrong, what was given and what to do.
    """


class ArgumentError(LatentkitError, ValueError):
    """An argument has a value that the function cannot work with."""


class PromptError(ArgumentError):
    """A prompt is empty, too long, malformed, or needs a tokenizer that is not there."""


class ModelError(LatentkitError):
    """A model cannot be found, read or trusted to be what it says it is."""


class FileError(LatentkitError, OSError):
    """A file cannot be written or read."""


class TraceError(LatentkitError, ValueError):
    """A dataset or file is not a trace, or lacks what was asked of it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, and list them all.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : iterable of str
        What would have been right.

    Returns
    -------
    str
        A sentence or two to end an error message with.

    Examples
    --------
    >>> nearest("nona", ["nano", "huginn"])
    "Did you mean 'nano'? Known: 'huginn', 'nano'."
    >>> nearest("zebra", ["nano", "huginn"])
    "Known: 'huginn', 'nano'."
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(map(repr, names))}."

"""The kit's errors; each is a `LatentkitError`."""

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
    """Base class of the errors that latentkit raises.

    A message states what was wrong, what was given and what to do.
    """


class ArgumentError(LatentkitError, ValueError):
    """An argument has a value that the function cannot work with."""


class PromptError(ArgumentError):
    """A prompt is empty, too long, malformed, or needs a tokenizer that is not there."""


class ModelError(LatentkitError):
    """A model cannot be found or read, or does not match its description."""


class FileError(LatentkitError, OSError):
    """A file cannot be written or read."""


class TraceError(LatentkitError, ValueError):
    """A dataset or file is not a trace, or lacks a variable that is needed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint with the nearest known name, and all known names.

    Parameters
    ----------
    name : str
        The name given.
    known : iterable of str
        The valid names.

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

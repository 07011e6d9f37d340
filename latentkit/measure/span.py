"""The tokens of a trace that cover a text."""

from __future__ import annotations

import re

import xarray as xr

from latentkit.arguments import is_whole
from latentkit.errors import ArgumentError, TraceError

__all__ = ["token_slice"]

# A byte that is not a whole character, as written in a trace.
_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")
_QUOTED = 40  # characters of a text that a message repeats


def token_slice(trace: xr.Dataset, text: str, *, occurrence: int = 0) -> slice:
    """Tokens that cover a text, as a slice for ``tokens=`` of the plots.

    Parameters
    ----------
    trace : Dataset
        With ``token_text`` over ``token``, as from ``run_recurrence``.
    text : str
        The text to find in the concatenated texts of all tokens, letter by letter. Most words have a leading
        space; with it the slice begins at the word's own token.
    occurrence : int
        Which occurrence, where there are several: 0 is the first, −1 the last.

    Returns
    -------
    slice
        Positions, from the token that holds the first letter to the one that holds the last.

    Raises
    ------
    TraceError
        If the dataset has no token texts.
    ArgumentError
        If the text is empty, or does not occur (that often).

    Notes
    -----
    The texts are compared as bytes, so a character that is spread over tokens (``<0xC3>``, ``<0xA9>``) is
    found as well.

    Examples
    --------
    >>> texts = ("token", ["The", " deliber", "ation", " of", " the"])
    >>> trace = xr.Dataset(coords={"token": range(5), "token_text": texts})
    >>> token_slice(trace, "deliberation")
    slice(1, 3, None)
    """
    pieces = _pieces(trace)
    _need_text(text)
    whole, wanted = b"".join(pieces), _coded(text)
    begins = [match.start() for match in re.finditer(b"(?=" + re.escape(wanted) + b")", whole)]
    if not begins:
        raise ArgumentError(_nowhere(text, whole, wanted))
    if not is_whole(occurrence) or not -len(begins) <= occurrence < len(begins):
        times = "once" if len(begins) == 1 else f"{len(begins)} times"
        msg = f"occurrence is {occurrence!r}, but {_quoted(text)} occurs in this trace {times}."
        raise ArgumentError(msg)
    begin = begins[occurrence]
    owners = [row for row, piece in enumerate(pieces) for _ in piece]
    positions = trace["token"].values
    return slice(int(positions[owners[begin]]), int(positions[owners[begin + len(wanted) - 1]]) + 1)


def _need_text(text: object) -> None:
    if not isinstance(text, str) or not text:
        msg = f"`text` is {text!r}; pass a piece of the text that was traced."
        raise ArgumentError(msg)


def _pieces(trace: xr.Dataset) -> list[bytes]:
    texts = trace["token_text"] if "token_text" in getattr(trace, "variables", ()) else None
    if texts is None or texts.dims != ("token",):
        msg = "Expected a trace with 'token_text' over 'token'. Pass what `run_recurrence` returns."
        raise TraceError(msg)
    return [_coded(str(text)) for text in texts.values.tolist()]


def _coded(text: str) -> bytes:
    return _BYTE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode("utf-8", "surrogatepass"))


def _nowhere(text: str, whole: bytes, wanted: bytes) -> str:
    close = re.search(re.escape(wanted.strip()), whole, re.IGNORECASE) if wanted.strip() else None
    near = f" It has {_quoted(close[0].decode('utf-8', 'replace'))}." if close else ""
    return (
        f"{_quoted(text)} does not occur in this trace.{near} Spaces and capital letters must match; "
        'print("".join(trace.token_text.values)) shows the text.'
    )


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")

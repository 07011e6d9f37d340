"""Join the ES modules of static/ into one, which needs no server and no build step."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["bundle", "compact"]

_IMPORT = re.compile(r'^import \{[^}]*\} from "([^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)

_TEXT = r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
_TEXT_OR_COMMENT = re.compile(rf"{_TEXT}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_SPACE = re.compile(r"\s+")
_SPACED_SIGN = re.compile(r" ?([^\w\s$+-]) ?|(?<=[\w)\]]) ([+-]) (?=[\w(])")  # two of + and - must stay apart
_LEADING_ZERO = re.compile(r"(?<![\w.])0(?=\.\d)")


def bundle(entry: Path) -> str:
    """Concatenate a module and its direct and indirect imports; each module follows those that it imports.

    Import statements and the word ``export`` are removed, so all modules share one scope: names at the top
    level must differ between modules, and none may be imported under another name. The tests check both.

    Parameters
    ----------
    entry : Path
        Module whose default export, if it has one, is kept.

    Returns
    -------
    str
        Source of one module without imports.
    """
    sources: dict[Path, str] = {}
    _collect(entry.resolve(), sources)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources.values())


def _collect(path: Path, sources: dict[Path, str]) -> None:
    """Add a module to `sources` after the modules that it imports; `sources` keeps the order."""
    source = path.read_text(encoding="utf-8")
    for name in _IMPORT.findall(source):
        imported = (path.parent / name).resolve()
        if imported not in sources:
            _collect(imported, sources)
    sources[path] = source


def compact(source: str) -> str:
    """Remove comments and needless spaces from a script, about a third of its size.

    This is not a parser: statements must end with semicolons, and none is empty. Regular expressions and
    nested templates are not supported, because their quotes would be misread. The browser tests run the
    compacted explorer.
    """
    uncommented = _TEXT_OR_COMMENT.sub(lambda match: match[1] or " ", source)
    parts = re.split(_TEXT, uncommented)  # code and texts in turn
    return "".join(_without_spaces(part) if i % 2 == 0 else part for i, part in enumerate(parts)).strip()


def _without_spaces(code: str) -> str:
    return _LEADING_ZERO.sub("", _SPACED_SIGN.sub(r"\1\2", _SPACE.sub(" ", code)).replace(";}", "}"))

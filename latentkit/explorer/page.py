"""The explorer without a kernel: inside a saved notebook, and as a page of its own.

Module, style and data are in the page itself, so nothing is fetched. Where scripts may not run, as in a
notebook that is not trusted, its reader sees the picture with its alt text that stands in their place.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["embedded", "module", "page", "style"]

_FOLDER = Path(__file__).parent / "static"
_PARTS = ("numbers.js", "picture.js", "explorer.js")  # what is imported stands before what imports it

_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)
_COMMENT_OR_INDENT = re.compile(r"^(?: *//.*\n| */\*\*(?:.|\n)*?\*/\n| +|\n)", re.MULTILINE)


@lru_cache
def module() -> str:
    """Return the explorer as one ES module: its parts one after the other, as written."""
    parts = [(_FOLDER / name).read_text(encoding="utf-8") for name in _PARTS]
    return _EXPORT.sub("", _IMPORT.sub("", "\n".join(parts)))


@lru_cache
def style() -> str:
    """Return the explorer's style sheet."""
    return (_FOLDER / "explorer.css").read_text(encoding="utf-8")


def embedded(block: bytes, state: Mapping[str, Any], instead: str) -> str:
    """Write an explorer as HTML that may stand anywhere in a page, more than once.

    Parameters
    ----------
    block : bytes
        From `data.pack`.
    state : mapping
        The traits to begin with.
    instead : str
        HTML shown until the module runs, and for good where it may not.

    Returns
    -------
    str
        HTML; the page around needs nothing.
    """
    written = json.dumps(dict(state), sort_keys=True)
    name = hashlib.sha256(block + written.encode()).hexdigest()[:12]
    data = base64.b64encode(block).decode("ascii")
    call = f"start({json.dumps(name)}, {json.dumps(data)}, {_in_script(written)});"
    looks, acts = (_COMMENT_OR_INDENT.sub("", written) for written in (style(), module()))
    return (
        f'<div data-latentkit="{name}">{instead}</div>\n<style>\n{looks}</style>\n'
        f'<script type="module">\n{acts}{call}\n</script>\n'
    )


def page(block: bytes, state: Mapping[str, Any], *, title: str, alt: str) -> str:
    """Write an explorer as a page of its own."""
    instead = f"<noscript><p>{html.escape(alt)}</p></noscript>"
    heading = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{_PAGE}</style>\n</head>\n<body>\n<main>\n<h1>{heading}</h1>\n"
        f"{embedded(block, state, instead)}</main>\n</body>\n</html>\n"
    )


_PAGE = (
    ":root{color-scheme:light dark}body{margin:1.2rem auto;max-width:80rem;padding:0 1rem;"
    "font-family:system-ui,sans-serif}h1{font-size:1.3rem}"
)


def _in_script(written: str) -> str:
    """No text can end the script that it stands in."""
    return written.replace("<", "\\u003c")

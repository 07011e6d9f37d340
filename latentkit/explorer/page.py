"""The explorer without a kernel, in a saved notebook or as a separate page.

The HTML contains script, style and data, so nothing is fetched. If scripts are not allowed, as in an
untrusted notebook, the fallback is shown: a picture with alt text.
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

from latentkit.explorer.bundle import bundle, compact

__all__ = ["embedded", "module", "page", "style"]

_FOLDER = Path(__file__).parent / "static"
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CSS_SPACE = re.compile(r"\s*([{};,])\s*|(?<=:) ")


@lru_cache
def module() -> str:
    """Return the explorer as one ES module."""
    return bundle(_FOLDER / "widget.js")


@lru_cache
def style() -> str:
    """Return the explorer's style sheet."""
    return (_FOLDER / "explorer.css").read_text(encoding="utf-8")


def embedded(block: bytes, state: Mapping[str, Any], fallback: str) -> str:
    """Write an explorer as HTML that can be inserted into any page, also several times.

    Parameters
    ----------
    block : bytes
        From `data.pack`.
    state : mapping
        Initial values of the traits.
    fallback : str
        HTML that is shown until the script runs, or permanently if scripts are not allowed.

    Returns
    -------
    str
        HTML that does not depend on the surrounding page.
    """
    written = json.dumps(dict(state), sort_keys=True)
    name = hashlib.sha256(block + written.encode()).hexdigest()[:12]
    data = base64.b64encode(block).decode("ascii")
    call = f"start({json.dumps(name)}, {json.dumps(data)}, {_in_script(written)});"
    css, js = _CSS_SPACE.sub(r"\1", _CSS_COMMENT.sub("", style())).replace(";}", "}"), compact(module())
    return (
        f'<div data-latentkit="{name}">{fallback}</div>\n<style>\n{css}</style>\n'
        f'<script type="module">\n{js}\n{call}\n</script>\n'
    )


def page(block: bytes, state: Mapping[str, Any], *, title: str, alt: str) -> str:
    """Write an explorer as a complete page."""
    fallback = f"<noscript><p>{html.escape(alt)}</p></noscript>"
    heading = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{_PAGE}</style>\n</head>\n<body>\n<main>\n<h1>{heading}</h1>\n"
        f"{embedded(block, state, fallback)}</main>\n</body>\n</html>\n"
    )


_PAGE = (
    ":root{color-scheme:light dark}body{margin:1.2rem auto;max-width:80rem;padding:0 1rem;"
    "font-family:system-ui,sans-serif}h1{font-size:1.3rem}"
)


def _in_script(written: str) -> str:
    """Escape a text so that it cannot end the script around it."""
    return written.replace("<", "\\u003c")

"""What the lessons state, and which cells compute it; run as a program, it prints the table.

A sentence of a lesson may hold a number for one of three reasons: a cell computes the sentence (`computed`);
the number is typed in Markdown and is a literal of the lesson's code, which sets it (`set by code`); or the
number comes from elsewhere and has a source (`quoted`).
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

import jupytext

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
_HIDDEN = (
    r"```.*?```",  # code
    r"`[^`]*`",
    r"\$\$.*?\$\$",
    r"\$[^$\n]*\$",
    r"\[[^\]]*\]\([^)]*\)|^\[\w+\]: .*$|\[[^\]]*\]\[\w*\]",  # links
    r"\(\d{4}\)|\b(19|20)\d\d\b",  # years
    r"arXiv:\S+",
    r"https?://\S+",
    r"^#+ .*$",  # headings
    r"\*\*Time:\*\*[^.]*\.",
    r"^\*\*Further reading\.\*\*.*",
    r"\b[FGAPC]\d\b|\bPC\d\b|section\s+\d+|chapters? \d+ to \d+",
    r"[Rr]eading \d",
)


class Sentence(NamedTuple):
    """A statement of a lesson with its cell."""

    cell: int
    kind: str
    text: str
    numbers: tuple[str, ...]


def sentences(source: Path) -> list[Sentence]:
    """Return the sentences of a lesson that hold numbers, and those that its cells compute."""
    cells = jupytext.read(source).cells
    literals = _literals("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    found = []
    for place, cell in enumerate(cells):
        if cell.cell_type == "code":
            if text := _computed(cell.source):
                found.append(Sentence(place, "computed", text, ()))
            continue
        for text in _split(cell.source):
            if numbers := re.findall(r"\d+(?:\.\d+)?", text):
                known = all(_known(number, literals, percent="%" in text) for number in numbers)
                kind = "set by code" if known else "quoted"
                found.append(Sentence(place, kind, text, tuple(numbers)))
    return found


def visible_narration(source: Path) -> tuple[int, int]:
    """Return how many visible lines of code only make sentences, and how many there are."""
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    shown = [cell for cell in cells if not cell.metadata.get("jupyter", {}).get("source_hidden")]
    lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in shown]
    narrating = [
        count
        for cell, count in zip(shown, lines, strict=True)
        if _computed(cell.source) or _prints_text(cell.source)
    ]
    return sum(narrating), sum(lines)


def _split(markdown: str) -> list[str]:
    for pattern in _HIDDEN:
        markdown = re.sub(
            pattern, " ", markdown, flags=re.DOTALL if "```" in pattern or "$$" in pattern else re.MULTILINE
        )
    blocks = re.split(r"\n\s*\n|\n(?=[*|-] )", markdown)
    return [
        each.strip()
        for block in blocks
        for each in re.split(r"(?<=[.?!])\s+", " ".join(block.split()))
        if each
    ]


def _literals(code: str) -> set[float]:
    tree = ast.parse(code)
    values = {
        float(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return values | {float(number) for text in texts for number in re.findall(r"\d+(?:\.\d+)?", text)}


def _known(number: str, literals: set[float], *, percent: bool) -> bool:
    value = float(number)
    return value in literals or (percent and value / 100 in literals)


def _computed(code: str) -> str:
    """The text of a cell whose last expression is a sentence; "" for others."""
    last = ast.parse(code).body[-1]
    match last:
        case ast.Expr(ast.Call(ast.Name("Markdown") | ast.Attribute(attr="compare")) as call):
            return " ".join("".join(_texts(call)).split()) or "(only the result)"
    return ""


def _texts(node: ast.AST) -> list[str]:
    match node:
        case ast.Constant(str(text)):
            return [text]
        case ast.FormattedValue():
            return ["{…}"]
        case _:
            return [text for child in ast.iter_child_nodes(node) for text in _texts(child)]


def _prints_text(code: str) -> bool:
    """Whether the cell does nothing but print an f-string."""
    body = ast.parse(code).body
    return len(body) == 1 and "print(f" in code


def main() -> None:
    """Print the table of all lessons, in Markdown."""
    for source in sorted(LESSONS.glob("[0-9][0-9]_*.py")):
        narrating, lines = visible_narration(source)
        share = f"{narrating} of {lines} visible lines of code narrate ({narrating / lines:.0%})"
        print(f"\n## {source.stem}: {share}\n")
        print("| cell | kind | sentence |\n|---|---|---|")
        for each in sentences(source):
            print(f"| {each.cell} | {each.kind} | {each.text.replace('|', chr(92) + '|')} |")


if __name__ == "__main__":
    sys.exit(main())

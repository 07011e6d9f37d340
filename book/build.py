"""Build the site: gather its pages and pictures in one folder, then run Sphinx on it.

`make book` calls this; the result opens from disk: runs/book/html/index.html.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import latentkit as lk
from latentkit.errors import ArgumentError

BOOK = Path(__file__).resolve().parent
PROJECT = BOOK.parent
GROUPS = {
    "Load": ("load_model",),
    "Run": ("run_",),
    "Measure": ("*measure",),
    "Draw": ("plot_", "with_alt", "color_limits"),
    "Explore": ("explore", "slide", "TraceExplorer", "save_live_html"),
    "Files": ("open_", "save_", "examples", "select_prompt"),
}


def main(out: Path) -> int:
    """Gather the sources in ``out/source`` and build ``out/html``; return Sphinx's exit status."""
    source = out / "source"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(BOOK, source, ignore=shutil.ignore_patterns("__pycache__", "build.py"))
    gather_lessons(source)
    (source / "api.md").write_text(reference(), encoding="utf-8")
    changes = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    (source / "changes.md").write_text(changes, encoding="utf-8")
    (source / "extra").mkdir(exist_ok=True)
    live_pages(source / "extra")
    subprocess.run([sys.executable, BOOK / "moving.py", source / "static"], check=True)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-q",
        "-j",
        "1",
        source,
        out / "html",
    ]
    status = subprocess.run(command, check=False).returncode
    link_outputs(out / "html" / "lessons")
    return status


def link_outputs(folder: Path) -> None:
    """Lead links to notebooks in the outputs of cells, which Sphinx does not see, to the pages."""
    for page in folder.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r'href="(\w+)\.ipynb(#[^"]*)?"', r'href="\1.html\2"', text), encoding="utf-8")


def gather_lessons(source: Path) -> None:
    """Copy the executed lessons and write their table of contents; the glossary stands beside them."""
    folder = source / "lessons"
    folder.mkdir()
    lessons = sorted((PROJECT / "notebooks").glob("[0-9]*.ipynb"))
    for path in [*lessons, *(PROJECT / "notebooks").glob("*.md")]:
        shutil.copy(path, folder)
    glossary = "lessons/glossary" if (folder / "glossary.md").exists() else None
    index = source / "index.md"
    text = index.read_text(encoding="utf-8")
    index.write_text(re.sub(r"^glossary$", glossary or "", text, flags=re.MULTILINE), encoding="utf-8")
    entries = "\n".join(path.stem for path in lessons)
    (folder / "index.md").write_text(
        "# Lessons\n\nThe pages show the lessons as they ran; their explorers work here, too. To change and "
        f"run them, open them with `latentkit lab`.\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n",
        encoding="utf-8",
    )


def reference() -> str:
    """Return the page of the reference: every public function, grouped by what it does."""
    names = [name for name in dir(lk) if not name.startswith("_") and callable(getattr(lk, name))]
    names = [name for name in names if name != "LatentkitError"]
    parts = ["# Reference\n\nEvery public function. The classes of errors are listed at the end.\n"]
    for title, starts in GROUPS.items():
        chosen = (
            [name for name in names if name.startswith(starts)]
            if "*measure" not in starts
            else measures(names)
        )
        parts.append(section(title, [f"latentkit.{name}" for name in chosen]))
        names = [name for name in names if name not in chosen]
    if names:
        parts.append(section("More", [f"latentkit.{name}" for name in names]))
    errors = [f"latentkit.errors.{name}" for name in lk.errors.__all__ if name.endswith("Error")]
    return "\n".join([*parts, section("Errors", errors)])


def measures(names: list[str]) -> list[str]:
    """Return the public names that come from `latentkit.measure`."""
    return [name for name in names if getattr(lk, name).__module__.startswith("latentkit.measure")]


def section(title: str, names: list[str]) -> str:
    """Return a section that documents these names."""
    entries = "\n".join(f"   {name}" for name in names)
    options = "   :toctree: api\n   :nosignatures:"
    return f"## {title}\n\n```{{eval-rst}}\n.. autosummary::\n{options}\n\n{entries}\n```\n"


def live_pages(folder: Path) -> None:
    """Write the pages in which nano runs inside the browser."""
    model = lk.load_model("nano")
    for name, guided in (("live.html", False), ("guided.html", True)):
        lk.save_live_html(model, folder / name, guided=guided)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    except ArgumentError as error:
        sys.exit(str(error))

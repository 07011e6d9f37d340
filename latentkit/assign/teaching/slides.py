"""Slides from a lesson: reveal.js through nbconvert, with figures as SVG."""

from __future__ import annotations

import argparse
import base64
import html
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentkit.errors import ArgumentError, LatentkitError

__all__ = ["draw_svg", "main", "make_slides", "slide_types"]

_HEADING = re.compile(r"^#{1,2} ")
_SKIPPED = ("exercise:", "parameters:", "answer:", "check:", "hint:", "solution:")
_PREDICTION = re.compile(r"classroom\.predict\(|\.compare\(")  # the question, and what came out
_WIDGET = "application/vnd.jupyter.widget-view+json"
_LONG = 1600  # characters of Markdown that fit on a slide


def slide_types(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Return nbconvert's type of slide for each cell.

    A heading of level 1 or 2 starts a slide; a figure or a full slide starts the next one; a prediction, and
    later the comparison with it, appear when the teacher presses a key. Exercises stay in the notebook.
    """
    types = []
    length = 0
    for cell in cells:
        text = "".join(cell["source"])
        tags = cell["metadata"].get("tags", [])
        outputs = str(cell.get("outputs", []))
        drawn = "image/svg+xml" in outputs or "image/png" in outputs
        if any(tag.startswith(_SKIPPED) for tag in tags):
            types.append("skip")
            continue
        length += len(text) if cell["cell_type"] == "markdown" else 200
        if cell["cell_type"] == "markdown" and _HEADING.match(text):
            types.append("slide")
            length = len(text)
        elif drawn or length > _LONG:
            types.append("subslide")
            length = _LONG if drawn else len(text)
        else:
            types.append("fragment" if cell["cell_type"] == "code" and _PREDICTION.search(text) else "-")
    return types


def make_slides(lesson: Path, out: Path, *, reveal: str | None = None, run: bool = True) -> Path:
    """Write the slides of a lesson.

    Parameters
    ----------
    lesson : Path
        The notebook.
    out : Path
        The HTML file to write.
    reveal : str, optional
        Folder or address of reveal.js; by default nbconvert's, which needs a network during the talk.
    run : bool, optional
        Run the lesson again, so that its figures are SVG; otherwise the figures of the notebook are used.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    LatentkitError
        If nbconvert is not installed.
    """
    try:
        import nbformat
        from nbconvert import SlidesExporter
    except ImportError:
        raise LatentkitError("Slides need nbconvert. Install it with: pip install 'latentkit[lab]'") from None
    from latentkit.files import write_file

    notebook = nbformat.read(lesson, as_version=4)
    if run:
        notebook = _run_with_svg(notebook, lesson.parent)
    _leave_out_widgets(notebook)
    for cell, kind in zip(notebook.cells, slide_types(notebook.cells), strict=True):
        cell.metadata["slideshow"] = {"slide_type": kind}
        folded = cell.metadata.get("jupyter", {}).get("source_hidden")
        if cell.cell_type == "code" and (folded or _PREDICTION.search(cell.source)):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "narration"]
    exporter = SlidesExporter(**({"reveal_url_prefix": reveal} if reveal else {}))
    exporter.register_preprocessor("nbconvert.preprocessors.TagRemovePreprocessor", enabled=True)
    remove = exporter._preprocessors[-1]  # noqa: SLF001  (nbconvert has no other way to configure one exporter)
    remove.remove_input_tags = {"narration"}
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": lesson.stem}})
    return write_file(out, page)


def _run_with_svg(notebook: Any, folder: Path) -> Any:
    """Run a lesson with figures as SVG."""
    import nbformat
    from nbclient import NotebookClient

    start = "from latentkit.assign.teaching.slides import draw_svg\n\ndraw_svg()"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(start))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    del notebook.cells[0]
    return notebook


def _leave_out_widgets(notebook: Any) -> None:
    """Keep what a widget shows without a kernel; a widget without such a picture is left out."""
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        for output in outputs:
            if output.get("data", {}).pop(_WIDGET, None) is not None and set(output.data) <= {"text/plain"}:
                output.data.clear()
        cell.update({"outputs": [each for each in outputs if each.get("data") != {}]} if outputs else {})


def draw_svg() -> None:
    """Make the figures of this notebook SVG, with their alt text."""
    from latentkit.plot.drawing import alt

    class SvgPicture(alt.Picture):
        """A figure as SVG."""

        def __init__(self, figure: Any) -> None:
            self.alt = alt.alt_text(figure)
            drawn = io.BytesIO()
            figure.savefig(drawn, format="svg", bbox_inches="tight")
            self.svg = drawn.getvalue()

        def to_html(self, *, dark: bool = False) -> str:  # noqa: ARG002  (slides are light)
            data = base64.b64encode(self.svg).decode("ascii")
            return f'<img alt="{html.escape(self.alt)}" src="data:image/svg+xml;base64,{data}">'

        def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
            return {"text/html": self.to_html(), "text/plain": self.alt}, {}

    alt.Picture = SvgPicture  # type: ignore[misc]  # in this notebook's process only


def main(argv: Sequence[str]) -> int:
    """Run `latentkit slides LESSON`."""
    from latentkit.assign.exercises import find_lesson

    parser = argparse.ArgumentParser(prog="latentkit slides", description=(__doc__ or "").strip())
    parser.add_argument("lesson", help="number of a lesson, or a notebook")
    parser.add_argument("--out", type=Path, help="the HTML file; by default LESSON.slides.html here")
    parser.add_argument("--reveal", help="folder of reveal.js, for rooms without a network")
    parser.add_argument("--no-run", action="store_true", help="use the figures that are in the notebook")
    arguments = parser.parse_args(list(argv))
    lesson = find_lesson(arguments.lesson)
    if (
        arguments.reveal
        and not arguments.reveal.startswith("http")
        and not Path(arguments.reveal, "dist").is_dir()
    ):
        raise ArgumentError(
            f"{arguments.reveal} has no folder dist. Unpack reveal.js there: npm install reveal.js"
        )
    out = arguments.out or Path(f"{lesson.stem}.slides.html")
    print(make_slides(lesson, out, reveal=arguments.reveal, run=not arguments.no_run))  # noqa: T201
    return 0

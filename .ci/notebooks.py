"""Build, run and clean the lessons: the NN_title.ipynb of every NN_title.py.

    python .ci/notebooks.py                 all lessons
    python .ci/notebooks.py 02              lessons whose file name starts with 02

The .py is the source. The .ipynb is committed so that the lesson can be read without running it. Outputs that
change from run to run or need a kernel are removed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode, write

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
KEPT = ("tags", "jupyter")  # metadata of a cell; "jupyter" holds `source_hidden`
WIDGET = "application/vnd.jupyter.widget-view+json"


def main(prefixes: list[str]) -> None:
    """Build the lessons whose file name starts with one of `prefixes`, or all of them."""
    sources = [
        path
        for path in sorted(LESSONS.glob("[0-9][0-9]_*.py"))
        if path.name.startswith(tuple(prefixes or [""]))
    ]
    if not sources:
        sys.exit(f"No lesson in {LESSONS} starts with {' or '.join(prefixes) or 'two digits'}.")
    os.environ["HF_HUB_OFFLINE"] = "1"  # a lesson must not need the network
    for source in sources:
        print(f"running {source.name}", flush=True)
        notebook = jupytext.read(source)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": LESSONS}}).execute()
        write(clean(notebook), source.with_suffix(".ipynb"))


def clean(notebook: NotebookNode) -> NotebookNode:
    """Remove what changes from run to run and what only a live kernel can show."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:02}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in KEPT}
        if cell.cell_type == "code":
            _refuse_warnings(cell)
            for output in cell.outputs:
                if "text/html" in output.get("data", {}):
                    output["data"].pop(WIDGET, None)  # the explorer works without a kernel
            cell.outputs = [output for output in cell.outputs if not _volatile(output)]
    return notebook


def _refuse_warnings(cell: NotebookNode) -> None:
    """Stop at a warning, because a reader would see it and cleaning would hide it here."""
    text = "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
    if "Warning" in text:
        sys.exit(f"This cell warns:\n\n{cell.source}\n\n{text}")


def _volatile(output: NotebookNode) -> bool:
    """Whether an output is a progress bar on stderr or the placeholder of a widget."""
    return output.get("name") == "stderr" or WIDGET in output.get("data", {})


if __name__ == "__main__":
    main(sys.argv[1:])

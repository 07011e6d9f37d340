"""Build, run and clean the lessons: from every NN_title.py the NN_title.ipynb beside it.

    python .ci/notebooks.py                 all lessons
    python .ci/notebooks.py 02              those whose name begins so

The .py is the source. The .ipynb is committed so that the lesson can be read without running it; what changes
from run to run, or would mean nothing without a kernel, is taken out, so that its diff shows what changed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode, write

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def main(prefixes: list[str]) -> None:
    """Build the lessons whose file name begins with one of `prefixes`, or all of them."""
    sources = [
        path
        for path in sorted(LESSONS.glob("[0-9][0-9]_*.py"))
        if path.name.startswith(tuple(prefixes or [""]))
    ]
    if not sources:
        sys.exit(f"No lesson in {LESSONS} begins with {' or '.join(prefixes) or 'two digits'}.")
    os.environ["HF_HUB_OFFLINE"] = "1"  # a lesson must not need the network
    for source in sources:
        print(f"running {source.name}", flush=True)
        notebook = jupytext.read(source)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": LESSONS}}).execute()
        write(clean(notebook), source.with_suffix(".ipynb"))


def clean(notebook: NotebookNode) -> NotebookNode:
    """Take out what differs from run to run and what only a live kernel could show."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:02}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
        if cell.cell_type == "code":
            _refuse_warnings(cell)
            for output in cell.outputs:
                if "text/html" in output.get("data", {}):
                    output["data"].pop(WIDGET, None)  # the explorer goes on without a kernel
            cell.outputs = [output for output in cell.outputs if not _volatile(output)]
    return notebook


def _refuse_warnings(cell: NotebookNode) -> None:
    """Stop at a warning: a newcomer would meet it, and cleaning would hide it."""
    text = "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
    if "Warning" in text:
        sys.exit(f"This cell warns:\n\n{cell.source}\n\n{text}")


def _volatile(output: NotebookNode) -> bool:
    """Say whether an output is a progress bar on stderr or the place of a widget."""
    return output.get("name") == "stderr" or WIDGET in output.get("data", {})


if __name__ == "__main__":
    main(sys.argv[1:])

"""The lessons as files: each .ipynb is its .py after a run, small and clean.

nbval (`--nbval-lax`) runs every cell and compares the marked outputs.
"""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path

import jupytext
import nbformat
import pytest

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
SOURCES = sorted(LESSONS.glob("*.py"))
CHECKED = "# NBVAL_CHECK_OUTPUT"

lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@functools.cache  # nbformat checks a notebook against its schema, which takes longer than most tests
def _built(source):
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


@functools.cache
def _written(source):
    return jupytext.read(source)


def test_every_notebook_has_a_source_and_every_source_a_notebook():
    assert [path.stem for path in SOURCES] == sorted(path.stem for path in LESSONS.glob("*.ipynb"))


def test_no_source_is_collected_because_that_would_run_the_lesson(request):
    ask = request.session.gethookproxy(LESSONS).pytest_ignore_collect
    assert [ask(collection_path=source, config=request.config) for source in SOURCES] == [True] * len(SOURCES)


@lesson
def test_notebook_is_what_its_source_says(source):
    built, written = (
        [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]
        for notebook in (_built(source), _written(source))
    )
    assert built == written, (
        f"{source.name} was changed since its notebook was built. Run: make notebooks ARGS={source.stem}"
    )


@lesson
def test_a_cell_is_folded_if_it_only_puts_numbers_into_sentences(source):
    for cell in _code(_written(source)):
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        sentence = _ends_with_a_sentence(cell.source)
        assert sentence or not folded, cell.source
        assert folded or not sentence or "lk.run_" in cell.source, cell.source


def _ends_with_a_sentence(code):
    match ast.parse(code).body[-1]:
        case ast.Expr(ast.Call(ast.Name("Markdown") | ast.Attribute(attr="compare"))):
            return True
    return False


@lesson
def test_every_cell_ran_in_order_on_a_fresh_kernel(source):
    code = _code(_built(source))
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@lesson
def test_no_output_is_an_error_or_a_warning(source):
    outputs = [output for cell in _code(_built(source)) for output in cell.outputs]
    assert outputs
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result", "stream"}
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@lesson
def test_no_output_needs_a_live_kernel(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert "widgets" not in json.loads(text)["metadata"]
    assert "application/vnd.jupyter" not in text


@lesson
def test_notebook_is_small_enough_to_read_on_the_web(source):
    assert source.with_suffix(".ipynb").stat().st_size < 800_000


@lesson
def test_some_numbers_of_the_lesson_are_compared_when_it_is_run_again(source):
    compared = [cell for cell in _code(_built(source)) if CHECKED in cell.source]
    assert compared
    assert all(cell.outputs for cell in compared)


@lesson
def test_cells_are_short_and_define_nothing(source):
    for cell in _code(_written(source)):
        lines = [line for line in cell.source.splitlines() if line.strip() and line.strip() != CHECKED]
        assert len(lines) <= 12, cell.source
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, definitions)]

"""Sentences of the lessons: their numbers are computed, set by code or quoted; and the form of a lesson."""

from __future__ import annotations

import re

import jupytext
import pytest
from lesson_sentences import LESSONS, sentences, visible_narration

NUMBERS = {"00", "01", "02", "03", "05", "06", "08"}
OURS = [path for path in sorted(LESSONS.glob("[0-9][0-9]_*.py")) if path.name[:2] in NUMBERS]

# Numbers that no cell of the lesson sets: quoted from a source that is named beside them, or terms.
QUOTED = {
    "02": ["In the paper the rows are tokens 19 to 39."],
    "03": ["these tokens stay near 10", '"Near 10" is a tenth of the start', "(a 95 % interval)", "Phipson"],
    "05": ["over the first 24 iterations", "float32 run", "orbits and sliders"],
    "08": ["Phipson"],
    "06": ["The bars are 95 % intervals of Wilson", "Brown, Cai and DasGupta"],
}

lesson = pytest.mark.parametrize("source", OURS, ids=lambda source: source.stem)


@lesson
def test_every_number_in_the_prose_is_set_by_code_or_quoted(source):
    expected = QUOTED.get(source.name[:2], [])
    quoted = [each.text for each in sentences(source) if each.kind == "quoted" and len(each.text) > 3]
    unknown = [text for text in quoted if not any(part in text for part in expected)]
    assert not unknown, "compute it in a cell that ends with Markdown(...), or name its source in QUOTED"


@lesson
def test_results_are_stated_by_the_cells_that_compute_them(source):
    assert len([each for each in sentences(source) if each.kind == "computed"]) >= 3


@lesson
def test_hardly_any_visible_code_narrates(source):
    narrating, lines = visible_narration(source)
    assert narrating < 0.15 * lines


@lesson
def test_a_lesson_has_goals_minutes_requirements_and_an_end(source):
    cells = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    first = cells[0]
    minutes = re.search(r"\*\*Time:\*\* about (\d+)", " ".join(first.split()))
    assert minutes
    assert 20 <= int(minutes[1]) <= 40
    assert "**You will** " in first
    assert "**You need" in first
    everything = "\n".join(cells)
    for part in ("## What you can say now", "**A question to take home.**", "**Further reading.**"):
        assert part in everything, part


@lesson
def test_a_prediction_is_compared_and_every_comparison_was_asked_for(source):
    code = "\n".join(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code")
    asked = re.findall(r"^(\w+) = classroom\.predict\(", code, re.MULTILINE)
    compared = re.findall(r"^(\w+)\.compare\(", code, re.MULTILINE)
    assert asked
    assert asked == compared


def test_the_glossary_s_terms_are_lower_case():
    """The anchor of a heading keeps capitals in JupyterLab, and not on GitHub and on the site."""
    glossary = (LESSONS / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^##+ (.*)$", glossary, re.MULTILINE)
    assert terms == sorted(terms)
    assert [term for term in terms if term != term.lower()] == []


@lesson
def test_terms_lead_to_the_glossary(source):
    glossary = (LESSONS / "glossary.md").read_text(encoding="utf-8")
    terms = {
        heading.lower().replace(" ", "-") for heading in re.findall(r"^##+ (.*)$", glossary, re.MULTILINE)
    }
    linked = set(re.findall(r"\(glossary\.md#([\w-]+)\)", source.read_text(encoding="utf-8")))
    assert linked
    assert linked <= terms

"""The lessons for those who listen, print, or see fewer colours."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from latentkit.classroom.card import Card, Folded

LESSONS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
HEADING = re.compile(r"^(#{1,6}) +\S", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
COLOURS = "red|green|blue|yellow|orange|purple|violet|pink|grey|gray|bright|dark"
# A text box's colour, JupyterLab's backgrounds of cells and outputs in its two themes.
BACKGROUNDS = {"light": "#ffffff", "dark": "#111111"}

lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def prose(path):
    return [FENCE.sub("", "".join(cell["source"])) for cell in cells(path, "markdown")]


@lesson
def test_a_lesson_has_one_heading_of_level_1_and_leaves_out_no_level(path):
    levels = [len(found) for text in prose(path) for found in HEADING.findall(text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    for before, after in pairwise(levels):
        assert after <= before + 1, f"a heading of level {after} follows one of level {before}"


@lesson
def test_every_image_has_alt_text_that_says_something(path):
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                alt = output["metadata"].get("image/png", {}).get("alt", "")
                assert len(alt) > 40, "".join(cell["source"])
            for image in re.findall(r"<img\b[^>]*>", "".join(data.get("text/html", ""))):
                assert re.search(r'\balt="[^"]{40,}"', image), "".join(cell["source"])
    for text in prose(path):
        for alt in re.findall(r"!\[([^\]]*)\]\(", text):
            assert len(alt) > 10, text


@lesson
def test_two_different_figures_of_a_lesson_have_different_alt_text(path):
    seen = {}
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            picture = output.get("data", {}).get("image/png")
            if alt:
                assert seen.setdefault(alt, picture) == picture, alt


@lesson
def test_no_instruction_names_a_thing_by_its_colour_alone(path):
    instruction = re.compile(
        rf"\b(click|press|drag|move|choose|select|look at)\b[^.]*\bthe ({COLOURS})\b (\w+)", re.I
    )
    allowed = {"cell"}  # "the first grey cell": it is the first one, too
    for text in prose(path):
        found = [match[0] for match in instruction.finditer(text) if match[3] not in allowed]
        assert not found


@lesson
def test_links_say_where_they_lead(path):
    for text in prose(path):
        for words in re.findall(r"(?<!!)\[([^\]]+)\]\([^)]+\)", text):
            assert words.strip().lower() not in {"here", "link", "this", "click here"}, text


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first, second):
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_by_wcag():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", BACKGROUNDS)
@pytest.mark.parametrize("make", [Card, Folded])
def test_a_card_can_be_read_in_both_themes(make, theme):
    """Text takes the theme's colour; the line at its left has contrast 3, which WCAG asks of graphics."""
    from latentkit.classroom.exercise import Exercise

    exercise = Exercise("q", "c", lambda answer: (answer == 1, "m"))
    cards = [make("h", "t"), exercise.check(None), exercise.check(1), exercise.check(2)]
    for card in cards:
        page = card._repr_html_()
        assert not re.search(r"(?<!-)\b(color|background(-color)?):", page)
        for line in re.findall(r"#[0-9a-f]{6}", page):
            assert contrast(line, BACKGROUNDS[theme]) >= 3, (card, line)


def test_the_outcome_of_a_check_is_in_words_not_only_in_colour():
    from latentkit.classroom.exercise import Exercise

    exercise = Exercise("q", "c", lambda answer: (answer == 1, "m"))
    assert [str(exercise.check(answer)).partition(".")[0] for answer in (None, 1, 2)] == [
        "Not attempted yet",
        "Right",
        "Not yet",
    ]

"""Lessons 2, 3 and 5 in JupyterLab: sliders moved by keyboard, exercises answered."""

from __future__ import annotations

import re

import pytest
from lab_for_tests import IN_BROWSER, answer, lesson_page, press, unfold_help
from playwright.sync_api import Locator, Page, expect

pytestmark = [*IN_BROWSER, pytest.mark.slow]  # nbval runs the cells, test_sliders*.py the sliders

lesson_2 = lesson_page("02_convergence.ipynb")
lesson_3 = lesson_page("03_safety_prompt.ipynb")
lesson_5 = lesson_page("05_trajectories.ipynb")


def widget(page: Page, number: int) -> Locator:
    """A box of sliders with the picture below them."""
    return page.locator(".jp-OutputArea-output .widget-vbox").nth(number)


def slider_of(box: Locator, name: str) -> Locator:
    return box.locator(".widget-slider").filter(has=box.page.get_by_text(name, exact=True))


def moved(box: Locator, name: str, key: str, handle: int = 0) -> str:
    """Press a key on a slider of a box; return the alt text of the new picture."""
    picture = box.locator(".widget-html-content img")
    before = picture.get_attribute("src")
    press(slider_of(box, name), key, handle=handle)
    expect(picture).not_to_have_attribute("src", before or "")
    return picture.get_attribute("alt") or ""


def tokens_shown(box: Locator) -> tuple[int, int]:
    first, last = slider_of(box, "Tokens").locator(".widget-readout").inner_text().split("–")
    return int(first), int(last)


def test_lesson_2_sliders_redraw_their_picture_without_a_blank_frame(lesson_2):
    box = widget(lesson_2, 0)
    picture = box.locator(".widget-html-content img")
    twin = lesson_2.locator(".jp-RenderedHTMLCommon img").first
    still = twin.get_attribute("src")
    lesson_2.evaluate(WATCH_EVERY_FRAME)
    drawn = int(slider_of(box, "Iterations").locator(".widget-readout").inner_text())
    assert f"iterations 0 to {drawn} " in (picture.get_attribute("alt") or "")
    assert f"iterations 0 to {drawn + 1} " in moved(box, "Iterations", "ArrowRight")
    assert "iterations 0 to 64 " in moved(box, "Iterations", "End")
    first, last = tokens_shown(box)
    assert f"{last - first + 2} tokens, from {first - 1} " in moved(box, "Tokens", "ArrowLeft")
    assert f"to {last - 1} " in moved(box, "Tokens", "ArrowLeft", handle=1)
    assert twin.get_attribute("src") == still
    seen, blank = lesson_2.evaluate("[window.framesSeen, window.framesBlank]")
    assert seen > 0
    assert blank == 0


# Counts, before each frame is painted, whether the picture of the sliders is complete.
WATCH_EVERY_FRAME = """() => {
    [window.framesSeen, window.framesBlank] = [0, 0];
    const look = () => {
        const picture = document.querySelector(".widget-html-content img");
        const there = picture && picture.complete && picture.naturalWidth > 0 && picture.height > 0;
        window.framesSeen += 1;
        window.framesBlank += there ? 0 : 1;
        requestAnimationFrame(look);
    };
    look();
}"""


def test_lesson_2_exercise_distinguishes_positions_from_distances(lesson_2):
    unfold_help(lesson_2)
    answer(lesson_2, "claims = None", 'exercise.check("AB")')
    expect(
        lesson_2.get_by_text("B is not supported: 19 to 39 are the numbers beside the rows")
    ).to_be_visible()
    answer(lesson_2, 'exercise.check("AB")', 'exercise.check("ACF")')
    expect(lesson_2.locator(".jp-OutputArea-output b", has_text="Right.")).to_be_visible()


def test_lesson_3_sliders_choose_iterations_and_tokens(lesson_3):
    box = widget(lesson_3, 0)
    first, last = tokens_shown(box)
    assert "iterations 0 to 3 " in moved(box, "Iterations", "ArrowRight")
    assert "iterations 0 to 64 " in moved(box, "Iterations", "End")
    words = moved(box, "Tokens", "ArrowLeft")
    assert f"{last - first + 2} tokens, from {first - 1} " in words
    assert f"to {last - 1} " in moved(box, "Tokens", "ArrowLeft", handle=1)
    unfold_help(lesson_3)


def test_lesson_5_sliders_choose_iterations_tokens_and_the_angle(lesson_5):
    flat, space = widget(lesson_5, 0), widget(lesson_5, 1)
    first, last = tokens_shown(flat)
    assert "in PC1 and PC2, which" in (words := moved(flat, "Iterations", "ArrowRight"))
    assert "from 0 to 2." in words
    assert "from 0 to 24." in moved(flat, "Iterations", "End")
    assert f"of {last - first + 2} tokens" in moved(flat, "Tokens", "ArrowLeft")
    assert f"of {last - first + 1} tokens" in moved(flat, "Tokens", "ArrowLeft", handle=1)
    assert "in PC1, PC2 and PC3, which" in moved(space, "Turn", "ArrowRight")
    assert re.search(r"from 0 to 23\.", moved(space, "Iterations", "ArrowLeft"))
    unfold_help(lesson_5)

"""Lessons 2, 3 and 5 in JupyterLab: sliders moved by keyboard, exercises answered."""

from __future__ import annotations

import pytest
from lab_for_tests import IN_BROWSER, answer, lesson_page, press, unfold_help
from playwright.sync_api import Locator, Page, expect

pytestmark = [*IN_BROWSER, pytest.mark.slow]  # nbval runs the cells, test_sliders*.py the sliders

lesson_2 = lesson_page("02_convergence.ipynb")
lesson_3 = lesson_page("03_safety_prompt.ipynb")
lesson_5 = lesson_page("05_trajectories.ipynb")


def widget(page: Page, number: int) -> Locator:
    """A box of sliders with the picture below them."""
    boxes = page.locator(".jp-OutputArea-output .widget-vbox")
    return boxes.filter(has=page.locator(".widget-slider")).nth(number)


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


def test_lesson_2_exercise_distinguishes_positions_from_distances(lesson_2):
    unfold_help(lesson_2)
    answer(lesson_2, "claims = None", 'exercise.check("AB")')
    expect(
        lesson_2.get_by_text("B is not supported: 19 to 39 are the numbers beside the rows")
    ).to_be_visible()
    answer(lesson_2, 'exercise.check("AB")', 'exercise.check("ACF")')
    expect(lesson_2.locator(".jp-OutputArea-output b", has_text="Right.")).to_be_visible()


def test_lesson_3_exercise_has_hints_and_a_solution(lesson_3):
    unfold_help(lesson_3)


def test_lesson_5_sliders_redraw_their_picture_without_a_blank_frame(lesson_5):
    box = widget(lesson_5, 0)
    twin = lesson_5.locator(".jp-RenderedHTMLCommon img").first
    still = twin.get_attribute("src")
    lesson_5.evaluate(WATCH_EVERY_FRAME)
    first, last = tokens_shown(box)
    assert "in PC1 and PC2, which" in (words := moved(box, "Iterations", "ArrowRight"))
    assert "from 0 to 7." in words
    assert "from 0 to 24." in moved(box, "Iterations", "End")
    assert f"of {last - first + 2} tokens" in moved(box, "Tokens", "ArrowLeft")
    assert f"of {last - first + 1} tokens" in moved(box, "Tokens", "ArrowLeft", handle=1)
    assert twin.get_attribute("src") == still
    seen, blank = lesson_5.evaluate("[window.framesSeen, window.framesBlank]")
    assert seen > 0
    assert blank == 0
    unfold_help(lesson_5)


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

"""JupyterLab in headless Chromium: saved lessons show their pictures; lesson 0 runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_for_tests import (
    IN_BROWSER,
    LESSONS,
    lesson_page,
    opened,
    press,
    save_screenshot,
    slider,
    unfold_help,
)
from playwright.sync_api import expect

pytestmark = IN_BROWSER

lesson_0 = lesson_page("00_start_here.ipynb")


@pytest.mark.parametrize(
    "name", [LESSONS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in LESSONS[1:])]
)
def test_saved_lesson_shows_its_pictures_without_a_run(lab, browser, name):
    with opened(lab, browser, f"saved/{name}") as page:
        pictures = page.locator(".jp-OutputArea-output img")
        pictures.first.wait_for()
        pictures.evaluate_all("all => Promise.all(all.map((one) => one.decode()))")
        assert pictures.evaluate_all("all => all.every((one) => one.complete && one.naturalWidth > 0)")
        assert all(len(alt) > 40 for alt in pictures.evaluate_all("all => all.map((one) => one.alt)"))
        save_screenshot(page, f"{Path(name).stem}_saved.png")


def test_lesson_0_slider_shows_the_next_token_at_each_iteration(lesson_0):
    text = lesson_0.locator(".widget-html-content", has_text="If stopped at iteration")
    expect(text).to_contain_text("If stopped at iteration 0,")
    first = text.locator("tbody").inner_text()

    press(slider(lesson_0, "Iteration"), "End")
    expect(text).to_contain_text("If stopped at iteration 64,")
    assert text.locator("tbody").inner_text() != first

    press(slider(lesson_0, "Iteration"), "ArrowLeft")
    expect(text).to_contain_text("If stopped at iteration 63,")

    last = text.locator("tbody").inner_text()
    press(slider(lesson_0, "Token"), "ArrowLeft")
    expect(text.locator("tbody")).not_to_have_text(last)


def test_lesson_0_takes_predictions_by_keyboard(lesson_0):
    """A list, whose arrow keys JupyterLab would take, and a number."""
    tokens = lesson_0.get_by_label("Your tokens")
    tokens.focus()
    tokens.press("ArrowDown")
    tokens.press("Shift+ArrowDown")
    both = "Noted: 0 “<|begin_text|>”, 1 “"
    expect(lesson_0.get_by_role("status").filter(has_text=both)).to_be_visible()

    number = lesson_0.get_by_label("Your number")
    number.press_sequentially("100")
    number.press("Enter")
    refusal = "The prediction is a number from 0 to 64, got '100'."
    expect(lesson_0.get_by_role("status").filter(has_text=refusal)).to_be_visible()
    number.press("Backspace")
    number.press("Enter")
    expect(lesson_0.get_by_role("status").filter(has_text="Noted: 10.")).to_be_visible()


def test_lesson_0_exercise_has_a_hint_and_a_solution(lesson_0):
    unfold_help(lesson_0)

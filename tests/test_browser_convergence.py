"""Lessons 2, 3 and 5 as a student meets them: their sliders moved by keyboard, their exercises answered."""

from __future__ import annotations

import re

from lab_for_tests import IN_BROWSER, press, running
from playwright.sync_api import Locator, Page, expect

pytestmark = IN_BROWSER


def widget(page: Page, number: int) -> Locator:
    """A box of sliders with the picture that they steer."""
    return page.locator(".jp-OutputArea-output .widget-vbox").nth(number)


def slider_of(box: Locator, name: str) -> Locator:
    return box.locator(".widget-slider").filter(has=box.page.get_by_text(name, exact=True))


def moved(box: Locator, name: str, key: str, handle: int = 0) -> str:
    """Press a key on a slider of a box; the words of the picture that it brings."""
    picture = box.locator(".widget-html-content img")
    before = picture.get_attribute("src")
    press(slider_of(box, name), key, handle=handle)
    expect(picture).not_to_have_attribute("src", before or "")
    return picture.get_attribute("alt") or ""


def tokens_shown(box: Locator) -> tuple[int, int]:
    first, last = slider_of(box, "Tokens").locator(".widget-readout").inner_text().split("–")
    return int(first), int(last)


def exercise_can_be_asked_for_help(page: Page, hint: str, solution: str) -> None:
    expect(page.get_by_text("Not attempted yet.")).to_be_visible()
    for title, words in (("Hint", hint), ("Solution", solution)):
        folded = page.get_by_text(words)
        expect(folded).to_be_hidden()
        page.locator("summary", has_text=title).press("Enter")
        expect(folded).to_be_visible()


def answer(page: Page, before: str, given: str) -> None:
    """Put an answer in place of None and run the cell again, by keyboard."""
    cell = page.locator(".jp-CodeCell", has_text=before).first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.press("End")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(given)
    page.keyboard.press("Control+Enter")


def test_lesson_2_exercise_knows_positions_from_distances(lab, browser):
    with running(lab, browser, "02_convergence.ipynb") as page:
        exercise_can_be_asked_for_help(page, "on which axis does it stand", "A, C, F.")
        answer(page, "claims = None", 'exercise.check("AB")')
        expect(
            page.get_by_text("B is not supported: 19 to 39 are the numbers beside the rows")
        ).to_be_visible()
        answer(page, 'exercise.check("AB")', 'exercise.check("ACF")')
        expect(page.locator(".jp-OutputArea-output b", has_text="Right.")).to_be_visible()


def test_lesson_3_runs_and_its_sliders_draw_anew(lab, browser):
    with running(lab, browser, "03_safety_prompt.ipynb") as page:
        box = widget(page, 0)
        first, last = tokens_shown(box)
        assert "iterations 0 to 3 " in moved(box, "Iterations", "ArrowRight")
        assert "iterations 0 to 64 " in moved(box, "Iterations", "End")
        words = moved(box, "Tokens", "ArrowLeft")
        assert f"{last - first + 2} tokens, from {first - 1} " in words
        assert f"to {last - 1} " in moved(box, "Tokens", "ArrowLeft", handle=1)
        exercise_can_be_asked_for_help(page, "Each row of the table is a prompt.", "by chance alone.")


def test_lesson_5_runs_and_its_sliders_move_states_along_their_ways(lab, browser):
    with running(lab, browser, "05_trajectories.ipynb") as page:
        flat, space = widget(page, 0), widget(page, 1)
        first, last = tokens_shown(flat)
        assert "over PC1 and PC2" in (words := moved(flat, "Iterations", "ArrowRight"))
        assert "from 0 to 2." in words
        assert "from 0 to 24." in moved(flat, "Iterations", "End")
        assert f"of {last - first + 2} tokens" in moved(flat, "Tokens", "ArrowLeft")
        assert f"of {last - first + 1} tokens" in moved(flat, "Tokens", "ArrowLeft", handle=1)
        assert "over PC1, PC2 and PC3" in moved(space, "Turn", "ArrowRight")
        assert re.search(r"from 0 to 23\.", moved(space, "Iterations", "ArrowLeft"))
        exercise_can_be_asked_for_help(page, "Follow the curve from the left", "In code: floor =")

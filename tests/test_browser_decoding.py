"""The lessons on decoding as a student meets them: every cell run, every slider moved by keyboard."""

from __future__ import annotations

import re

from lab_for_tests import IN_BROWSER, press, running, slider
from playwright.sync_api import expect

pytestmark = IN_BROWSER


def number_in(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])


def test_lesson_1_runs_and_its_sliders_show_the_text_at_each_iteration(lab, browser):
    with running(lab, browser, "01_iterative_decoding.ipynb") as page:
        said = page.locator(".widget-html-content").first
        expect(said).to_contain_text("If every token had stopped at iteration 1,")
        twin = page.locator(".jp-RenderedHTMLCommon img").first
        still = twin.get_attribute("src")

        press(slider(page, "Iteration"), "End")
        expect(said).to_contain_text(
            "If every token had stopped at iteration 64, 16 of 16 would be the same."
        )
        expect(said.locator("span[style*=dashed]")).to_have_count(0)

        press(slider(page, "Iteration"), "Home")
        expect(said).to_contain_text("If every token had stopped at iteration 0,")
        same = number_in(r"iteration 0, (\d+) of 16", said.inner_text())
        expect(said.locator("span[style*=dashed]")).to_have_count(16 - same)

        press(slider(page, "Token"), "ArrowRight")
        expect(said).to_contain_text("Token 1 at iteration 0:")
        assert twin.get_attribute("src") == still


def test_lesson_6_runs_and_its_sliders_show_where_each_token_would_stop(lab, browser):
    with running(lab, browser, "06_when_to_stop.ipynb") as page:
        said = page.locator(".widget-html-content").first
        expect(said).to_contain_text("Saved:")

        press(slider(page, "Threshold"), "Home")
        strict = number_in(r"Saved: (\d+)%", said.inner_text())
        press(slider(page, "Threshold"), "End")
        expect(said).not_to_contain_text(f"Saved: {strict}%")
        assert number_in(r"Saved: (\d+)%", said.inner_text()) > strict

        press(slider(page, "Token"), "ArrowRight")
        expect(said).to_contain_text("Token 1 at iteration")

        shares = said.locator("div").first
        before = shares.inner_text()
        press(slider(page, "Criterion"), "End")
        expect(slider(page, "Criterion").locator(".widget-readout")).to_have_text("acceleration")
        expect(slider(page, "Threshold").locator(".widget-readout")).to_have_text("0.01")
        expect(shares).not_to_have_text(before)


def test_exercises_of_both_lessons_open_from_the_keyboard(lab, browser):
    with running(lab, browser, "01_iterative_decoding.ipynb") as page:
        expect(page.get_by_text("Not attempted yet.")).to_be_visible()
        for title, words in (("Hint", "one iteration at a time"), ("Solution", "In code:")):
            folded = page.get_by_text(words)
            expect(folded).to_be_hidden()
            page.locator("summary", has_text=title).press("Enter")
            expect(folded).to_be_visible()

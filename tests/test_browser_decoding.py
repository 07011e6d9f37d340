"""Lessons 1 and 6 in JupyterLab: sliders moved by keyboard."""

from __future__ import annotations

import re

import pytest
from lab_for_tests import IN_BROWSER, lesson_page, press, slider, unfold_help
from playwright.sync_api import expect

pytestmark = [*IN_BROWSER, pytest.mark.slow]  # nbval runs the cells, test_sliders*.py the sliders

lesson_1 = lesson_page("01_iterative_decoding.ipynb")
lesson_6 = lesson_page("06_when_to_stop.ipynb")


def number_in(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])


def test_lesson_1_sliders_show_the_text_at_each_iteration(lesson_1):
    said = lesson_1.locator(".widget-html-content", has_text="If every token had stopped")
    expect(said).to_contain_text("If every token had stopped at iteration 1,")
    twin = lesson_1.locator(".jp-RenderedHTMLCommon img").first
    still = twin.get_attribute("src")

    press(slider(lesson_1, "Iteration"), "End")
    expect(said).to_contain_text("If every token had stopped at iteration 64, 16 of 16 would be the same.")
    expect(said.locator("span[style*=dashed]")).to_have_count(0)

    press(slider(lesson_1, "Iteration"), "Home")
    expect(said).to_contain_text("If every token had stopped at iteration 0,")
    same = number_in(r"iteration 0, (\d+) of 16", said.inner_text())
    expect(said.locator("span[style*=dashed]")).to_have_count(16 - same)

    press(slider(lesson_1, "Token"), "ArrowRight")
    expect(said).to_contain_text("Token 1 at iteration 0:")
    assert twin.get_attribute("src") == still


def test_lesson_1_takes_a_choice_by_keyboard(lesson_1):
    first = lesson_1.get_by_role("radio", name="both", exact=True)
    first.focus()
    first.press("ArrowDown")
    expect(lesson_1.get_by_role("status").filter(has_text="Noted: “only the coda lens”.")).to_be_visible()


def test_lesson_6_sliders_show_where_each_token_would_stop(lesson_6):
    said = lesson_6.locator(".widget-html-content", has_text="Saved:")
    expect(said).to_contain_text("Saved:")

    def saved_at(key: str) -> int:
        """Move the threshold by a key; return the percentage saved, once the kernel has answered."""
        before = said.inner_text()
        press(slider(lesson_6, "Threshold"), key)
        expect(said).not_to_have_text(before, use_inner_text=True)
        return number_in(r"Saved: (\d+)%", said.inner_text())

    strict = saved_at("Home")
    assert saved_at("End") > strict

    press(slider(lesson_6, "Token"), "ArrowRight")
    expect(said).to_contain_text("Token 1 at iteration")

    shares = said.locator("div").first
    before = shares.inner_text()
    press(slider(lesson_6, "Criterion"), "End")
    expect(slider(lesson_6, "Criterion").locator(".widget-readout")).to_have_text("acceleration")
    expect(slider(lesson_6, "Threshold").locator(".widget-readout")).to_have_text("0.01")
    expect(shares).not_to_have_text(before)


def test_lesson_1_exercise_has_a_hint_and_a_solution(lesson_1):
    unfold_help(lesson_1)

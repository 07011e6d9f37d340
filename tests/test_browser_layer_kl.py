"""Lesson 4 in JupyterLab: every cell run, and its three sliders moved by keyboard."""

from __future__ import annotations

import re

from lab_for_tests import IN_BROWSER, press, running, save_screenshot, slider
from playwright.sync_api import expect

pytestmark = IN_BROWSER

LESSON = "04_layer_kl.ipynb"


def test_lesson_4_runs_and_its_sliders_choose_iterations_layers_and_tokens(lab, browser):
    with running(lab, browser, LESSON) as page:
        picture = page.locator(".widget-html-content img").first
        twin = page.locator(".jp-RenderedHTMLCommon img").first
        still = twin.get_attribute("src")

        def pressed(name: str, key: str, handle: int = 0) -> str:
            """Press a key; the words of the picture that it brings."""
            before = picture.get_attribute("src")
            press(slider(page, name), key, handle=handle)
            expect(picture).not_to_have_attribute("src", before or "")
            return picture.get_attribute("alt") or ""

        assert "28 layers 0 … 27 from top" in (picture.get_attribute("alt") or "")
        fewer = pressed("Iterations", "ArrowLeft")
        assert "layers 0 … " in fewer
        assert "28 layers" not in fewer
        assert "3 layers 0, 1, 2 from top" in pressed("Iterations", "Home")
        assert "28 layers 0 … 27 from top" in pressed("Iterations", "End")

        assert "27 layers 1 … 27 from top" in pressed("Layers", "ArrowRight")
        assert "26 layers 1 … 26 from top" in pressed("Layers", "ArrowLeft", handle=1)
        assert "generated tokens Gen1 to Gen4" in pressed("Tokens", "ArrowRight")
        assert "generated tokens Gen1 to Gen3" in pressed("Tokens", "ArrowLeft", handle=1)
        assert twin.get_attribute("src") == still
        save_screenshot(page, "04_layer_kl_moved.png")

        # A layer that a shallow model lacks: words in the picture's place, and the way back.
        handle = slider(page, "Layers").get_by_role("slider").nth(0)
        handle.focus()
        handle.press("End")
        press(slider(page, "Iterations"), "Home")
        said = page.locator(".widget-html-content").filter(has_text="With 1 iterations there is no layer")
        expect(said).to_contain_text("the last one is layer 2")
        press(slider(page, "Iterations"), "End")
        expect(picture).to_have_attribute("alt", re.compile("generated tokens Gen1 to Gen3"))


def test_lesson_4_reaches_for_no_network_and_its_exercise_can_be_answered(lab, browser):
    with running(lab, browser, LESSON) as page:  # which also sees that no other machine was asked for
        expect(page.get_by_text("Not asked for, so nothing was fetched.", exact=True)).to_be_visible()
        expect(page.get_by_text("Not attempted yet.")).to_be_visible()
        for title, words in (("Hint", "are they all drawn"), ("Solution", "B, E.")):
            folded = page.get_by_text(words)
            expect(folded).to_be_hidden()
            page.locator("summary", has_text=title).press("Enter")
            expect(folded).to_be_visible()
        cell = page.locator(".jp-CodeCell").filter(has_text="answer = None")
        cell.locator(".cm-line", has_text="answer = None").click()
        page.keyboard.press("Home")
        page.keyboard.press("Shift+End")
        page.keyboard.type('answer = "BE"')
        page.keyboard.press("Shift+Enter")
        expect(page.get_by_text("it is the darkest cell").last).to_be_visible()

"""Lesson 4 in JupyterLab: three sliders moved by keyboard, the exercise answered."""

from __future__ import annotations

import re

import pytest
from lab_for_tests import IN_BROWSER, answer, lesson_page, press, save_screenshot, slider, unfold_help
from playwright.sync_api import expect

pytestmark = [*IN_BROWSER, pytest.mark.slow]  # nbval runs the cells, test_sliders*.py the sliders

lesson_4 = lesson_page("04_layer_kl.ipynb")


def test_lesson_4_sliders_choose_iterations_layers_and_tokens(lesson_4):
    picture = lesson_4.locator(".widget-html-content img").first
    twin = lesson_4.locator(".jp-RenderedHTMLCommon img").first
    still = twin.get_attribute("src")

    def pressed(name: str, key: str, handle: int = 0) -> str:
        """Press a key; return the alt text of the new picture."""
        before = picture.get_attribute("src")
        press(slider(lesson_4, name), key, handle=handle)
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
    save_screenshot(lesson_4, "04_layer_kl_moved.png")

    # A layer that a shallower model lacks: a sentence replaces the picture until the layer exists again.
    handle = slider(lesson_4, "Layers").get_by_role("slider").nth(0)
    handle.focus()
    handle.press("End")
    press(slider(lesson_4, "Iterations"), "Home")
    said = lesson_4.locator(".widget-html-content").filter(has_text="With 1 iterations the last layer is 2")
    expect(said).to_contain_text("Move the slider")
    press(slider(lesson_4, "Iterations"), "End")
    expect(picture).to_have_attribute("alt", re.compile("generated tokens Gen1 to Gen3"))


def test_lesson_4_uses_no_network_and_its_exercise_can_be_answered(lesson_4):
    # Requests to another machine fail the fixture when it closes the page.
    expect(lesson_4.get_by_text("Not asked for, so nothing was fetched.", exact=True)).to_be_visible()
    unfold_help(lesson_4)
    answer(
        lesson_4,
        "exercise = classroom.caption_claims",
        'classroom.caption_claims(whole.sel(layer=[*rows, 29])).check("BE")',
    )
    expect(lesson_4.locator(".jp-OutputArea-output b", has_text="Right.")).to_be_visible()

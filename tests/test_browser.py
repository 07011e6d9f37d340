"""Lessons as a student meets them: JupyterLab in headless Chromium, every cell run, every slider moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_for_tests import IN_BROWSER, LESSONS, opened, press, running, save_screenshot, slider
from playwright.sync_api import expect

pytestmark = IN_BROWSER


@pytest.mark.parametrize("name", LESSONS)
def test_saved_lesson_shows_its_pictures_without_being_run(lab, browser, name):
    with opened(lab, browser, name) as page:
        pictures = page.locator(".jp-OutputArea-output img")
        pictures.first.wait_for()
        assert pictures.evaluate_all("all => all.every((one) => one.complete && one.naturalWidth > 0)")
        assert all(len(alt) > 40 for alt in pictures.evaluate_all("all => all.map((one) => one.alt)"))
        save_screenshot(page, f"{Path(name).stem}_saved.png")


def test_lesson_0_runs_and_its_slider_shows_what_would_come_next(lab, browser):
    with running(lab, browser, "00_start_here.ipynb") as page:
        said = page.locator(".widget-html-content").first
        expect(said).to_contain_text("If stopped at iteration 0,")
        first = said.locator("tbody").inner_text()

        press(slider(page, "Iteration"), "End")
        expect(said).to_contain_text("If stopped at iteration 64,")
        assert said.locator("tbody").inner_text() != first

        press(slider(page, "Iteration"), "ArrowLeft")
        expect(said).to_contain_text("If stopped at iteration 63,")

        last = said.locator("tbody").inner_text()
        press(slider(page, "Token"), "ArrowLeft")
        expect(said.locator("tbody")).not_to_have_text(last)


def test_lesson_0_exercise_can_be_answered(lab, browser):
    with running(lab, browser, "00_start_here.ipynb") as page:
        expect(page.get_by_text("Not attempted yet.")).to_be_visible()
        for title, words in (("Hint", "back one iteration at a time"), ("Solution", "In code:")):
            folded = page.get_by_text(words)
            expect(folded).to_be_hidden()
            page.locator("summary", has_text=title).press("Enter")
            expect(folded).to_be_visible()


def test_lesson_2_runs_and_its_sliders_draw_anew(lab, browser):
    with running(lab, browser, "02_convergence.ipynb") as page:
        picture = page.locator(".widget-html-content img").first
        twin = page.locator(".jp-RenderedHTMLCommon img").first

        def pressed(name: str, key: str, handle: int = 0) -> str:
            """Press a key; the words of the picture that it brings."""
            before, still = picture.get_attribute("src"), twin.get_attribute("src")
            press(slider(page, name), key, handle=handle)
            expect(picture).not_to_have_attribute("src", before or "")
            assert twin.get_attribute("src") == still
            return picture.get_attribute("alt") or ""

        page.evaluate(WATCH_EVERY_FRAME)
        drawn = int(slider(page, "Iterations").locator(".widget-readout").inner_text())
        assert f"iterations 0 to {drawn} " in (picture.get_attribute("alt") or "")
        assert f"iterations 0 to {drawn + 1} " in pressed("Iterations", "ArrowRight")
        assert "iterations 0 to 64 " in pressed("Iterations", "End")
        rows = slider(page, "Tokens").locator(".widget-readout").inner_text().split("–")
        first, last = (int(row) for row in rows)
        assert f"{last - first + 2} tokens, from {first - 1} " in pressed("Tokens", "ArrowLeft")
        assert f"to {last - 1} " in pressed("Tokens", "ArrowLeft", handle=1)
        seen, blank = page.evaluate("[window.framesSeen, window.framesBlank]")
        assert seen > 0
        assert blank == 0


# Counts, before each frame is painted, whether the picture of the sliders is there in full.
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

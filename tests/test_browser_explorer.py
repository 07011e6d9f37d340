"""The explorer in its three hosts, in headless Chromium: JupyterLab, a saved notebook, a page of its own."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import nbformat
import numpy as np
import pytest
from lab_for_tests import IN_BROWSER, SCREENSHOTS, THEMES, opened, repainted, running, save_screenshot
from live_for_tests import live_page
from nbconvert import HTMLExporter
from nbformat.sign import NotebookNotary
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from test_trace import HOSTILE, make_trace
from test_trace_explorer import layers, wander

import latentkit as lk
from latentkit import measure

pytestmark = IN_BROWSER

WIDGET = "application/vnd.jupyter.widget-view+json"


@contextmanager
def offline(browser: Browser, path: Path, *, theme: str = "light") -> Iterator[Page]:
    """Open a page of an explorer with the network off; it must neither complain nor ask for anything."""
    with live_page(browser, path, ready=False, color_scheme=theme) as page:
        page.locator("canvas.lk-cells").first.wait_for()
        yield page


@pytest.fixture
def saved(browser, tmp_path):
    """Save an explorer as a page and open it."""

    @contextmanager
    def open_page(explorer, **options):
        path = explorer.save_html(tmp_path / "page.html")
        with offline(browser, path, **options) as page:
            yield page

    return open_page


def cursor(page: Page) -> Locator:
    return page.locator(".lk-where").first


def iteration(page: Page) -> Locator:
    return page.get_by_role("slider", name="Iteration")


def pixels(canvas: Locator) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB"))


# The page of its own


def test_the_iteration_slider_moves_with_the_keys_and_says_where_it_is(saved):
    with saved(lk.explore(wander(), iteration=4)) as page:
        slider = iteration(page)
        assert slider.evaluate("one => [one.tagName, one.type, one.min, one.max]") == [
            "INPUT",
            "range",
            "0",
            "20",
        ]
        slider.press("ArrowRight")
        expect(slider).to_have_value("5")
        expect(slider).to_have_attribute("aria-valuetext", "5")
        expect(cursor(page)).to_have_text("Token 11 “ word11”, iteration 5")
        slider.press("End")
        expect(cursor(page)).to_have_text("Token 11 “ word11”, iteration 20")
        assert page.evaluate("document.querySelectorAll('*').values().some((one) => one.shadowRoot)") is False


def test_arrow_keys_walk_over_the_heatmap_and_the_live_text_says_the_cell(saved):
    trace = wander()
    with saved(lk.explore(trace, iteration=4, token=5)) as page:
        cells = page.get_by_role("application")
        before = pixels(cells)
        for key in ("ArrowUp", "ArrowLeft", "ArrowLeft"):
            cells.press(key)
        expect(cursor(page)).to_have_text("Token 4 “ word4”, iteration 2")
        cell = trace.sel(token=4, iteration=2)
        live = page.locator("[aria-live=polite]").last
        expect(live).to_contain_text("Token 4 “ word4”, iteration 2. Distance ")
        expect(live).to_contain_text(f"Likeliest next token: “{cell.readout_text.values[0]}”")
        assert (pixels(cells) != before).any()
        cells.press("Home")
        expect(cursor(page)).to_have_text("Token 4 “ word4”, iteration 0")
        for _ in range(12):
            cells.press("PageUp")
        expect(cursor(page)).to_have_text("Token 0 “ word0”, iteration 0")


def test_the_numbers_of_a_cell_are_those_of_the_trace(saved):
    trace = wander()
    with saved(lk.explore(trace, iteration=7, token=3)) as page:
        cell = trace.sel(token=3, iteration=7)
        shown = page.locator("dl").inner_text().split()
        for name in ("distance", "kl", "entropy", "step_size"):
            value = float(cell[name])
            assert any(_reads_as(text, value) for text in shown), (name, value, shown)
        rows = page.locator(".lk-guesses tbody tr").all_inner_texts()
        assert [row.split("\t")[0] for row in rows] == [f"“{text}”" for text in cell.readout_text.values]
        percent = [float(row.split("\t")[1].split()[0]) for row in rows]
        assert percent == pytest.approx([100 * p for p in cell.readout_probability.values], abs=0.51)


def _reads_as(text: str, value: float) -> bool:
    mantissa, _, power = text.replace("−", "-").partition("·10")
    power = power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    try:
        return float(mantissa) * 10 ** float(power or 0) == pytest.approx(value, rel=6e-3)
    except ValueError:
        return False


def test_a_click_chooses_the_cell_under_the_pointer_and_hovering_only_shows_it(saved):
    with saved(lk.explore(wander(), iteration=20, token=11)) as page:
        cells = page.get_by_role("application")
        box = cells.bounding_box()
        middle = {"x": box["width"] * 0.45, "y": box["height"] * 0.45}
        cells.hover(position=middle)
        expect(cursor(page)).not_to_have_text("Token 11 “ word11”, iteration 20")
        hovered = cursor(page).inner_text()
        expect(iteration(page)).to_have_value("20")
        cells.click(position=middle)
        page.mouse.move(5, 5)
        expect(cursor(page)).to_have_text(hovered)
        expect(iteration(page)).not_to_have_value("20")


def test_hovering_changes_the_curve_too_and_leaving_restores_it(saved):
    with saved(lk.explore(wander(), iteration=20, token=11)) as page:
        cells, curve = page.get_by_role("application"), page.locator("canvas.lk-curve")
        expect(curve).to_have_attribute("aria-label", re.compile("^Token 11 “ word11”: Distance"))
        before = pixels(curve)
        cells.hover(position={"x": 200, "y": 26 + 22 * 3.5})
        expect(curve).to_have_attribute("aria-label", re.compile("^Token 3 “ word3”: Distance"))
        page.mouse.move(5, 5)
        expect(curve).to_have_attribute("aria-label", re.compile("^Token 11 “ word11”: Distance"))
        repainted(page)
        assert (pixels(curve) == before).all()


@pytest.fixture
def on_phone(browser, tmp_path):
    """Open an explorer on a touch screen; each swipe needs a fresh page, which it leaves scrolling."""
    path = lk.explore(wander(60, 64), iteration=20, token=11).save_html(tmp_path / "page.html")
    context = browser.new_context(viewport={"width": 400, "height": 700}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator("canvas.lk-cells").wait_for()
    yield page
    context.close()


@pytest.mark.parametrize(("selector", "top"), [("canvas.lk-cells", 300), ("canvas.lk-curve", 800)])
def test_on_a_touch_screen_pictures_scroll(on_phone, selector, top):
    stops = on_phone.locator(".lk-stop")
    before = (iteration(on_phone).input_value(), stops.inner_text())
    on_phone.evaluate("top => scrollTo(0, top)", top)
    _swipe_up(on_phone, selector)
    on_phone.wait_for_function("least => scrollY > least", arg=top + 80)
    assert (iteration(on_phone).input_value(), stops.inner_text()) == before


def test_on_a_touch_screen_the_threshold_slides(on_phone):
    stops = on_phone.locator(".lk-stop")
    before = stops.inner_text()
    on_phone.evaluate("scrollTo(0, 800)")
    _swipe_up(on_phone, ".lk-handle")
    expect(stops).not_to_have_text(before)
    assert on_phone.evaluate("scrollY") == 800


def test_on_a_touch_screen_a_tap_selects(on_phone):
    on_phone.locator("canvas.lk-cells").tap(position={"x": 150, "y": 300})
    expect(iteration(on_phone)).not_to_have_value("20")


def _swipe_up(page: Page, selector: str) -> None:
    """Move a finger up by 150 pixels from the middle of an element, or from the lower part of the screen."""
    box = page.locator(selector).bounding_box()
    x, y = box["x"] + 10, min(max(box["y"], 0) + min(box["height"] / 2, 300), 600)
    session = page.context.new_cdp_session(page)
    for kind, distance in (("touchStart", 0), *(("touchMove", d) for d in range(10, 160, 10))):
        point = {"x": x, "y": y - distance}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_on_a_narrow_screen_panels_are_stacked_with_the_bar_below(browser, tmp_path):
    path = lk.explore(wander(), wander(seed=1), iteration=3).save_html(tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 400, "height": 900})
    try:
        page.goto(path.as_uri())
        cells = page.locator("canvas.lk-cells")
        cells.first.wait_for()
        repainted(page)
        first, second = (cells.nth(i).bounding_box() for i in range(2))
        assert first["x"] == second["x"]
        assert second["y"] > first["y"] + first["height"]
        assert second["height"] == first["height"] + 48  # the colour bar and its label
        assert first["width"] == second["width"] <= 400
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.set_viewport_size({"width": 1280, "height": 900})
        repainted(page)
        repainted(page)  # a new size is noticed in one frame, and painted in the next one
        first, second = (cells.nth(i).bounding_box() for i in range(2))
        assert first["y"] == second["y"]
        assert first["height"] == second["height"]
        assert second["width"] == first["width"] + 70
    finally:
        page.close()


def test_an_end_that_the_scale_cannot_show_is_automatic(saved):
    """vmin=0 on a logarithmic scale once blanked every cell."""
    explorer = lk.explore(wander(), scale="linear", vmin=0, vmax=10)
    explorer.scale = "log"
    with saved(explorer) as page:
        cells = page.get_by_role("application")
        colours = {tuple(one) for one in pixels(cells)[100, 100:600:5]}
        assert len(colours) > 10
        expect(page.get_by_label("Maximum")).to_have_value("10")


def test_the_range_of_tokens_has_two_native_sliders(saved):
    with saved(lk.explore(wander())) as page:
        page.get_by_role("slider", name="First token shown").press("ArrowRight")
        expect(page.locator(".lk-range + .lk-value")).to_have_text("1–11")
        page.get_by_role("slider", name="Last token shown").press("ArrowLeft")
        expect(page.locator(".lk-range + .lk-value")).to_have_text("1–10")
        expect(cursor(page)).to_have_text("Token 10 “ word10”, iteration 20")


def test_the_threshold_moves_by_key_and_by_pointer_and_goes_back(saved):
    with saved(lk.explore(wander(iterations=40), token=3)) as page:
        slider = page.get_by_role("slider", name="Threshold")
        said = page.locator(".lk-stop")
        usual = said.inner_text()
        for _ in range(60):
            slider.press("ArrowLeft")
        expect(said).not_to_have_text(usual)
        lower = said.inner_text()
        curve = page.locator("canvas.lk-curve").bounding_box()
        page.mouse.move(curve["x"] + 300, curve["y"] + 100)
        page.mouse.down()
        page.mouse.move(curve["x"] + 300, curve["y"] + 45, steps=4)
        page.mouse.up()
        expect(said).not_to_have_text(lower)
        page.get_by_role("button", name="Default threshold").click()
        expect(said).to_have_text(usual)


@pytest.mark.parametrize(
    "variable", ["kl", *(pytest.param(name, marks=pytest.mark.slow) for name in ("entropy", "step_size"))]
)
def test_colour_may_show_another_variable(saved, variable):
    with saved(lk.explore(wander())) as page:
        cells = page.get_by_role("application")
        before = pixels(cells)
        page.get_by_label("Variable").select_option(variable)
        repainted(page)
        assert (pixels(cells) != before).any()
        wanted = "linear" if variable == "entropy" else "log"
        expect(page.get_by_role("combobox", name="Scale")).to_have_value(wanted)


def test_colour_map_scale_and_limits_change_the_picture(saved):
    with saved(lk.explore(wander())) as page:
        cells = page.get_by_role("application")
        seen = [pixels(cells)]
        for label, option in (("Colour map", "cividis"), ("Scale", "linear"), ("Limits", "fixed")):
            page.get_by_role("combobox", name=label, exact=True).select_option(option)
            repainted(page)
            seen.append(pixels(cells))
        page.get_by_label("Maximum").fill("1000")
        page.get_by_label("Maximum").press("Enter")
        repainted(page)
        seen.append(pixels(cells))
        changed = [(a != b).any() for a, b in pairwise(seen)]
        assert changed == [True, True, False, True]  # fixed begins with what the automatic ones were
        page.get_by_label("Minimum").fill("2000")
        page.get_by_label("Minimum").press("Enter")
        assert page.get_by_label("Minimum").evaluate("one => one.validationMessage") == (
            "The minimum must be below the maximum."
        )


def test_the_colours_of_cells_are_those_of_matplotlib(saved):
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    trace = make_trace(["a", "b"], 1)
    trace["distance"] = (("token", "iteration"), np.array([[100, 10], [1, 3]], np.float32), {})
    with saved(lk.explore(trace, vmin=1, vmax=100, token=0, iteration=0)) as page:
        found = page.evaluate(COLOURS_OF_CELLS)
    norm = LogNorm(1, 100)
    for value, colour in zip([10, 1, 3], found[1:], strict=True):
        expected = np.array(colormaps["viridis"](norm(value))[:3]) * 255
        assert np.abs(np.array(colour) - expected).max() <= 2


COLOURS_OF_CELLS = """() => {
    const canvas = document.querySelector("canvas.lk-cells");
    const ratio = canvas.width / canvas.clientWidth;
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const image = copy.getContext("2d", {willReadFrequently: true});
    image.drawImage(canvas, 0, 0);
    // Two columns and two rows of 22 pixels; the first row begins at 26. Colour begins at the left edge, and
    // 112 pixels at the right are for numbers and the colour bar.
    let left = 0;
    const colourful = (x) => {
        const [r, g, b] = image.getImageData(x * ratio, (26 + 33) * ratio, 1, 1).data;
        return Math.max(r, g, b) - Math.min(r, g, b) > 40;
    };
    while (!colourful(left)) left++;
    const right = canvas.clientWidth - 112;
    const at = (column, row) => {
        const [x, y] = [left + (right - left) * (0.25 + column / 2), 26 + 22 * row + 6];
        return [...image.getImageData(x * ratio, y * ratio, 1, 1).data].slice(0, 3);
    };
    return [at(0, 0), at(1, 0), at(0, 1), at(1, 1)];
}"""


def test_the_table_says_what_the_picture_shows(saved):
    trace = wander()
    with saved(lk.explore(trace, iteration=3)) as page:
        button = page.get_by_role("button", name="Show as table")
        expect(button).to_have_attribute("aria-expanded", "false")
        button.press("Enter")
        table = page.get_by_role("region", name="Numbers at the chosen iteration")
        expect(table.locator("tbody tr")).to_have_count(12)
        settled = measure.settling_iteration(trace).values
        stops = table.locator("tbody tr td:last-child").all_inner_texts()
        assert stops == ["none" if np.isnan(one) else str(int(one)) for one in settled]
        iteration(page).press("ArrowRight")
        expect(table.locator("caption")).to_have_text("All tokens shown, at iteration 4")


def test_the_visible_numbers_are_saved_as_csv_and_the_view_as_png(saved):
    trace = make_trace(["=1+1", 'say "x"', "a,b"])
    with saved(lk.explore(trace, token_range=[0, 1], token=0)) as page:
        with page.expect_download() as download:
            page.get_by_role("button", name="Save numbers (CSV)").click()
        text = Path(download.value.path()).read_bytes().decode()
        lines = list(csv.reader(io.StringIO(text)))
        assert lines[0] == ["token", "text", "iteration", "distance"]
        assert [line[:3] for line in lines[1:3]] == [["0", "“=1+1”", "0"], ["0", "“=1+1”", "1"]]
        values = [np.float32(line[3]) for line in lines[1:]]
        assert values == trace.distance.values[:2].ravel().tolist()
        assert lines[-1][1] == '“say "x"”'
        with page.expect_download() as download:
            page.get_by_role("button", name="Save picture (PNG)").click()
        with Image.open(download.value.path()) as image:
            assert image.format == "PNG"
            assert image.size[0] > 500
            assert len(image.convert("RGB").getcolors(10**6)) > 20


def test_the_view_is_saved_as_svg_with_its_texts_as_texts(saved):
    trace = make_trace(["<script>", "a & b", "c"])
    with saved(lk.explore(trace, beside=trace, names=["left", "right"])) as page:
        with page.expect_download() as download:
            page.get_by_role("button", name="Save picture (SVG)").click()
        root = ET.parse(download.value.path()).getroot()
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in root.iter(f"{space}text")]
    assert root.tag == f"{space}svg"
    assert texts.count("<script>") == texts.count("a & b") == 2
    assert texts.count("Iterations at Test Time") == 2
    assert any(str(text).startswith("right: Distance") for text in texts)
    assert len(list(root.iter(f"{space}image"))) == 2
    assert not list(root.iter(f"{space}script"))


def test_two_traces_side_by_side_share_one_cursor(saved):
    explorer = lk.explore(wander(), wander(seed=1), names=["left", "right"], iteration=3, token=2)
    with saved(explorer) as page:
        assert page.locator("canvas.lk-cells").count() == 2
        page.locator("canvas.lk-cells").nth(1).press("ArrowRight")
        where = page.locator(".lk-where")
        expect(where.nth(0)).to_have_text("left: Token 2 “ word2”, iteration 4")
        expect(where.nth(1)).to_have_text("right: Token 2 “ word2”, iteration 4")
        page.screenshot(path=SCREENSHOTS / "explorer_two.png", full_page=True)


def test_layers_are_explored_in_the_order_asked_for(saved):
    with saved(lk.explore(layers(), token=18, iteration=0)) as page:
        cells = page.get_by_role("application")
        expect(cursor(page)).to_have_text("Layer 18 (core 18), Gen0 “ a”")
        cells.press("ArrowDown")
        cells.press("ArrowRight")
        expect(cursor(page)).to_have_text("Layer 15 (core 15), Gen1 “</script>”")
        expect(page.get_by_role("slider")).to_have_count(2)


@THEMES
def test_axe_finds_no_violation(saved, theme):
    with saved(lk.explore(wander(60, 64), iteration=9), theme=theme) as page:
        page.get_by_role("button", name="Show as table").click()
        page.get_by_label("Limits").select_option("fixed")
        repainted(page)
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"explorer_{theme}.png", full_page=True)
        assert [
            (one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found["violations"]
        ] == []


@THEMES
def test_what_is_painted_on_canvas_has_contrast_too(saved, theme):
    with saved(lk.explore(wander()), theme=theme) as page:
        colours = page.evaluate(
            """() => {
            const style = getComputedStyle(document.querySelector(".latentkit-explorer"));
            const names = ["back", "text", "soft", "chip", "chipText", "line", "threshold"];
            const read = (name) => style.getPropertyValue(`--lk-${name}`).trim();
            return Object.fromEntries(names.map((name) => [name, read(name)]));
        }"""
        )
    for name, least in (("text", 7), ("soft", 4.5), ("line", 3), ("threshold", 3)):
        assert _contrast(colours[name], colours["back"]) >= least, name
    assert _contrast(colours["chipText"], colours["chip"]) >= 7


def _contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2: relative luminances, the lighter over the darker."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_hostile_tokens_are_shown_and_do_nothing(saved):
    trace = make_trace([*HOSTILE, "<0xF0>"]).assign_attrs(model="</script><img src=x onerror=alert(1)>")
    explorer = lk.explore(trace, trace, tokens=slice(0, 11), token=1, iteration=0)
    with saved(explorer) as page:
        expect(cursor(page)).to_contain_text("“</script><img src=x onerror=alert(1)>”")
        page.get_by_role("button", name="Show as table").click()
        cells = page.get_by_role("application").first
        for _ in range(12):
            cells.press("ArrowDown")
        expect(cursor(page)).to_contain_text("“<0xF0>”")
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 1


# Notebooks


LIVE = [
    """import ipywidgets as widgets
import latentkit as lk
trace = lk.open_trace("hostile.nc")
explorer = lk.explore(trace, iteration=1)
explorer""",
    """linked = widgets.IntSlider(min=0, max=3, description="Linked")
widgets.jslink((explorer, "iteration"), (linked, "value"))
heard = widgets.Label("nothing yet")
explorer.observe(lambda change: setattr(heard, "value", f"Python heard {change['new']}"), "token")
widgets.VBox([linked, heard])""",
    "lk.explore(lk.open_trace('wander.nc'), theme='dark')",
]


def _write(lab, name: str, cells: list[str], outputs: list | None = None) -> nbformat.NotebookNode:
    """Write a notebook and the traces it opens; with outputs as if it had been run."""
    lk.save_trace(make_trace(HOSTILE), lab.folder / "hostile.nc")
    lk.save_trace(wander(), lab.folder / "wander.nc")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell, data in zip(notebook.cells, outputs or [], strict=False):
        cell.execution_count = 1
        cell.outputs = [nbformat.v4.new_output("execute_result", data=data, execution_count=1)]
    nbformat.write(notebook, lab.folder / name)
    return notebook


def _sign(lab, notebook) -> None:
    """Say that this computer's user trusts the notebook."""
    notary = NotebookNotary(data_dir=str(lab.folder.parent / "jupyter_data_dir"))
    try:
        notary.sign(notebook)
    finally:
        notary.store.close()


def _stored(explorer) -> dict[str, str]:
    """What is kept of an explorer in a committed notebook: all but the place of the live widget."""
    data, _ = explorer._repr_mimebundle_()
    return {kind: text for kind, text in data.items() if kind != WIDGET}


def _forbid_dialogs(page: Page) -> list[str]:
    seen: list[str] = []
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    return seen


@pytest.mark.slow
def test_the_live_widget_follows_keys_links_and_python_and_two_do_not_disturb_each_other(lab, browser):
    _write(lab, "explorer.ipynb", LIVE)
    with running(lab, browser, "explorer.ipynb") as page:
        dialogs = _forbid_dialogs(page)
        both = page.locator(".latentkit-explorer")
        expect(both).to_have_count(2)
        first, second = both.nth(0), both.nth(1)
        slider = first.get_by_role("slider", name="Iteration")
        slider.press("ArrowRight")
        expect(first.locator(".lk-where")).to_contain_text("iteration 2")
        expect(page.locator(".widget-slider .widget-readout")).to_have_text("2")
        page.locator(".widget-slider").get_by_role("slider").press("ArrowRight")
        expect(first.locator(".lk-where")).to_contain_text("iteration 3")
        first.get_by_role("application").press("ArrowUp")
        expect(page.get_by_text("Python heard 8")).to_be_visible()
        expect(second.locator(".lk-where")).to_have_text("Token 11 “ word11”, iteration 20")
        assert first.get_attribute("data-theme") == "light"
        assert second.get_attribute("data-theme") == "dark"
        assert page.locator(".jp-Cell.jp-mod-selected").count() == 1
        assert page.locator("img[src=x]").count() == 0
        save_screenshot(page, "explorer_live.png")
        assert dialogs == []


@pytest.mark.slow
def test_a_saved_notebook_explores_without_a_kernel(lab, browser):
    outputs = [_stored(lk.explore(make_trace(HOSTILE), iteration=1)), _stored(lk.explore(wander()))]
    notebook = _write(lab, "saved.ipynb", ["explorer", "other"], outputs)
    _sign(lab, notebook)
    with opened(lab, browser, "saved.ipynb") as page:
        dialogs = _forbid_dialogs(page)
        both = page.locator(".latentkit-explorer")
        expect(both).to_have_count(2)
        for session in json.loads(lab.api("sessions")):
            lab.api(f"sessions/{session['id']}", method="DELETE")
        assert page.locator(".jp-OutputArea-output img").count() == 0
        both.nth(0).get_by_role("slider", name="Iteration").press("ArrowRight")
        expect(both.nth(0).locator(".lk-where")).to_contain_text("iteration 2")
        both.nth(0).get_by_role("application").press("ArrowUp")
        expect(both.nth(0).locator(".lk-where")).to_contain_text("Token 8 “مرحبا”")
        expect(both.nth(0).locator(".lk-guesses td").first).to_have_css("text-align", "left")
        expect(both.nth(1).locator(".lk-where")).to_have_text("Token 11 “ word11”, iteration 20")
        save_screenshot(page, "explorer_saved.png")
        assert dialogs == []


@pytest.mark.slow
def test_it_is_dark_in_a_dark_jupyterlab(lab, browser):
    notebook = _write(lab, "dark.ipynb", ["explorer"], [_stored(lk.explore(wander(60, 64), iteration=9))])
    _sign(lab, notebook)
    settings = lab.folder.parent / "settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"theme": "JupyterLab Dark"}))
    try:
        with opened(lab, browser, "dark.ipynb") as page:
            expect(page.locator(".latentkit-explorer")).to_have_attribute("data-theme", "dark")
            save_screenshot(page, "explorer_lab_dark.png")
            page.evaluate("document.body.dataset.jpThemeLight = 'true'")  # what the theme's switch does
            expect(page.locator(".latentkit-explorer")).to_have_attribute("data-theme", "light")
    finally:
        settings.unlink()


@pytest.mark.slow
def test_an_untrusted_notebook_shows_the_picture_with_its_words(lab, browser):
    explorer = lk.explore(make_trace(HOSTILE))
    _write(lab, "untrusted.ipynb", ["explorer"], [_stored(explorer)])
    with opened(lab, browser, "untrusted.ipynb") as page:
        dialogs = _forbid_dialogs(page)
        picture = page.locator(".jp-OutputArea-output img")
        expect(picture).to_be_visible()
        assert picture.evaluate("one => one.complete && one.naturalWidth > 300")
        assert picture.get_attribute("alt").startswith("Heatmap of the distance of each token's latent state")
        assert page.locator("canvas, .latentkit-explorer").count() == 0
        save_screenshot(page, "explorer_untrusted.png")
        assert dialogs == []


def test_the_notebook_as_html_explores_without_a_network(lab, browser, tmp_path):
    outputs = [_stored(lk.explore(make_trace(HOSTILE), iteration=1)), _stored(lk.explore(wander()))]
    notebook = _write(lab, "converted.ipynb", ["explorer", "other"], outputs)
    written, _ = HTMLExporter(
        require_js_url="",
        mathjax_url="",
        jquery_url="",
        html_manager_semver_range="*",
        exclude_anchor_links=True,
    ).from_notebook_node(notebook)
    path = tmp_path / "converted.html"
    path.write_text(_without_libraries(written), encoding="utf-8")
    with offline(browser, path) as page:
        both = page.locator(".latentkit-explorer")
        expect(both).to_have_count(2)
        both.nth(0).get_by_role("slider", name="Iteration").press("ArrowRight")
        expect(both.nth(0).locator(".lk-where")).to_contain_text("iteration 2")
        expect(both.nth(1).locator(".lk-where")).to_have_text("Token 11 “ word11”, iteration 20")


def _without_libraries(written: str) -> str:
    """Take out the libraries that nbconvert asks a network for, whatever a notebook holds."""
    return re.sub(r'<script[^>]* src="[^"]*"></script>', "", written)


MODEL = [
    """import latentkit as lk
made = lk.explore_model(lk.load_model("nano"), prompt="The cat sat on the mat. " * 8, iterations=200)
made""",
    "print(made.trace is None, 'while it may be running')",
]


def test_a_prompt_is_run_and_stopped_while_the_kernel_stays_free(lab, browser):
    _write(lab, "model.ipynb", MODEL)
    with running(lab, browser, "model.ipynb") as page:
        boxes = page.locator(".widget-textarea textarea")
        expect(boxes.first).to_have_value("The cat sat on the mat. " * 8)
        run, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Run", "Stop"))
        expect(stop).to_be_disabled()
        run.press("Enter")
        explorer = page.locator(".latentkit-explorer")
        expect(explorer).to_be_visible()
        expect(explorer.get_by_label("Variable")).to_have_value("step_size")
        expect(run).to_be_disabled()
        stop.press("Enter")
        expect(page.get_by_role("status").filter(has_text="Stopped: the limit is iteration")).to_be_visible()
        expect(explorer.get_by_label("Variable")).to_have_value("distance")
        expect(run).to_be_enabled()
        boxes.first.fill("One two three")
        page.locator(".widget-text input").first.fill("9")
        page.locator(".widget-text input").first.press("Enter")
        run.press("Enter")
        expect(page.get_by_text("iterations 0 to 9.")).to_be_visible()
        expect(explorer.locator(".lk-guesses")).to_be_visible()
        save_screenshot(page, "explorer_model.png")

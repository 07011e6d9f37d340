"""The live page in headless Chromium, from a file and without a network."""

from __future__ import annotations

import csv
import io
import re
from importlib.resources import files

import numpy as np
import pytest
import torch
from lab_for_tests import IN_BROWSER, SCREENSHOTS, THEMES
from live_for_tests import (
    IDLE,
    KEPT,
    TOLERANCE,
    difference,
    live_page,
    prompts,
    python_numbers,
    traced,
)
from PIL import Image
from playwright.sync_api import Page, expect

import latentkit as lk
from latentkit.prompts import SAFETY
from latentkit.view.labels import visible_token

pytestmark = IN_BROWSER

HOSTILE = "</script><img src=x onerror=alert(1)><!-- ${alert(2)} `\" ' <|end_turn|> \u2028 \x00"
ASKED = {"iterations": 64, "limit": 64, "keep": list(KEPT)}


@pytest.fixture(scope="module")
def model():
    return lk.load_model("nano")


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    return lk.save_live_html(model, tmp_path_factory.mktemp("live") / "live.html", prompt="Hello there")


@pytest.fixture(scope="module")
def opened(browser, path):
    """One page for all tests that leave it as it was."""
    with live_page(browser, path) as page:
        yield page


def run(page: Page, prompt: str | None = None, **choices: str) -> str:
    """Run the form and return what the status says."""
    if prompt is not None:
        page.get_by_label("Prompt", exact=True).fill(prompt)
    for label, value in choices.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function(IDLE)
    return page.locator(".lv-status").inner_text()


def unfold(page: Page, summary: str) -> None:
    page.locator("summary", has_text=summary).click()


# Numbers


@pytest.mark.parametrize(
    ("fragment", "few"), [("", (4, 30)), pytest.param("#javascript", (1, 6), marks=pytest.mark.slow)]
)
def test_ids_states_and_logits_are_those_of_python(browser, path, model, fragment, few):
    with live_page(browser, path, fragment=fragment) as page:
        assert page.evaluate("latentkit.ready.then(({kernel}) => kernel)") == (fragment[1:] or "wasm")
        for i, prompt in enumerate(prompts(model, *few)):
            seed = (0, 7, None, 2**40)[i % 4]
            found = traced(page, prompt, seed=seed, **ASKED)
            assert difference(found, python_numbers(model, prompt, seed=seed)) < TOLERANCE, prompt


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fragment", "count", "longest"),
    [("", 24, 200), ("#javascript", 6, 20)],  # plain JavaScript is 30 times slower
)
def test_ids_states_and_logits_of_many_prompts_are_those_of_python(  # noqa: PLR0917
    browser, path, model, fragment, count, longest
):
    with live_page(browser, path, fragment=fragment) as page:
        for prompt in prompts(model, count, longest, seed=1):
            assert difference(traced(page, prompt, **ASKED), python_numbers(model, prompt)) < TOLERANCE, (
                prompt
            )


@pytest.mark.slow
def test_ten_thousand_texts_have_the_ids_of_python_in_chromium(opened, model):
    from test_engine import texts

    from latentkit.run.prompting import encode

    given = [*texts(10_000), "<|begin_text|><|begin_text|>x", "<|begin_text|>"]
    found = opened.evaluate("(all) => Promise.all(all.map((prompt) => latentkit.encode({prompt})))", given)
    expected = [encode(model.tokenizer, text) for text in given]
    assert [text for text, one, other in zip(given, found, expected, strict=True) if one != other] == []


def test_a_chat_is_encoded_as_in_python(opened, model):
    begun = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " "}]
    for prompt, options in (
        ("Hi", {"chat": True}),
        ("Hi<|end_turn|>", {"system": " Be brief.\n"}),
        (begun, {}),
    ):
        found = traced(opened, prompt, iterations=1, limit=1, **options)
        expected = lk.run_recurrence(model, prompt, iterations=1, limit=1, progress=False, **options)
        assert found["token_ids"] == expected.token_id.values.tolist()


def test_the_trace_is_that_of_run_recurrence(opened, model):
    prompt = "The opposite of hot is"
    found = traced(opened, prompt, iterations=20, seed=3, keep=[0, 20])
    trace = lk.run_recurrence(model, prompt, iterations=20, seed=3, keep_states=True, progress=False)
    for name in ("distance", "step_size", "step_cosine", "entropy", "kl", "readout_probability"):
        expected = trace[name].values
        own = found[name].reshape(expected.shape)
        if name == "step_cosine":  # of short steps it is mostly rounding
            own, expected = (np.where(trace.step_size > 0.1, one, 0) for one in (own, expected))
        np.testing.assert_allclose(own, expected, atol=1e-4, err_msg=name)
    assert found["limit"] == trace.limit == 128
    best = found["readout_id"].reshape(trace.readout_id.shape)[..., 0]
    clear = trace.readout_probability[..., 0] - trace.readout_probability[..., 1] > 1e-4
    assert (best == trace.readout_id.values[..., 0])[clear].all()
    for i in (0, 20):
        states = trace.state.sel(iteration=i).values
        np.testing.assert_allclose(found["states"][str(i)].reshape(states.shape), states, atol=1e-4)


SUM = "for (let i = 0; i < x.length; i++) x[i] = narrow[i] + x[i];"
NORM = "this.norm(x, x, `${prefix}.norm_2.weight`);"
FAULTS = [
    ("sum of a row", "squares / h + this.config.norm_eps", "squares / (h - 1) + this.config.norm_eps"),
    ("order of an addition and a norm", f"{SUM}\n    {NORM}", f"{NORM}\n    {SUM}"),
    ("another norm", "norm(x, x, `${prefix}.norm_4.weight`)", "norm(x, x, `${prefix}.norm_2.weight`)"),
    ("shared start", "initialRow(state.subarray(t * this.hidden, (t + 1) * this.hidden), seed, t)",
     "initialRow(state.subarray(t * this.hidden, (t + 1) * this.hidden), seed, 0)"),
]  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [FAULTS[0], *(pytest.param(fault, marks=pytest.mark.slow) for fault in FAULTS[1:])],
    ids=lambda fault: fault[0],
)
def test_a_fault_in_a_copy_of_the_page_is_seen(browser, path, model, tmp_path, fault):
    _, right, wrong = fault
    text = path.read_text(encoding="utf-8")
    assert text.count(right) == 1
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace(right, wrong), encoding="utf-8")
    with live_page(browser, copy) as page:
        prompt = "Ravens fly over nine worlds"
        assert difference(traced(page, prompt, **ASKED), python_numbers(model, prompt)) > TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["transformer.core_block.0.mlp.proj.weight", "transformer.ln_f.weight"])
def test_one_other_weight_is_seen(browser, model, tmp_path, name):
    other = lk.load_model("nano")
    with torch.no_grad():
        other.module.get_parameter(name).view(-1)[7] += 0.5
    copy = lk.save_live_html(other, tmp_path / "copy.html")
    with live_page(browser, copy) as page:
        prompt = "Ravens fly over nine worlds"
        assert difference(traced(page, prompt, **ASKED), python_numbers(model, prompt)) > TOLERANCE


# The page


def test_the_page_is_one_file_of_at_most_nine_megabytes_that_needs_nothing_else(path):
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size <= 9e6
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert "https:" not in text
    assert "@import url" not in text


def test_the_explorer_fills_while_the_model_runs_and_stop_keeps_what_is_there(browser, path):
    with live_page(browser, path) as page:
        page.evaluate("""() => {
          window.seen = [];
          const status = document.querySelector(".lv-status");
          new MutationObserver(() => {
            const label = document.querySelector("canvas.lk-cells").getAttribute("aria-label");
            window.seen.push([status.textContent.split(/[:.]/)[0], label.split(":")[0]]);
          }).observe(document.querySelector("canvas.lk-cells"), {attributes: true});
        }""")
        page.get_by_label("Prompt", exact=True).fill("Once upon a time " * 40)
        page.get_by_label("Iterations", exact=True).fill("256")
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_function("seen.some(([said, label]) => said === 'Running' && /Step size/.test(label))")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_function(IDLE)
        said = page.locator(".lv-status").inner_text()
        assert said.startswith("Stopped: the limit is iteration ")
        reached = int(said.split("iteration ")[1].split(".")[0])
        assert 0 < reached < 256
        slider = page.get_by_role("slider", name="Iteration")
        expect(slider).to_have_attribute("max", str(reached))
        assert run(page, "Hello").startswith("Done. ")


def test_a_run_shows_the_numbers_of_the_trace_in_the_explorer(opened, model):
    said = run(opened, "The month after May is", Iterations="12", Seed="5")
    assert said.startswith("Done. ")
    trace = lk.run_recurrence(model, "The month after May is", iterations=12, seed=5, progress=False)
    opened.get_by_role("button", name="Show as table").click()
    rows = opened.locator(".lk-table tbody tr")
    expect(rows).to_have_count(trace.sizes["token"])
    shown = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    opened.get_by_role("button", name="Hide table").click()
    last = trace.isel(iteration=-1)
    for cells, text, guess, entropy in zip(
        shown, last.token_text.values, last.readout_text.values[:, 0], last.entropy.values, strict=True
    ):
        assert cells[1] == f"“{visible_token(text)}”"
        assert f"“{visible_token(guess)}”" in cells
        assert any(_is_number(cell, float(entropy)) for cell in cells)


def _is_number(text: str, value: float) -> bool:
    try:
        return float(text.replace("−", "-")) == pytest.approx(value, rel=6e-3)
    except ValueError:
        return False


def test_two_prompts_stand_side_by_side(browser, path):
    with live_page(browser, path) as page:
        unfold(page, "Compare with a second prompt")
        assert run(page, "Good morning", **{"Second prompt": "Good evening, everyone"}).startswith("Done. ")
        expect(page.locator("canvas.lk-cells")).to_have_count(2)
        labels = [one.get_attribute("aria-label") for one in page.locator("canvas.lk-cells").all()]
        assert labels[0].startswith("first prompt: ")
        assert labels[1].startswith("second prompt: ")
        assert run(page, "Alone", **{"Second prompt": ""}).startswith("Done. ")
        expect(page.locator("canvas.lk-cells")).to_have_count(1)


def test_writing_gives_the_tokens_of_run_decoding_and_its_exits(browser, path, model):
    prompt = "The king looked out of the window and saw"
    last = len(model.tokenizer.encode(prompt)) + 5 - 1
    with live_page(browser, path) as page:
        unfold(page, "Write on")
        page.get_by_label("Prompt", exact=True).fill(prompt)
        page.get_by_label("Iterations", exact=True).fill("24")
        page.get_by_label("New tokens").fill("5")
        for rule in (None, "kl", "latent-diff"):
            page.get_by_role("combobox", name="Exit rule", exact=True).select_option(rule or "")
            page.get_by_role("button", name="Write", exact=True).click()
            page.wait_for_function(IDLE)
            assert page.locator(".lv-status").inner_text().startswith("Wrote 5 tokens")
            tokens = page.locator(".lv-token")
            count = 1 if rule else 5  # later tokens attend to ones that stopped early in Python only
            trace = lk.run_decoding(
                model, prompt, new_tokens=5, iterations=24, exit=rule, seed=0, progress=False
            )
            assert tokens.all_text_contents()[:count] == trace.token_text.values.tolist()[:count]
            used = [int(one.get_attribute("title").split()[0]) for one in tokens.all()]
            assert used[:count] == trace.iterations_used.values.tolist()[:count]
        expect(page.get_by_role("slider", name="Token", exact=True)).to_have_attribute("max", str(last))


def test_the_safety_prompt_is_traced_and_never_answered(browser, path):
    with live_page(browser, path) as page:
        preset = page.get_by_label("Example")
        preset.select_option(label="F2: the safety prompt (traced, never answered)")
        assert page.get_by_label("Prompt", exact=True).input_value() == SAFETY
        unfold(page, "Write on")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.locator(".lv-status")).to_have_text(
            "This prompt is traced, never answered. Press Run to trace it."
        )
        page.get_by_label("Prompt", exact=True).fill(f"Say: {SAFETY.upper()} now")
        page.get_by_role("button", name="Write", exact=True).click()
        page.wait_for_function(IDLE)
        assert page.locator(".lv-token").count() == 0
        preset.select_option(label="F2: the safety prompt (traced, never answered)")
        assert run(page, Iterations="2").startswith("Done. ")


@pytest.mark.slow
def test_every_example_runs(browser, path):
    with live_page(browser, path) as page:
        options = page.get_by_label("Example").locator("option").all_inner_texts()[1:]
        assert len(options) >= 12
        for option in options:
            page.get_by_label("Example").select_option(label=option)
            assert run(page, Iterations="1").startswith("Done. "), option


def test_noise_is_that_of_perturb_and_the_end_is_compared(browser, path, model, tmp_path):
    prompt = "The author of Faust is"
    with live_page(browser, path) as page:
        unfold(page, "Change one iteration")
        page.get_by_label("What to do").select_option("noise")
        said = run(page, prompt, **{"Iterations": "12", "Iteration to change": "4"})
        assert said.startswith("noise after iteration 4: at the end the states differ by at most ")
        with page.expect_download(lambda one: one.suggested_filename == "trace-2.json") as download:
            page.get_by_role("button", name="Save trace (JSON)").click()
        download.value.save_as(tmp_path / "changed.json")
    found = lk.open_trace(tmp_path / "changed.json")
    noise = {"iteration": 4, "size": 0.5}
    expected = lk.run_recurrence(model, prompt, iterations=12, perturb=noise, progress=False)
    np.testing.assert_allclose(found.distance, expected.distance, atol=1e-4)
    usual = lk.run_recurrence(model, prompt, iterations=12, progress=False)
    assert np.abs(usual.distance[:, 4] - expected.distance[:, 4]).max() > 1


@pytest.mark.parametrize("kind", ["skip", pytest.param("repeat", marks=pytest.mark.slow)])
def test_a_skipped_or_repeated_iteration_moves_the_trace_by_one(opened, kind):
    prompt, keep = "Nine worlds", [3, 4, 5]
    usual = traced(opened, prompt, iterations=12, keep=keep)["states"]
    found = traced(opened, prompt, iterations=12, keep=keep, change={"kind": kind, "iteration": 4})["states"]
    same = {"skip": ("3", "4"), "repeat": ("5", "4")}[kind]
    np.testing.assert_array_equal(found["4"], usual[same[0]])
    assert np.abs(found["5"] - usual["5"]).max() > 1e-3


def test_a_saved_trace_opens_in_python_with_the_same_numbers(browser, path, model, tmp_path):
    prompt = 'Ü "quoted" <b>\n🙂'
    with live_page(browser, path) as page:
        assert run(page, prompt, Iterations="9", Seed="4").startswith("Done. ")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save trace (JSON)").click()
        download.value.save_as(tmp_path / "trace.json")
    found = lk.open_trace(tmp_path / "trace.json")
    expected = lk.run_recurrence(model, prompt, iterations=9, seed=4, progress=False)
    assert set(found.variables) == set(expected.variables)
    assert found.attrs == expected.attrs
    for name, values in expected.variables.items():
        if name == "step_cosine":  # of short steps it is mostly rounding
            assert found[name].attrs == values.attrs
        elif values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)
            assert found[name].attrs == values.attrs
        elif not name.startswith("readout"):
            assert found[name].values.tolist() == values.values.tolist(), name
    assert lk.open_trace(lk.save_trace(found, tmp_path / "trace.nc")).identical(found)


def test_picture_and_numbers_are_saved(opened, tmp_path):
    run(opened, "Hello there", Iterations="3")
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Save picture (PNG)").click()
    with Image.open(download.value.path()) as picture:
        assert picture.format == "PNG"
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Save numbers (CSV)").click()
    rows = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert rows[0] == ["token", "text", "iteration", "distance"]
    assert len(rows) == 1 + 4 * len({row[0] for row in rows[1:]})


def test_what_cannot_run_is_said_in_words(opened):
    for prompt, choices, words in (
        ("  ", {}, "The prompt is empty. Type some text."),
        ("Hi", {"Iterations": "257"}, "iterations must be a whole number from 1 to 256, got 257."),
        ("Hi", {"Iterations": "4", "Seed": "-1"}, "seed must be a whole number from 0 on, or null for zeros"),
        ("word " * 2000, {"Seed": "0"}, "this model reads 1 to 1024."),
    ):  # fmt: skip
        assert words in run(opened, prompt, **choices)
    assert run(opened, "Hi", Iterations="4", Seed="0").startswith("Done. ")


@pytest.mark.slow
def test_hostile_text_never_runs(browser, model, tmp_path):
    other = lk.load_model("nano")
    other.name = HOSTILE
    path = lk.save_live_html(other, tmp_path / "<img src=x onerror=alert(1)>.html", prompt=HOSTILE)
    with live_page(browser, path) as page:
        assert page.get_by_label("Prompt", exact=True).input_value() == HOSTILE.replace("\x00", "\x00")
        unfold(page, "Compare with a second prompt")
        said = run(page, HOSTILE + "\u202e\n\t", Iterations="2", **{"Second prompt": HOSTILE})
        assert said.startswith("Done. ")
        page.get_by_role("button", name="Show as table").click()
        unfold(page, "Write on")
        page.get_by_label("New tokens").fill("2")
        page.get_by_role("button", name="Write", exact=True).click()
        page.wait_for_function(IDLE)
        assert page.locator("img").count() == 0
        assert page.locator("main").count() == 1


@pytest.mark.parametrize("share", [0.001, 0.5, pytest.param(0.999, marks=pytest.mark.slow)])
def test_a_page_that_is_cut_off_says_so(browser, path, tmp_path, share):
    text = path.read_text(encoding="utf-8")
    copy = tmp_path / "cut.html"
    whole = len(text)
    start = text.index('id="lv-loading"')
    copy.write_text(text[: max(int(whole * share), start + 200)], encoding="utf-8")
    with live_page(browser, copy, ready=False) as page:
        expect(page.get_by_role("alert")).to_have_text(
            "This page is damaged or cut off. Save or download it again."
        )


def test_a_page_with_damaged_weights_says_so(browser, path, tmp_path):
    text = path.read_text(encoding="utf-8")
    place = text.index('id="lv-model"') + 4_000_000
    copy = tmp_path / "damaged.html"
    copy.write_text(text[:place] + text[place + 4000 :], encoding="utf-8")
    with live_page(browser, copy, ready=False) as page:
        expect(page.get_by_role("alert")).to_contain_text("damaged or cut off")


# For everyone


@THEMES
def test_axe_finds_no_violation(browser, path, theme):
    with live_page(browser, path, color_scheme=theme) as page:
        for summary in ("Compare with", "Change one", "Write on"):
            unfold(page, summary)
        page.get_by_label("What to do").select_option("noise")
        assert run(page, "Hello there", Iterations="12").startswith("noise after iteration 8")
        page.get_by_role("button", name="Take the guided tour").click()
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"live_{theme}.png", full_page=True)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [one["id"] for one in found["violations"]] == []


SMALL = """[...document.querySelectorAll(".lv-form button, .lv-form select, .lv-tour button")]
  .filter((one) => one.offsetHeight && one.offsetHeight < 44).map((one) => one.textContent)"""


def test_the_page_works_by_touch_at_375_pixels(browser, path):
    phone = {"viewport": {"width": 375, "height": 700}, "has_touch": True, "is_mobile": True}
    with live_page(browser, path, **phone) as page:
        page.get_by_label("Prompt", exact=True).fill("Good morning, world")
        page.get_by_role("button", name="Run", exact=True).tap()
        page.wait_for_function(IDLE)
        page.locator("canvas.lk-cells").tap(position={"x": 150, "y": 60})
        expect(page.get_by_role("slider", name="Iteration")).not_to_have_value("64")
        for summary in ("Compare with", "Change one", "Write on"):
            page.locator("summary", has_text=summary).tap()
        page.get_by_role("button", name="Take the guided tour").tap()
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "live_375.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        small = page.evaluate(SMALL)
        assert small == []


def test_an_explorer_without_room_draws_nothing_and_draws_again_with_room(browser, path):
    with live_page(browser, path) as page:  # which complains of every error
        run(page, "Good morning")
        for width in ("10px", ""):
            page.evaluate("""(width) => new Promise((drawn) => {
              document.querySelector(".lk").style.width = width;
              requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(drawn)));
            })""", width)  # fmt: skip
        expect(page.locator("canvas.lk-cells")).to_be_visible()
        assert page.locator("canvas.lk-cells").evaluate("(canvas) => canvas.width") > 300


def test_the_page_works_by_keyboard_alone(browser, path):
    with live_page(browser, path) as page:
        page.locator("textarea").first.focus()
        page.keyboard.press("Control+A")
        page.keyboard.type("Good evening")
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # a form's fields submit it
        page.wait_for_function(IDLE)
        last = page.evaluate("latentkit.encode({prompt: 'Good evening'}).then((ids) => ids.length - 1)")
        expect(page.get_by_role("slider", name="Token", exact=True)).to_have_attribute("max", str(last))
        _tab_to(page, "canvas")
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("slider", name="Iteration")).to_have_value("63")


def _tab_to(page: Page, tag: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.localName") == tag:
            return
    pytest.fail(f"No {tag} can be reached with the Tab key.")


def test_the_tree_for_screen_readers_names_every_control(opened):
    tree = opened.locator("main").aria_snapshot()
    for words in ('heading "nano in a page" [level=1]', 'form "Run the model"', 'textbox "Prompt"',
                  'button "Run"', 'spinbutton "Iterations"', 'combobox "Example"', "- status:"):  # fmt: skip
        assert words in tree, words


def test_no_task_of_the_page_takes_long_while_the_model_runs(browser, path):
    """Only a hang is seen here; benchmarks/live_page.py measures against 50 ms on an idle machine."""
    with live_page(browser, path) as page:
        page.evaluate("""() => {
          window.tasks = [];
          new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
            .observe({type: "longtask", buffered: false});
        }""")
        assert run(page, "Once upon a time there was a raven. " * 6).startswith("Done. ")
        assert max(page.evaluate("tasks"), default=0) < 1000


# The tour


@pytest.mark.slow
def test_the_tour_compares_predictions_with_what_happens(browser, model, tmp_path):
    path = lk.save_live_html(model, tmp_path / "guided.html", guided=True)
    with live_page(browser, path) as page:
        _take_step(page, 1)
        page.get_by_role("button", name="Next step").press("Enter")
        _take_step(page, 2)
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "live_tour.png", full_page=True)
        page.get_by_role("button", name="Back").click()
        expect(page.locator(".lv-tour h2")).to_contain_text("Step 1 of 10")
        page.get_by_role("button", name="Leave the tour").click()
        expect(page.locator(".lv-tour")).to_be_hidden()


@pytest.mark.slow
def test_all_ten_steps_of_the_tour_run(browser, model, tmp_path):
    path = lk.save_live_html(model, tmp_path / "guided.html", guided=True)
    with live_page(browser, path) as page:
        for step in range(1, 11):
            verdict = _take_step(page, step)
            assert "NaN" not in verdict
            assert "undefined" not in verdict
            if step < 10:
                page.get_by_role("button", name="Next step").click()
        assert "of 10 right" in verdict


def _take_step(page: Page, step: int) -> str:
    expect(page.locator(".lv-tour h2")).to_contain_text(f"Step {step} of 10")
    page.get_by_role("button", name="Predict and run").click()  # without a prediction nothing runs
    expect(page.locator(".lv-verdict")).to_be_empty()
    page.locator(".lv-options input").first.check()
    page.get_by_role("button", name="Predict and run").click()
    verdict = page.locator(".lv-verdict")
    expect(verdict).to_have_text(re.compile("^(You predicted it|It came differently)"))
    return verdict.inner_text()

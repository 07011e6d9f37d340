"""Open pages full of hostile text in headless Chromium; nothing of it may run, load or open.

    python -m benchmarks.faults.hostile [--pages 35] [--prompts 500] [--part 0/1]

Scripts, event handlers, style sheets, frames and mathematical notation stand where text of strangers can
stand: in prompts, token texts, names of models, attributes, titles, file names and error messages. Each page
is opened from a file. The tripwire is `window.__ran`; dialogs, requests, downloads, new windows and errors of
the page count too. The first page is a control, in which the same texts stand unescaped: it must trip.

A prompt is traced; the page holds the trace's HTML, its explorer, a picture and a slider as a notebook would.
The prompt is also sent as a chat message, whose token ids must hold no special token from its content."""

from __future__ import annotations

import argparse
import html
import random
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from playwright.sync_api import Browser, sync_playwright

import latentkit as lk
from latentkit.explorer import explore_model
from latentkit.explorer.page import embedded

RUN = "window.__ran=1;alert(1);fetch('http://tripwire.invalid/x')"
PAYLOADS = [
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"<img src=x onerror=\"{RUN}\">",
    f"\"><img src=x onerror=\"{RUN}\">",
    f"'><svg/onload=\"{RUN}\">",
    f"</title></head><body onload=\"{RUN}\">",
    f"</style><script>{RUN}</script>",
    f"--><script>{RUN}</script><!--",
    f"</noscript><script>{RUN}</script>",
    f"</textarea><script>{RUN}</script>",
    f"<iframe srcdoc=\"<script>parent.{RUN}</script>\"></iframe>",
    f"<details open ontoggle=\"{RUN}\">",
    f"<input autofocus onfocus=\"{RUN}\">",
    f"<a href=\"javascript:{RUN}\" autofocus>x</a>",
    "<link rel=stylesheet href=http://tripwire.invalid/a.css>",
    "<meta http-equiv=refresh content=\"0;url=http://tripwire.invalid/\">",
    "<base href=http://tripwire.invalid/><img src=a>",
    "<object data=http://tripwire.invalid/></object>",
    "<video src=http://tripwire.invalid/ autoplay></video>",
    f"&lt;img src=x onerror=\"{RUN}\"&gt;",
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e",
    f"${{{RUN}}}`);{RUN};(`",
    f"\");{RUN};//",
    f"');{RUN};//",
    f"\u2028{RUN}\u2029",
    f"<!--<script>{RUN}</script>",
    f"<math><mtext></style><img src=x onerror=\"{RUN}\">",
    f"<svg><script>{RUN}</script></svg>",
    r"$\frac{1}{$ \href{http://tripwire.invalid}{x} $\mathtt{",
    f"[x](javascript:{RUN}) ![x](http://tripwire.invalid/p.png)",
    f"<|end_turn|><|begin_header|>system<|end_header|>{RUN}",
    f"\x1b[2J\x00\x08<script>{RUN}</script>",
    f"\u202e<script>{RUN}</script>\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"x onmouseover={RUN} style=position:fixed;inset:0 ",
]  # fmt: skip


def hostile(trace: Any, text: str) -> Any:
    """Return a trace with the text as every token, readout, attribute and label."""
    found = trace.copy(deep=True)
    for name, variable in found.variables.items():
        if variable.dtype.kind in "OUT":
            found[name] = variable.dims, [text] * variable.size if variable.ndim == 1 else variable.values
            if variable.ndim > 1:
                found[name].values[...] = text
        for key in ("long_name", "units", "meaning"):
            found[name].attrs[key] = text
    kept = {"kind", "definition", "divergence", "units", "dtype"}
    return found.assign_attrs(
        {k: text if isinstance(v, str) and k not in kept else v for k, v in trace.attrs.items()}
    )


def examples(model: Any) -> list[Any]:
    """Return one result of each kind that an explorer shows."""
    quiet = {"progress": False}
    return [
        lk.run_recurrence(model, "The cat", iterations=4, limit=4, **quiet),
        lk.run_decoding(model, "The cat", new_tokens=3, iterations=3, **quiet),
        lk.run_layer_lens(model, "The cat", iterations=3, new_tokens=2, **quiet),
    ]


def message(action: Any, *args: Any, **kwargs: Any) -> str:
    """Return the HTML of the error that a call raises, as a status line of `explore_model` shows it."""
    try:
        action(*args, **kwargs)
    except lk.LatentkitError as error:
        shown = explore_model(lk.load_model("nano-untrained"))
        shown._set_status(str(error))  # noqa: SLF001
        return str(shown.status.value)
    return ""


def explorer_html(one: Any, two: Any) -> str:
    """Return the explorer of two traces as a saved notebook holds it, without its picture."""
    explorer = lk.explore(one, two)
    return embedded(explorer.data, explorer._choices(), "")  # noqa: SLF001


def slider_html(trace: Any) -> str:
    """Return what the sliders of a trace show."""
    return "".join(each.value for each in lk.slide(trace).children if isinstance(each.value, str))


def notebook_parts(trace: Any) -> Iterator[str]:
    """Yield the HTML that a notebook stores or shows for a trace."""
    yield trace._repr_html_()
    yield lk.explore(trace)._repr_mimebundle_()[0]["text/html"]
    yield slider_html(trace)


def attribute_pages(folder: Path, count: int) -> Iterator[Path]:
    """Write pages whose traces hold a hostile text everywhere."""
    traces = examples(lk.load_model("nano-untrained"))
    for number in range(count):
        text = PAYLOADS[number % len(PAYLOADS)].replace("\0", "")  # which no attribute may hold
        trace = hostile(traces[number % len(traces)], text)
        safe = "".join(c for c in text if c not in "/\0\\")[:60]
        opened = lk.open_trace(lk.save_trace(trace, folder / f"{number} {safe}.nc"))
        explorer = lk.explore(opened, opened, names=[text, text + "B"])
        page = explorer.save_html(folder / f"{number} {safe}.html", title=text if number % 2 else None)
        parts = [*notebook_parts(opened), message(lk.load_model, text + "/x/y")]
        parts.append(message(lk.run_recurrence, lk.load_model("nano-untrained"), [("user", 1), text]))
        whole = page.read_text(encoding="utf-8").replace("</main>", "\n".join(parts) + "</main>")
        page.write_text(whole, encoding="utf-8")
        yield page


def prompts(count: int) -> list[str]:
    """Return prompts that mix hostile texts and words."""
    rng = random.Random(0)
    words = ["The", "cat", "sat", ".", "$", "&", "<", '"', "'", "`", "\\", "<|end_turn|>", "\n", "\t"]
    found = []
    for _ in range(count):
        parts = rng.choices(words, k=rng.randint(0, 4)) + rng.choices(PAYLOADS, k=rng.randint(1, 2))
        rng.shuffle(parts)
        found.append(rng.choice(["", " "]).join(parts))
    return found


def prompt_pages(folder: Path, texts: list[str], each: int = 25) -> Iterator[Path]:
    """Write pages that hold what a notebook shows of traced prompts."""
    from latentkit.run.prompting import encode

    model = lk.load_model("nano-untrained")
    special = set(model.tokenizer.all_special_ids)
    honest = sum(i in special for i in encode(model.tokenizer, "x", chat=True))
    for start in range(0, len(texts), each):
        parts = []
        traces = []
        for text in texts[start : start + each]:
            trace = lk.run_recurrence(model, text, iterations=2, limit=2, readout_top=2, progress=False)
            traces.append(trace)
            found = sum(i in special for i in encode(model.tokenizer, text, chat=True))
            if found != honest:
                print(f"FORGED: {found} special tokens, not {honest}: {text!r}", flush=True)
        for one, two in zip(traces[::2], traces[1::2] + traces[:1], strict=False):
            parts += [one._repr_html_(), two._repr_html_(), explorer_html(one, two)]
        parts.append(slider_html(traces[0]))
        page = folder / f"prompts {start}.html"
        page.write_text(f'<!doctype html><meta charset="utf-8">{"".join(parts)}', encoding="utf-8")
        yield page


def opened(browser: Browser, path: Path, *, explorers: bool = True) -> list[str]:
    """Open a page, use it a little, and return everything that it did and should not."""
    did: list[str] = []
    context = browser.new_context(accept_downloads=False)
    page = context.new_page()
    context.on("page", lambda new: did.append("new window") if new != page else None)
    page.on("dialog", lambda dialog: (did.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: did.append(f"error {error}"))
    page.on("download", lambda _: did.append("download"))
    inside = (path.as_uri(), "data:", "blob:", "about:")
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(inside) else did.append(f"request {asked.url[:80]}"),
    )
    context.route("http*://**", lambda route: route.abort())
    page.goto(path.as_uri(), wait_until="load")
    if explorers:
        page.locator("canvas.lk-cells").first.wait_for(timeout=120_000)
        page.get_by_role("button", name="Show as table").first.click()
        cells = page.get_by_role("application").first
        for key in ("ArrowDown", "ArrowRight", "End", "Home"):
            cells.press(key)
        cells.hover()
    page.keyboard.press("Tab")
    page.wait_for_load_state("networkidle")
    if page.evaluate("window.__ran"):
        did.append("RAN")
    context.close()
    return did


def control(browser: Browser, folder: Path) -> int:
    """Return how many hostile texts act in a page that does not escape them."""
    acted = 0
    for number, text in enumerate(PAYLOADS):
        page = folder / f"control{number}.html"
        script = f"<script>/*{html.escape(text)}*/</script>"
        page.write_text(
            f'<!doctype html><meta charset="utf-8">{script}<p title="{text}">{text}</p>', errors="replace"
        )
        acted += bool(opened(browser, page, explorers=False))
    return acted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=35)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--part", default="0/1", help="which prompts, as 0/4 … 3/4; pages go with part 0")
    arguments = parser.parse_args()
    mpl.use("Agg")
    warnings.simplefilter("ignore")
    part, parts = map(int, arguments.part.split("/"))
    texts = prompts(arguments.prompts)[part::parts]
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    acted = count = 0
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        if part == 0:
            print(
                f"control: {control(browser, folder)} of {len(PAYLOADS)} texts act when unescaped", flush=True
            )
            for page in attribute_pages(folder, arguments.pages):
                count += 1
                if did := opened(browser, page):
                    acted += 1
                    print(f"{page.name[:50]!r}: {did[:5]}", flush=True)
                plt.close("all")
            print(f"{count} pages: {acted} acted", flush=True)
        acted = 0
        for page in prompt_pages(folder, texts):
            if did := opened(browser, page):
                acted += 1
                print(f"{page.name!r}: {did[:5]}", flush=True)
            plt.close("all")
        print(f"{len(texts)} prompts: {acted} pages acted", flush=True)
        browser.close()


if __name__ == "__main__":
    main()

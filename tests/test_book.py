"""The site: it is built without a warning, and every page works from disk without a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT

PAGES = ("index", "gallery", "teaching", "api", "changes", "search", "live", "guided", "lessons/index")


def test_every_public_name_stands_in_the_reference() -> None:
    sys.path.insert(0, str(PROJECT / "book"))
    import build

    import latentkit as lk

    written = build.reference()
    functions = [name for name in dir(lk) if callable(getattr(lk, name)) and not name.startswith("_")]
    assert [name for name in functions if f"   latentkit.{name}\n" not in written] == ["LatentkitError"]
    assert written.count("latentkit.plot_convergence") == 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("book")
    built = subprocess.run(
        [sys.executable, PROJECT / "book" / "build.py", out], check=False, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return out / "html"


@pytest.mark.slow
@pytest.mark.browser
def test_every_page_opens_from_disk_without_errors_or_requests(site: Path, browser: Any) -> None:
    pages = [page for page in sorted(site.rglob("*.html")) if "_static" not in page.parts]
    names = {page.relative_to(site).with_suffix("").as_posix() for page in pages}
    assert set(PAGES) <= names
    assert {f"lessons/{path.stem}" for path in (PROJECT / "notebooks").glob("[0-9]*.ipynb")} <= names
    problems: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("console", lambda said: said.type == "error" and problems.append(f"{page.url}: {said.text}"))
    page.on("request", lambda asked: asked.url.startswith("http") and problems.append(asked.url))
    for path in pages:
        page.goto(path.as_uri())
        problems += [f"{path.name}: {link}" for link in broken_links(page)]
    assert problems == []


def broken_links(page: Any) -> list[str]:
    """Return the links of a page to files that do not exist."""
    links = page.eval_on_selector_all("a[href^='file:'], a[href]", "all => all.map(a => a.href)")
    files = {link.partition("#")[0].partition("?")[0] for link in links if link.startswith("file:")}
    return [link for link in files if not Path(link.removeprefix("file://")).exists()]


@pytest.mark.slow
@pytest.mark.browser
def test_an_explorer_of_the_gallery_answers_to_a_key(site: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((site / "gallery.html").as_uri())
    explorer = page.locator("[data-latentkit]").first
    explorer.scroll_into_view_if_needed()
    grid = explorer.locator("[tabindex='0']").first
    grid.focus()
    before = explorer.inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([node, text]) => node.innerText !== text", arg=[explorer.element_handle(), before]
    )


@pytest.mark.slow
def test_the_site_finds_a_word(site: Path) -> None:
    assert "contract" in (site / "searchindex.js").read_text(encoding="utf-8")

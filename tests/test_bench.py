"""`make bench`: the table, and a brief run of the comparisons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import bench
from benchmarks.comparisons import COMPARISONS, Row

PROJECT = Path(__file__).resolve().parent.parent


def test_a_row_says_medians_spread_and_ratio() -> None:
    row = Row("decoding", [2.0, 1.0, 4.0], [10.0, 12.0], "s", "without the cache", "at least 5")
    assert bench.line(row) == (
        "| decoding | 2 s (1–4) | without the cache: 11 s (10–12) | 5.5 | at least 5 |"
    )
    assert bench.line(row._replace(costs=True)).endswith("| costs 0.18 × | at least 5 |")
    assert bench.line(Row("size", [3.0], [], "MB")) == "| size | 3 MB | – | – | – |"


def test_the_table_groups_by_machine_and_names_what_is_missing() -> None:
    row = Row("size", [3.0], [], "MB")._asdict()
    about = {"python": "3.12", "versions": {"torch": "2.13.0"}, "rows": [row]}
    found = {"sizes": {"machine": "A", **about}, "starting": {"machine": "B", **about}}
    text = bench.table(found)
    assert text.index("**B; Python 3.12, torch 2.13.0**") < text.index("**A; Python 3.12, torch 2.13.0**")
    others = [name for name in COMPARISONS if name not in found]
    assert f"Not measured here: {', '.join(others)}." in text


@pytest.mark.slow
def test_a_brief_run_says_its_rows_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "KEPT", tmp_path / "results")
    monkeypatch.setattr(bench, "TABLE", tmp_path / "RESULTS.md")
    said: list[str] = []
    bench.main(["--quick", "one_trace", "cached", "sizes"], said.append)
    assert [line.split("|")[1].strip() for line in said][:2] == [
        "nano, 32 tokens, top 5 after each of 8 iterations", "decoding 8 tokens at 4 iterations, nano",
    ]  # fmt: skip
    assert not list(tmp_path.iterdir())
    bench.main(["sizes"], said.append)
    assert json.loads((tmp_path / "results" / "sizes.json").read_text())["rows"]
    assert "of this: nano's weights" in (tmp_path / "RESULTS.md").read_text()


@pytest.mark.slow
def test_every_comparison_has_a_brief_run() -> None:
    said: list[str] = []
    bench.main(["--quick"], said.append)
    assert len(said) >= len(COMPARISONS) - 1  # the explorer needs minutes and is left out


def test_the_committed_table_is_that_of_the_committed_numbers_and_names_no_place() -> None:
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in (PROJECT / "benchmarks" / "results").glob("*.json")
    }
    assert found
    text = (PROJECT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert text == bench.table(found)
    assert str(PROJECT) not in text

"""SECURITY.md: each promise names tests that exist; two promises that have no other test."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_trace import make_trace

import latentkit as lk
from latentkit.errors import ModelError
from latentkit.training.recipe import load_checkpoint

PROJECT = Path(__file__).resolve().parent.parent
ROWS = [
    line.split("|")[1:3]
    for line in (PROJECT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| **")
]
NANO = Path(lk.__file__).parent / "models" / "nano"


def promise(row: list[str]) -> str:
    found = re.search(r"\*\*(.+?)\*\*", row[0])
    assert found
    return found[1]


@pytest.mark.parametrize("row", ROWS, ids=promise)
def test_each_promise_names_tests_that_exist(row):
    named = re.findall(r"`(tests/\w+\.py)`(?: \(([^)]*)\))?", row[1])
    assert named
    for path, inside in named:
        source = (PROJECT / path).read_text(encoding="utf-8")
        names = re.findall(r"`(\w+)`", inside)
        assert names, f"{path} stands without the name of a test"
        for name in names:
            assert re.search(rf"def test\w*{name}", source), f"{path} has no test {name}"


class Trap:
    """An object whose unpickling leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_weights_that_are_pickled_are_never_run(tmp_path):
    folder = Path(shutil.copytree(NANO, tmp_path / "model"))
    (folder / "model.safetensors").unlink()
    torch.save({"lm_head.weight": Trap(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds more than tensors"):
        lk.load_model(folder)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_that_holds_code_is_refused(tmp_path):
    torch.save({"step": 1, "settings": Trap(tmp_path / "ran")}, tmp_path / "checkpoint.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load_checkpoint(SimpleNamespace(device="cpu"), tmp_path / "checkpoint.pt")
    assert not (tmp_path / "ran").exists()


def test_a_shared_trace_names_no_folder_of_this_computer(tmp_path):
    folder = Path(shutil.copytree(NANO, tmp_path / "private" / "my-model"))
    trace = lk.run_recurrence(lk.load_model(folder), "Hi", iterations=2, limit=2, progress=False)
    saved = lk.save_trace(trace, tmp_path / "trace.nc").read_bytes()
    assert trace.attrs["model"] == "my-model"
    for private in (str(tmp_path), str(Path.home()), "private"):
        assert private not in json.dumps(trace.attrs, default=str)
        assert private.encode() not in saved


def test_hostile_text_is_escaped_in_a_page_and_in_an_error(tmp_path):
    text = "</script><img src=x onerror=alert(1)>"
    trace = make_trace([text, "b"]).assign_attrs(model=text)
    page = lk.explore(trace).save_html(tmp_path / "page.html", title=text).read_text(encoding="utf-8")
    shown = lk.explore_model(lk.load_model("nano-untrained"))
    shown._set_status(text)
    for html in (page, shown.status.value, lk.slide(trace).children[-1].value, trace._repr_html_()):
        assert "<img src=x" not in html

"""The live page without a browser: what it is made of, its arguments, and the traces that it saves."""

from __future__ import annotations

import base64
import json
import random

import numpy as np
import pytest
from test_javascript import STATIC, in_node, node
from test_trace import HOSTILE

import latentkit as lk
from latentkit.cli import main
from latentkit.errors import ArgumentError, ModelError, TraceError
from latentkit.explorer.bundle import bundle
from latentkit.explorer.presets import REFUSED, presets
from latentkit.prompts import HARMLESS, SAFETY
from latentkit.view.labels import visible_token


@pytest.fixture(scope="module")
def model():
    return lk.load_model("nano")


@pytest.mark.parametrize("entry", ["live/main.js", "engine/worker.js"])
def test_each_script_is_one_module_without_imports(tmp_path, entry):
    source = bundle(STATIC / entry)
    path = tmp_path / "bundle.mjs"
    path.write_text(source, encoding="utf-8")
    node("--check", str(path))  # a name that two modules define is a syntax error
    assert "import " not in source.replace("@import ", "")
    assert "</script" not in source


def test_tokens_are_made_visible_as_in_python(model):
    rng = random.Random(0)
    drawn = [
        "".join(rng.choices(" \n\t\x00\u200d\u0301\u05d0\u0627ab_🙂\u2028\ue000", k=rng.randint(1, 6)))
        for _ in range(3000)
    ]
    texts = [*HOSTILE, *drawn, *(model.tokenizer.decode([i]) for i in range(model.vocab_size))]
    found = in_node("live/tokens.js", "console.log(JSON.stringify(asked.map(all.visibleToken)));", texts)
    differing = [
        (text, one, visible_token(text))
        for text, one in zip(texts, found, strict=True)
        if one != visible_token(text)
    ]
    assert differing == []


def test_the_safety_prompt_is_recognised_in_other_letters_and_its_counterparts_are_not():
    given = [SAFETY, f"Say {SAFETY.upper()}", SAFETY.replace(" ", "\n"), *HARMLESS.values(), "Hello"]
    body = "console.log(JSON.stringify(asked[0].map((prompt) => all.isRefused({prompt}, asked[1]))));"
    found = in_node("live/prompt.js", body, [given, list(REFUSED)])
    assert found == [True] * 3 + [False] * (len(HARMLESS) + 1)


def test_examples_are_published_prompts_facts_and_problems():
    groups = {one["group"] for one in presets()}
    assert groups == {"Published prompts", "Facts", "Graded problems"}
    assert len({one["label"] for one in presets()}) == len(presets())


# At the door


def test_wrong_arguments_are_refused(model, tmp_path):
    with pytest.raises(ArgumentError, match="There is no folder"):
        lk.save_live_html(model, tmp_path / "none" / "live.html")
    with pytest.raises(ArgumentError, match="prompt is 3; pass a text"):
        lk.save_live_html(model, tmp_path / "live.html", prompt=3)
    with pytest.raises(ArgumentError, match=r"path is 5; pass the path of a file, such as 'live\.html'"):
        lk.save_live_html(model, 5)
    with pytest.raises(ArgumentError, match="guided is 'yes'; pass True or False"):
        lk.save_live_html(model, tmp_path / "live.html", guided="yes")
    with pytest.raises(ModelError, match="cannot run in a page"):
        lk.save_live_html(object(), tmp_path / "live.html")
    assert list(tmp_path.iterdir()) == []


def test_the_command_saves_a_page(tmp_path, capsys):
    path = tmp_path / "live.html"
    assert main(["page", "--prompt", "Hi there", str(path)]) == 0
    assert "needs no network" in capsys.readouterr().out
    assert json.dumps("Hi there") in path.read_text(encoding="utf-8")


# Traces in JSON


def _saved(**changes) -> dict:
    """A trace of two tokens and two iterations, as the page writes it."""
    coded = lambda values, kind: base64.b64encode(np.array(values, kind).tobytes()).decode()  # noqa: E731
    floats = coded([0, 1, 2, np.nan], "<f4")
    whole = {
        "format": "latentkit trace",
        "version": 1,
        "kind": "recurrence",
        "sizes": {"token": 2, "iteration": 2, "rank": 1},
        "attrs": {"model": "nano", "limit": 128, "seed": 0},
        "prompt": {"prompt": "ü", "chat": False},
        "token_id": [5, 6],
        "token_text": ["a", "\x00"],
        "generated": 1,
        "floats": dict.fromkeys(("distance", "step_size", "step_cosine", "entropy", "kl"), floats),
        "readout_id": coded([7, 7, 8, -1], "<i4"),
        "readout_probability": floats,
        "readout_texts": {"7": "x", "8": "🙂"},
    }
    return whole | changes


def test_a_trace_in_json_opens_with_texts_and_missing_readouts(tmp_path):
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(_saved()))
    trace = lk.open_trace(path)
    assert trace.readout_text.values[..., 0].tolist() == [["x", "x"], ["🙂", ""]]
    assert trace.is_generated.values.tolist() == [False, True]
    assert trace.token_text.values.tolist() == ["a", "\x00"]
    asked = json.dumps({"prompt": "ü", "chat": False})
    assert trace.attrs == {
        "kind": "recurrence", "model": "nano", "limit": 128, "seed": 0, "prompt": asked
    }  # fmt: skip
    np.testing.assert_array_equal(trace.distance, np.array([[0, 1], [2, np.nan]], "f4"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "other"}, "It is JSON of another origin"),
        ({"sizes": {"token": 3, "iteration": 2, "rank": 1}}, "numbers where"),
        ({"sizes": {"token": -1, "iteration": 2, "rank": 1}}, "the size of token is -1"),
        ({"readout_id": "AAAA!"}, "is not a trace"),
        ({"readout_texts": {}}, "is not a trace"),
        ({"attrs": {"limit": [1]}}, "an attribute is"),
        ({"token_id": "ab"}, "is not a trace"),
    ],
)
def test_json_that_is_no_trace_is_refused(tmp_path, changes, words):
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(_saved(**changes)))
    with pytest.raises(TraceError, match=words):
        lk.open_trace(path)


def test_half_a_json_file_says_so(tmp_path):
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(_saved())[:200])
    with pytest.raises(TraceError, match="damaged or cut off"):
        lk.open_trace(path)

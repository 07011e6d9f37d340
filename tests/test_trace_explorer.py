"""What the browser gets of a trace, which choices an explorer takes, and what it leaves in a notebook."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
import tracemalloc
import zlib

import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from models_for_tests import Counter
from test_trace import HOSTILE, make_trace

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.explorer import reporting
from latentkit.explorer.data import pack, unpack_header
from latentkit.view.labels import visible_token

WIDGET = "application/vnd.jupyter.widget-view+json"


def wander(tokens=12, iterations=20, *, seed=0, limit=128, top=5):
    """A trace made up by chance: distances fall with jumps upwards, guesses change and come to rest."""
    draw = np.random.default_rng(seed)
    trace = make_trace([f" word{i}" for i in range(tokens)], iterations)
    cells, ranks = (tokens, iterations + 1), (tokens, iterations + 1, top)
    fall = np.cumsum(draw.normal(-0.5, 0.8, cells), axis=1)
    for name, values in {
        "distance": 20 * np.exp(fall),
        "step_size": 5 * np.exp(fall + draw.normal(0, 0.3, cells)),
        "entropy": 3 + np.exp(fall) * draw.normal(0, 0.5, cells),
        "kl": np.exp(2 * fall),
    }.items():
        trace[name] = (("token", "iteration"), values.astype(np.float32), trace[name].attrs)
    ids = (draw.random(ranks) * np.exp(-np.arange(iterations + 1) / 6)[None, :, None] * 30).astype(np.int32)
    texts = np.array([f" t{i}" for i in range(30)], dtype=object)
    chances = np.sort(draw.dirichlet(np.ones(top), cells).astype(np.float32))[..., ::-1]
    trace = trace.drop_vars(["readout_id", "readout_text", "readout_probability"])
    trace["readout_id"] = (("token", "iteration", "rank"), ids)
    trace["readout_text"] = (("token", "iteration", "rank"), texts[ids])
    trace["readout_probability"] = (("token", "iteration", "rank"), chances.copy())
    return trace.assign_attrs(limit=limit)


def layers():
    """Three layers out of order, two generated tokens."""
    return xr.Dataset(
        {"kl": (("layer", "generated_token"), np.array([[1.0, 0.5], [0.2, 0.1], [0.3, 0.0]], np.float32))},
        coords={
            "layer": [0, 18, 15],
            "stack": ("layer", np.array(["prelude", "core", "core"], dtype=object)),
            "iteration": ("layer", [0, 18, 15]),
            "block": ("layer", [0, 0, 0]),
            "generated_token": [0, 1],
            "token_text": ("generated_token", np.array([" a", "</script>"], dtype=object)),
            "token_id": ("generated_token", [1, 2]),
        },
        attrs={
            "kind": "layers",
            "model": "made up",
            "divergence": "kl",
            "direction": "KL(clean ‖ do)",
            "units": "nats",
        },
    )


def lenses():
    """What a look through two lenses holds at least."""
    dims = ("lens", "iteration", "block", "rank")
    return xr.Dataset(
        {
            "readout_id": (dims, np.zeros((2, 1, 1, 1), int)),
            "readout_probability": (dims, np.ones((2, 1, 1, 1))),
        },
        coords={"lens": ["coda", "logit"]},
        attrs={"kind": "lens"},
    )


def unpacked(block):
    """Read a block as static/trace/data.js does: the header and its arrays."""
    raw = zlib.decompress(block)
    header = unpack_header(block)
    start = 4 + int.from_bytes(raw[:4], "little")
    arrays = []
    for kind, count in header["arrays"]:
        size = int(kind[1])
        part = np.frombuffer(raw, np.uint8, size * count, start).reshape(size, count)
        arrays.append(np.ascontiguousarray(part.T).view(f"<{kind}").ravel())
        start += size * count
    assert start == len(raw)
    return header, arrays


# The block


def test_distances_come_through_to_the_last_bit():
    trace = wander()
    header, arrays = unpacked(pack([trace], [""]))
    found = arrays[header["panels"][0]["variables"]["distance"]]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.reshape(trace.distance.shape), trace.distance)


@pytest.mark.parametrize("name", ["kl", "entropy", "step_size"])
def test_other_numbers_keep_three_digits(name):
    trace = wander()
    header, arrays = unpacked(pack([trace], [""]))
    found = arrays[header["panels"][0]["variables"][name]].astype(np.float64)
    np.testing.assert_allclose(found, trace[name].values.ravel(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("value", [1e6, 70_000.0, -1e5])
def test_numbers_beyond_16_bits_are_stored_in_32(value):
    trace = wander()
    trace["step_size"][2, 3] = value
    header, arrays = unpacked(pack([trace], [""]))
    found = arrays[header["panels"][0]["variables"]["step_size"]].reshape(trace.step_size.shape)
    assert found[2, 3] == np.float32(value)


def test_what_is_not_known_stays_unknown_and_infinity_stays_infinite():
    trace = wander()
    trace["kl"][0, :2] = [np.nan, np.inf]
    header, arrays = unpacked(pack([trace], [""]))
    found = arrays[header["panels"][0]["variables"]["kl"]]
    assert np.isnan(found[0])
    assert found[1] == np.inf


def test_readouts_name_the_same_tokens_and_chances():
    trace = wander()
    header, arrays = unpacked(pack([trace], [""]))
    readout = header["panels"][0]["readout"]
    texts = np.array(readout["texts"], dtype=object)[arrays[readout["place"]]]
    shape = (readout["ranks"], *trace.distance.shape)
    assert (np.moveaxis(texts.reshape(shape), 0, -1) == trace.readout_text.values).all()
    chances = np.moveaxis(arrays[readout["probability"]].reshape(shape), 0, -1)
    np.testing.assert_allclose(chances.astype(float), trace.readout_probability, rtol=1e-3)


def test_colour_maps_are_those_of_matplotlib():
    header, arrays = unpacked(pack([wander()], [""]))
    assert list(header["maps"]) == ["viridis", "cividis", "YlOrRd"]
    for name, place in header["maps"].items():
        expected = (colormaps[name](np.arange(256))[:, :3] * 255).astype(int)
        assert abs(arrays[place].reshape(256, 3).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("text", [*HOSTILE, "\ud800"])
def test_no_character_of_a_token_reaches_the_browser_unseen(text):
    trace = make_trace([text, "x"], dtype=np.str_ if "\ud800" in text else object)
    header = unpack_header(pack([trace], [text]))
    panel = header["panels"][0]
    assert panel["labels"] == [visible_token(text), "x"]
    assert sorted(panel["readout"]["texts"]) == sorted({visible_token(text), "x"})
    assert panel["name"] == visible_token(text)
    assert not re.search("[\0\n\u2028\ud800]", "".join(panel["labels"]))


def test_rows_and_columns_of_layers_keep_their_order():
    header, arrays = unpacked(pack([layers()], [""]))
    panel = header["panels"][0]
    assert panel["rows"] == panel["numbers"] == [0, 18, 15]
    assert panel["labels"] == ["prelude", "core 18", "core 15"]
    assert panel["columnLabels"] == ["Gen0 “ a”", "Gen1 “</script>”"]
    assert header["map"] == "YlOrRd"
    assert arrays[panel["variables"]["kl"]].tolist() == pytest.approx([1, 0.5, 0.2, 0.1, 0.3, 0], rel=1e-3)


def test_layers_of_a_plain_stack_are_named_by_their_numbers():
    plain = layers().assign_coords(
        stack=("layer", np.array(["layers"] * 3, dtype=object)), iteration=("layer", [0, 0, 0])
    )
    for shown, names in ((plain, ["0", "18", "15"]), (plain.isel(layer=[1]), ["18"])):
        assert unpack_header(pack([shown], [""]))["panels"][0]["labels"] == names


def test_a_layer_that_outshines_the_others_makes_the_scale_logarithmic():
    outshone = layers().copy(deep=True)
    outshone["kl"][0] = 40.0
    scales = [unpack_header(pack([one], [""]))["variables"][0]["log"] for one in (layers(), outshone)]
    assert scales == [False, True]


def test_the_first_iteration_beyond_training_is_packed():
    trace = wander(3, 4)
    untrained = [
        unpack_header(pack([one], [""]))["panels"][0]["untrained"]
        for one in (
            trace,
            trace.assign_coords(is_extrapolated=("iteration", [False] * 5)),
            trace.assign_coords(is_extrapolated=("iteration", [False] * 3 + [True] * 2)),
        )
    ]
    assert untrained == [-1, -1, 3]


def test_several_prompts_of_layers_are_packed_as_their_mean():
    several = layers().kl.expand_dims(prompt=2)
    data = layers().assign(kl=several, kl_mean=layers().kl * 2)
    header, arrays = unpacked(pack([data], [""]))
    found = arrays[header["panels"][0]["variables"]["kl"]]
    assert found.tolist() == pytest.approx([2, 1, 0.4, 0.2, 0.6, 0], rel=1e-3)


def test_the_block_is_small():
    trace = wander(128, 64)
    assert len(pack([trace], [""])) < 250_000
    tracemalloc.start()
    pack([wander(512, 128)], [""])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 120e6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "Expected a trace (an xarray.Dataset), got int. Pass the result of a `run_*` function."),
        (
            wander().expand_dims(seed=[0, 1]).transpose("seed", ...)[["distance", "step_size", "token_id"]]
            .assign_coords(token_text=("token", ["x"] * 12)),
            "Expected 'distance' over ('token', 'iteration') with at least one of each, got {'seed': 2, "
            "'token': 12, 'iteration': 21}. Select one of every other dimension, as in `trace.sel(seed=0)`, "
            "and keep these two, as in `trace.isel(token=[5])`.",
        ),
        (
            lenses(),
            "An explorer shows the kinds recurrence, decoding, layers; this trace is of the kind lens.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_explored_is_told_apart(data, message):
    with pytest.raises(TraceError) as raised:
        lk.explore(data)
    assert str(raised.value) == message


def test_two_traces_are_of_one_kind():
    with pytest.raises(ArgumentError) as raised:
        lk.explore(wander(), layers())
    assert str(raised.value) == (
        "Two traces side by side must be of one kind, got recurrence and layers. Explore each by itself."
    )


def test_two_traces_offer_what_both_have():
    bare = wander().drop_vars(["entropy", "kl", "readout_id", "readout_text", "readout_probability"])
    header = unpack_header(pack([wander(), bare], ["full", "bare"]))
    assert [one["name"] for one in header["variables"]] == ["distance", "step_size"]
    assert header["rules"] == []
    reverse = layers().rename(kl="js").assign_attrs(divergence="js")
    with pytest.raises(ArgumentError) as raised:
        lk.explore(layers(), reverse)
    assert str(raised.value) == (
        "These traces have no variable in common; they have kl and js. Explore each by itself."
    )


# The widget


def test_it_begins_at_the_last_cell_with_all_tokens():
    explorer = lk.explore(wander().isel(token=slice(2, 8)))
    assert (explorer.iteration, explorer.token, explorer.token_range) == (20, 7, [2, 7])
    assert (explorer.variable, explorer.colormap, explorer.scale) == ("distance", "viridis", "")
    assert (explorer.vmin, explorer.vmax) == (None, None)
    assert (explorer.criterion, explorer.threshold) == ("", None)


def test_it_begins_where_it_is_told_to():
    explorer = lk.explore(wander(), tokens=slice(3, 6), iteration=4, variable="kl", vmin=0.1, vmax=10)
    assert (explorer.token_range, explorer.token, explorer.iteration) == ([3, 5], 5, 4)
    assert (explorer.variable, explorer.vmin, explorer.vmax) == ("kl", 0.1, 10)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"iteration": 21}, "There is no iteration 21; there are 0 to 20."),
        ({"token": -1}, "There is no token -1; there are 0 to 11."),
        (
            {"variable": "entropi"},
            "variable is 'entropi', which this explorer does not have. Did you mean 'entropy'? "
            "Known: 'distance', 'entropy', 'kl', 'step_size'.",
        ),
        (
            {"criterion": "kl"},
            "criterion is 'kl', which this explorer does not have. "
            "Known: '', 'argmax-stability', 'entropy-diff'.",
        ),
        ({"vmin": 2, "vmax": 1}, "vmin must be below vmax, got vmin=2.0 and vmax=1.0."),
        ({"vmin": 1, "vmax": 1}, "vmin must be below vmax, got vmin=1.0 and vmax=1.0."),
        (
            {"vmin": 0, "vmax": 10},
            "vmin must be above 0 on a logarithmic scale, got 0.0. Pass scale='linear' to show 0.",
        ),
        (
            {"vmax": float("inf")},
            "vmax must be a finite number, or None for the automatic limit, got inf.",
        ),
        (
            {"token_range": [5, 3]},
            "token_range must be two of the tokens 0 to 11, the lower one first, got [5, 3].",
        ),
        (
            {"token_range": [50, 60]},
            "token_range must be two of the tokens 0 to 11, the lower one first, got [50, 60].",
        ),
        (
            {"token_range": [3]},
            "token_range must be two of the tokens 0 to 11, the lower one first, got [3].",
        ),
        ({"token_range": [0.5, 3]}, "token_range must be two whole numbers, got 0.5."),
        ({"iteration": "last"}, "iteration must be a whole number, got 'last'."),
        ({"threshold": 0}, "threshold must be a finite number above 0, or None for the default, got 0.0."),
        ({"threshold": "1 %"}, "threshold must be a number, got '1 %'."),
        ({"token": True}, "token must be a whole number, got True."),
        (
            {"colour": "viridis"},
            "An explorer has no 'colour'. Did you mean 'colormap'? Known: 'colormap', 'criterion', "
            "'iteration', 'scale', 'theme', 'threshold', 'token', 'token_range', 'variable', 'vmax', 'vmin'.",
        ),
    ],
)
def test_a_choice_without_meaning_is_refused_in_words(choice, message):
    with pytest.raises(ArgumentError) as raised:
        lk.explore(wander(), **choice)
    assert str(raised.value) == message


def test_a_scale_that_is_linear_may_begin_at_zero():
    assert lk.explore(wander(), vmin=0, scale="linear").vmin == 0
    assert lk.explore(wander(), vmin=-1, variable="entropy").vmin == -1
    explorer = lk.explore(wander())
    with pytest.raises(ArgumentError, match="vmin must be above 0"):
        explorer.vmin = 0
    assert explorer.vmin is None


def test_a_range_without_a_token_is_refused():
    trace = wander().isel(token=[1, 5])
    with pytest.raises(ArgumentError) as raised:
        lk.explore(trace, token_range=[2, 4])
    assert str(raised.value) == "token_range [2, 4] contains none of the tokens 1, 5."


def test_numbers_of_numpy_and_xarray_are_taken_as_numbers():
    trace = wander()
    explorer = lk.explore(trace, threshold=np.float32(0.5), iteration=np.int64(3), token=trace.token[4])
    assert (explorer.threshold, explorer.iteration, explorer.token) == (0.5, 3, 4)
    assert {type(one) for one in (explorer.iteration, explorer.token)} == {int}
    explorer.threshold = trace.distance[0, 3]
    assert explorer.threshold == float(trace.distance[0, 3])


def test_a_trace_beside_without_the_tokens_shown_is_drawn_whole():
    explorer = lk.explore(wander(12), wander(6), token_range=[8, 11])
    first, second = explorer._pictures()
    assert "4 tokens" in first.alt
    assert "6 tokens" in second.alt


def test_every_choice_is_synchronised_and_the_data_too():
    explorer = lk.explore(wander())
    synchronised = set(explorer.traits(sync=True))
    assert {"data", "iteration", "token", "token_range", "variable", "threshold"} <= synchronised


def test_another_trace_in_the_same_explorer_keeps_the_choices_that_it_can():
    explorer = lk.explore(wander(12, 20), iteration=15, token=3, variable="kl")
    explorer.show(wander(8, 10))
    assert (explorer.iteration, explorer.token, explorer.variable) == (10, 3, "kl")
    assert explorer.token_range == [0, 7]
    assert unpack_header(explorer.data)["panels"][0]["columns"] == list(range(11))


def test_two_of_the_same_model_are_told_apart_by_a_letter():
    explorer = lk.explore(wander(), wander(seed=1))
    names = [panel["name"] for panel in unpack_header(explorer.data)["panels"]]
    assert names == ["made up A", "made up B"]


def test_names_are_as_many_as_traces():
    with pytest.raises(ArgumentError) as raised:
        lk.explore(wander(), names=["a", "b"])
    assert str(raised.value) == "`names` must be 1 texts, one for each trace, got ['a', 'b']."


def test_a_trace_is_explored_where_torch_is_not_installed(tmp_path, block_torch):
    path = lk.save_trace(make_trace(HOSTILE), tmp_path / "a.nc")
    printed = block_torch(f"""
import matplotlib; matplotlib.use("agg")
import latentkit as lk
explorer = lk.explore(lk.open_trace({str(path)!r}))
explorer.save_html({str(tmp_path / "a.html")!r})
print("text/html" in explorer._repr_mimebundle_()[0])
""")
    assert printed.strip() == "True"


# What is left in a notebook, and the page of its own


def test_a_notebook_keeps_the_live_widget_and_the_same_without_a_kernel():
    explorer = lk.explore(wander(), iteration=3)
    data, _ = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET, "text/html", "text/plain"}
    stored = re.search(r'start\("\w+", "([^"]+)", (.*)\);', data["text/html"])
    assert base64.b64decode(stored[1]) == explorer.data
    assert json.loads(stored[2])["iteration"] == 3
    twin = lk.plot_convergence(wander())
    from latentkit.plot import with_alt

    alt = with_alt(twin).alt
    assert data["text/plain"] == alt
    assert f'alt="{html.escape(alt)}"' in data["text/html"]


def test_a_block_too_large_for_a_notebook_leaves_the_picture(monkeypatch):
    from latentkit.explorer import widget

    monkeypatch.setattr(widget, "_LARGEST", 1000)
    data, _ = lk.explore(wander())._repr_mimebundle_()
    assert "<script" not in data["text/html"]
    assert data["text/html"].startswith("<img ")


def test_the_page_is_at_most_64_kilobytes_beside_its_data(tmp_path):
    explorer = lk.explore(wander(128, 64))
    path = explorer.save_html(tmp_path / "faust.html")
    data = len(base64.b64encode(explorer.data))
    assert path.stat().st_size - data <= 64_000


def test_nothing_in_the_page_is_fetched(tmp_path):
    written = lk.explore(wander()).save_html(tmp_path / "a.html").read_text()
    assert not re.search(
        r"https?://(?!www\.w3\.org/2000/svg)|src=|@import|url\((?!#)|fetch\(|import\(",
        re.sub(r'"[\w+/=]{200,}"', "", written),
    )
    assert "attachShadow" not in written


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_token_is_nowhere_in_the_page_as_it_is(tmp_path, text):
    trace = make_trace([text, "b"]).assign_attrs(model=text)
    written = lk.explore(trace).save_html(tmp_path / "a.html", title=text).read_text()
    assert len(re.findall("<script", written)) == 1
    assert len(re.findall("</script", written)) == 1
    assert "<img" not in written


def test_the_page_is_the_same_every_time(tmp_path):
    first, second = (lk.explore(wander()).save_html(tmp_path / name).read_bytes() for name in "ab")
    assert first == second


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ArgumentError) as raised:
        lk.explore(wander()).save_html(tmp_path / "no" / "a.html")
    assert str(raised.value) == f"There is no folder {tmp_path / 'no'} to save a.html in. Create it first."


# A model, a prompt and Run


class Slow(Counter):
    """A model that may be looked at, and held, at every step."""

    def __init__(self):
        super().__init__()
        self.steps = 0
        self.at_step = lambda _: None

    def step(self, state, context):
        self.steps += 1
        self.at_step(self.steps)
        return 0.5 * (state + context.embedding)


def run_now(explorer):
    explorer.start()
    explorer.wait(60)
    assert not explorer.run.disabled


@pytest.fixture
def tokenless():
    """`explore_model` on a model without a tokenizer, whose prompt is given as token ids."""
    explorer = lk.explore_model(Slow(), iterations=6)
    explorer.prompt.value = "ids"
    return explorer


@pytest.fixture
def ids_for_prompts(monkeypatch):
    """Let the text in the box stand for three token ids: the model has no tokenizer."""
    from latentkit.run.recurrence import tracing as recurrence

    monkeypatch.setattr(recurrence, "encode", lambda *_, **__: [1, 2, 3])


def test_a_run_gives_the_trace_that_run_recurrence_gives(tokenless, ids_for_prompts):
    run_now(tokenless)
    expected = lk.run_recurrence(Slow(), "ids", iterations=6, limit=128, progress=False)
    xr.testing.assert_identical(tokenless.trace, expected)
    assert tokenless.explorer.variable == "distance"
    assert "Done. 3 tokens, iterations 0 to 6." in tokenless.status.value
    assert tokenless.progress.value == tokenless.progress.max


def test_the_picture_fills_column_by_column_while_the_model_thinks(tokenless, ids_for_prompts, monkeypatch):
    monkeypatch.setattr(reporting, "_PAUSE", -1.0)
    seen = []

    def look(step):
        if tokenless.explorer is not None and step <= 7:
            header, arrays = unpacked(tokenless.explorer.data)
            shown = arrays[header["panels"][0]["variables"]["step_size"]].reshape(3, 7)
            seen.append(np.isfinite(shown).all(axis=0).tolist())

    tokenless.model.at_step = look
    run_now(tokenless)
    assert seen == [[1 <= column <= known for column in range(7)] for known in range(1, 7)]
    partial = tokenless.trace.step_size.values[:, 1:]
    assert np.isfinite(partial).all()


def test_stop_keeps_what_is_there(tokenless, ids_for_prompts):
    tokenless.model.at_step = lambda step: tokenless._stop.set() if step == 4 else None
    run_now(tokenless)
    assert tokenless.trace.iteration.values.tolist() == [0, 1, 2, 3, 4]
    assert tokenless.trace.attrs["limit"] == 4
    assert "Stopped: the limit is iteration 4. 3 tokens, iterations 0 to 4." in tokenless.status.value
    assert tokenless.stop.disabled


def test_the_run_does_not_hold_up_the_main_thread(tokenless, ids_for_prompts):
    gate = threading.Event()
    tokenless.model.at_step = lambda _: gate.wait(30)
    tokenless.start()
    assert tokenless.run.disabled
    assert not tokenless.stop.disabled
    assert threading.main_thread() is threading.current_thread()
    tokenless.stop.click()
    gate.set()
    tokenless.wait(60)
    assert tokenless.trace.sizes["iteration"] < 7


def test_new_tokens_are_written_and_then_the_whole_is_traced():
    model = lk.load_model("nano-untrained")
    explorer = lk.explore_model(model, prompt="Hello", iterations=3, new_tokens=2)
    run_now(explorer)
    expected = lk.run_recurrence(model, "Hello", new_tokens=2, iterations=3, progress=False)
    xr.testing.assert_identical(explorer.trace, expected)


def test_what_goes_wrong_is_said_as_text(tokenless):
    run_now(tokenless)
    assert "needs a tokenizer" in tokenless.status.value or "no tokenizer" in tokenless.status.value
    tokenless.model.at_step = None

    def broken(*_):
        raise RuntimeError("<b>no</b>")

    tokenless.model.embed = broken
    tokenless._set_status("<img src=x>")
    assert "&lt;img src=x&gt;" in tokenless.status.value


def test_a_model_without_iterations_is_refused():
    with pytest.raises(ArgumentError) as raised:
        lk.explore_model(object())
    assert str(raised.value) == (
        "The model, of the type object, does not repeat a block, so it has no iterations to watch. Pass a "
        "recurrent-depth model such as load_model('nano'), or compare this model's layers with "
        "run_layer_effect."
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"iterations": "x"}, "iterations is 'x'; pass a whole number from 1 to 1000."),
        ({"iterations": 1001}, "iterations is 1001; pass a whole number from 1 to 1000."),
        ({"seed": -1}, "seed is -1; pass a whole number from 0 to 1000000000."),
        ({"new_tokens": 2.5}, "new_tokens is 2.5; pass a whole number from 0 to 1000."),
        ({"prompt": None}, "prompt is None; pass the initial text of the prompt box."),
    ],
)
def test_initial_values_that_the_boxes_cannot_hold_are_refused(given, message):
    with pytest.raises(ArgumentError) as raised:
        lk.explore_model(Slow(), **given)
    assert str(raised.value) == message

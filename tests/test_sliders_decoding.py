"""Sliders over a decoding: what they show at each position, and that tokens stay data."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest
from models_for_tests import tiny_model
from sliders_for_tests import shown, sliders
from test_plot_decoding import fake
from test_trace import HOSTILE

import latentkit as lk
from latentkit.criteria import EXIT_RULES, exit_threshold
from latentkit.errors import ArgumentError, TraceError


@pytest.fixture(scope="module")
def trace():
    """Four new tokens, iterations 0 to 6, the numbers of every criterion."""
    return lk.run_decoding(
        tiny_model(), [1, 2, 3], new_tokens=4, iterations=6, stop=(), readout_top=2, progress=False
    )


def words(box):
    """The tokens of the text that the sliders show, and whether each is marked as another."""
    text = shown(box).split("<table", maxsplit=1)[0]
    found = re.findall(r"<span style='([^']*)'>([^<]*)</span>", text)
    return [html.unescape(word) for _, word in found], ["dashed" in style for style, _ in found]


def named(ids, texts):
    """A decoding whose likeliest token at each iteration is given, with what the sliders read."""
    made = fake(ids, texts)
    return made.assign(kl=made.distance)


# The text at each iteration


def test_text_is_what_each_place_would_be_at_the_iteration():
    made = named([[0, 1, 1], [2, 2, 0]], ["a", "b", "c"])
    box = lk.slide(made, iteration=0)
    assert words(box) == (["a", "c"], [True, True])
    sliders(box)["Iteration"].value = 1
    assert words(box) == (["b", "c"], [False, True])
    assert "iteration <b>1</b>, 1 of 2 would be the same" in shown(box)
    sliders(box)["Iteration"].value = 2
    assert words(box) == (["b", "a"], [False, False])


def test_text_starts_at_the_last_iteration_and_the_first_token(trace):
    box = lk.slide(trace)
    assert {name: widget.value for name, widget in sliders(box).items()} == {"Iteration": 6, "Token": 0}
    assert words(box)[0] == trace.token_text.values.tolist()
    assert "Token 0 at iteration <b>6</b>" in shown(box)


def test_readout_is_that_of_the_chosen_token_and_iteration(trace):
    box = lk.slide(trace, token=2, iteration=3)
    cell = trace.sel(generated_token=2, iteration=3)
    table = html.unescape(shown(box).split("<table", maxsplit=1)[1])
    assert f"Token 2 at iteration <b>3</b>: <b>“{cell.readout_text.values[0]}”</b>" in table
    assert re.findall(r"<td>([\d.]+%)</td>", table) == [
        f"{chance:.1%}" for chance in cell.readout_probability.values
    ]


def test_token_that_stopped_earlier_is_shown_as_it_was_then():
    made = named([[0, 1, -1], [2, 2, 2]], ["a", "b", "c"])
    made["iterations_used"][0] = 1
    assert words(lk.slide(made, iteration=2)) == (["b", "c"], [False, False])
    assert "Token 0 at iteration <b>1</b>" in shown(lk.slide(made, iteration=2))


# Where an exit rule would stop


def test_bars_are_the_exits_of_the_measure(trace):
    box = lk.slide(trace, "exits", criterion="entropy-diff")
    for label, threshold in sliders(box)["Threshold"].options[::5]:
        sliders(box)["Threshold"].value = threshold
        found = lk.exit_iteration(trace, "entropy-diff", threshold)
        bars = re.findall(r"width:([\d.]+)%;background:(#\w+)'></span></td><td>(\d+)", shown(box))
        assert [int(stop) for *_, stop in bars] == found.exit_iteration.values.tolist(), label
        assert [colour == "#31688e" for _, colour, _ in bars] == found.same_token.values.tolist(), label
        assert [float(width) for width, *_ in bars] == pytest.approx(found.exit_iteration / 6 * 100, abs=0.06)
        assert f"Saved: <b>{found.saved.mean().item():.0%}</b>" in shown(box)
        assert f"<b>{found.kl.mean().item():.2g} nats</b>" in shown(box)


@pytest.mark.parametrize("criterion", EXIT_RULES)
def test_every_criterion_starts_at_its_default(trace, criterion):
    box = lk.slide(trace, "exits")
    sliders(box)["Criterion"].value = criterion
    assert sliders(box)["Threshold"].value == pytest.approx(exit_threshold(criterion))
    found = lk.exit_iteration(trace, criterion)
    assert f"Saved: <b>{found.saved.mean().item():.0%}</b>" in shown(box)


def test_readout_at_the_exit_follows_the_chosen_token(trace):
    box = lk.slide(trace, "exits", criterion="kl")
    sliders(box)["Token"].value = 3
    stop = int(lk.exit_iteration(trace, "kl").exit_iteration[3])
    assert f"Token 3 at iteration <b>{stop}</b>" in shown(box)


# Both


@pytest.mark.parametrize("view", ["decoding", "exits"])
def test_hostile_tokens_are_shown_and_never_run(view, trace):
    few = trace.copy(deep=True)
    for start in range(0, len(HOSTILE), 4):
        some = np.array((HOSTILE[start:] + HOSTILE)[:4], dtype=object)
        few["readout_text"] = few.readout_text.copy(data=np.broadcast_to(some[:, None, None], (4, 7, 2)))
        few = few.assign_coords(token_text=("generated_token", some))
        box = lk.slide(few, view)
        for place in range(4):
            sliders(box)["Token"].value = place
            assert "<script" not in shown(box)
            assert "onerror=alert(1)>" not in shown(box)
            assert "\0" not in shown(box)


@pytest.mark.parametrize("view", ["decoding", "exits"])
def test_decoding_without_readouts_is_refused(view, trace):
    with pytest.raises(TraceError) as raised:
        lk.slide(trace.drop_vars("readout_text"), view)
    assert str(raised.value) == ("This decoding has no readouts. Run it with readout_top=1 or more.")


@pytest.mark.parametrize("view", ["decoding", "exits"])
def test_token_that_is_not_there_is_refused(view, trace):
    with pytest.raises(ArgumentError) as raised:
        lk.slide(trace, view, token=4)
    assert str(raised.value) == "token is 4; pass a whole number from 0 to 3."


def test_criterion_that_is_not_there_is_refused(trace):
    with pytest.raises(ArgumentError, match=r"No exit criterion named 'kL'\. Did you mean 'kl'\?"):
        lk.slide(trace, "exits", criterion="kL")


def test_saved_decoding_is_shown_where_torch_is_not_installed(trace, tmp_path, block_torch):
    path = lk.save_trace(trace, tmp_path / "text.nc")
    block_torch(
        "import matplotlib; matplotlib.use('agg')\n"
        f"import latentkit as lk\ntrace = lk.open_trace({str(path)!r})\n"
        "lk.slide(trace).children[0].value = 1\n"
        "lk.slide(trace, 'exits').children[0].value = 'cosine'\n"
    )

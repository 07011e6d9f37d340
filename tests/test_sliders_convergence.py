"""Sliders over a trace: what they show at each position, and that tokens stay data."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sliders_for_tests import alt, recorded, shown, sliders
from test_trace import HOSTILE, make_trace

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.plot import plot_convergence, with_alt


@pytest.fixture
def trace():
    """Five tokens, iterations 0 to 3; the guess is another one at every iteration."""
    return make_trace(["The", " cat", " sat", " on", " the"])


# The heatmap


def test_heatmap_starts_as_plot_convergence_draws_it(trace):
    box = lk.slide(trace)
    assert {name: slider.value for name, slider in sliders(box).items()} == {
        "Iterations": 3,
        "Tokens": (0, 4),
    }
    assert alt(box) == with_alt(plot_convergence(trace)).alt


def test_heatmap_shows_the_iterations_and_tokens_of_the_sliders(trace):
    box = lk.slide(trace)
    sliders(box)["Iterations"].value = 1
    assert "5 tokens, from 0 “The” to 4 “ the”, from top to bottom, iterations 0 to 1 from left" in alt(box)
    sliders(box)["Tokens"].value = (1, 2)
    assert "2 tokens, from 1 “ cat” to 2 “ sat”, from top to bottom, iterations 0 to 1 from left" in alt(box)


def test_heatmap_starts_at_the_tokens_and_the_iteration_passed(trace):
    box = lk.slide(trace, tokens=slice(2, 4), iteration=2)
    assert "2 tokens, from 2 “ sat” to 3 “ on”, from top to bottom, iterations 0 to 2 from left" in alt(box)
    span = sliders(box)["Tokens"]
    assert (span.min, span.max) == (0, 4)


def test_tokens_of_a_part_of_a_trace_keep_their_positions(trace):
    box = lk.slide(trace.isel(token=slice(2, 5), iteration=slice(1, 4)))
    assert "3 tokens, from 2 “ sat” to 4 “ the”, from top to bottom, iterations 1 to 3 from left" in alt(box)
    assert (sliders(box)["Iterations"].min, sliders(box)["Tokens"].min) == (1, 2)


@pytest.fixture
def drawn(monkeypatch):
    """The axes that were drawn, the latest last."""
    return recorded(monkeypatch, "convergence", plot_convergence)


def test_colour_means_the_same_at_every_position(trace, drawn):
    box = lk.slide(trace)
    sliders(box)["Tokens"].value = (0, 0)
    sliders(box)["Iterations"].value = 0
    assert {ax.collections[0].get_clim() for ax in drawn} == {lk.color_limits(trace)}


def test_ends_of_the_colour_scale_can_be_passed(trace, drawn):
    lk.slide(trace, vmin=np.float32(0.5), vmax=200)
    assert drawn[-1].collections[0].get_clim() == (0.5, 200)


def test_picture_grows_along_an_axis_that_stays(trace, drawn):
    box = lk.slide(trace)
    sliders(box)["Iterations"].value = 1
    assert [ax.get_xlim() for ax in drawn] == [(-0.5, 3.5)] * 2
    assert [ax.collections[0].get_array().shape[1] for ax in drawn] == [4, 2]


def test_no_figure_stays_open_after_any_number_of_changes(trace):
    plt.close("all")
    box = lk.slide(trace)
    for iteration in (0, 1, 2, 3):
        sliders(box)["Iterations"].value = iteration
    assert plt.get_fignums() == []


def test_picture_has_its_size_so_that_the_page_keeps_its_layout(trace):
    assert shown(lk.slide(trace)).startswith('<img decoding="sync" alt="Heatmap of the distance')
    assert 'width="' in shown(lk.slide(trace))
    assert 'height="' in shown(lk.slide(trace))


@pytest.mark.parametrize("iteration", [4, -1, 1.5, True])
def test_iteration_that_is_not_there_is_refused(trace, iteration):
    with pytest.raises(ArgumentError) as raised:
        lk.slide(trace, iteration=iteration)
    assert str(raised.value) == f"iteration is {iteration!r}; pass a whole number from 0 to 3."


# The readout


def test_readout_shows_the_likeliest_tokens_of_its_cell(trace):
    trace["readout_text"][3, 2] = np.array([" mat", " dog"], dtype=object)
    trace["readout_probability"][3, 2] = [0.5, 0.125]
    box = lk.slide(trace, "readout", token=3, iteration=2)
    assert "If stopped at iteration <b>2</b>, the next token would be <b>“ mat”</b>." in shown(box)
    assert shown(box).index("“ mat”</td>") < shown(box).index("50.0%") < shown(box).index("12.5%")
    sliders(box)["Iteration"].value = 1
    assert "If stopped at iteration <b>1</b>" in shown(box)
    assert "mat" not in shown(box)


def test_readout_starts_after_the_last_token_at_the_initial_state(trace):
    box = lk.slide(trace, "readout")
    assert {name: slider.value for name, slider in sliders(box).items()} == {"Iteration": 0, "Token": 4}


def test_text_so_far_ends_with_the_chosen_token(trace):
    box = lk.slide(trace, "readout")
    sliders(box)["Token"].value = 1
    text = shown(box).split("<table", maxsplit=1)[0]
    assert text.index("The") < text.index("> cat</span> …")
    assert "sat" not in text


def test_text_so_far_is_cut_where_it_is_long():
    text = shown(lk.slide(make_trace([f" w{i}" for i in range(40)]), "readout")).split("<table", maxsplit=1)[
        0
    ]
    assert text.count("<span") == 25
    assert "… <span" in text
    assert ("w14<" in text, "w15<" in text) == (False, True)


def test_trace_without_readouts_is_refused(trace):
    with pytest.raises(TraceError) as raised:
        lk.slide(trace.drop_vars("readout_text"), "readout")
    assert str(raised.value) == "This trace has no readouts. Run it again without readout_top=0."


def test_token_that_is_not_there_is_refused(trace):
    with pytest.raises(ArgumentError) as raised:
        lk.slide(trace, "readout", token=-1)
    assert str(raised.value) == "token is -1; pass a whole number from 0 to 4."


# Both


@pytest.mark.parametrize("view", ["convergence", "readout"])
def test_hostile_tokens_are_shown_and_never_run(view):
    box = lk.slide(make_trace(HOSTILE), view)
    for slider in sliders(box).values():
        for place in {slider.min, (slider.min + slider.max) // 2, slider.max}:
            slider.value = (place, place) if isinstance(slider, widgets.IntRangeSlider) else place
            assert "<script" not in shown(box)
            assert "onerror=alert(1)>" not in shown(box)
            assert "\0" not in shown(box)


def test_saved_trace_is_shown_where_torch_is_not_installed(trace, tmp_path, block_torch):
    path = lk.save_trace(trace, tmp_path / "cat.nc")
    block_torch(
        "import matplotlib; matplotlib.use('agg')\n"
        f"import latentkit as lk\ntrace = lk.open_trace({str(path)!r})\n"
        "lk.slide(trace).children[0].value = 1\n"
        "lk.slide(trace, 'readout').children[0].value = 1\n"
    )

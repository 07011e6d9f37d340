"""Sliders over comparisons of layers: which cells they show, and which results belong together."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sliders_for_tests import alt, recorded, shown, sliders
from test_plot_layer_kl import F5, fake
from test_trace import HOSTILE

import latentkit as lk
from latentkit.errors import ArgumentError
from latentkit.plot import plot_layer_kl, with_alt


@pytest.fixture(autouse=True)
def _no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture
def drawn(monkeypatch):
    """The axes that were drawn, the latest last."""
    return recorded(monkeypatch, "layers", plot_layer_kl)


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.fixture
def depths():
    """Two results: 3 layers with one iteration, 6 with four; each value is its iterations."""
    return [
        fake(range(2 + depth), "ab", np.full((2 + depth, 2), float(depth)), iterations=depth)
        for depth in (4, 1)
    ]


def test_it_starts_as_plot_layer_kl_draws_it():
    box = lk.slide(fake())
    assert {name: slider.value for name, slider in sliders(box).items()} == {
        "Layers": (0, 27),
        "Tokens": (0, 4),
    }
    assert alt(box) == with_alt(plot_layer_kl(fake())).alt


def test_layers_are_chosen_by_their_true_index_and_keep_the_order_asked_for(drawn):
    box = lk.slide(fake())
    sliders(box)["Layers"].value = (16, 20)
    assert rows(drawn[-1]) == ["18", "17", "16", "19", "20"]
    kept = fake().kl.sel(layer=[18, 17, 16, 19, 20])
    np.testing.assert_array_equal(drawn[-1].collections[0].get_array(), kept)


def test_tokens_keep_their_numbers(drawn):
    box = lk.slide(fake())
    sliders(box)["Tokens"].value = (2, 3)
    assert [label.get_text() for label in drawn[-1].get_xticklabels()] == ["Gen2", "Gen3"]
    np.testing.assert_array_equal(drawn[-1].collections[0].get_array(), fake().kl[:, 2:4])
    assert "generated tokens Gen2 to Gen3 from left" in alt(box)
    assert alt(box).endswith("the largest is layer 27 at Gen3 “d”.")


def test_iterations_choose_the_result(depths, drawn):
    box = lk.slide(depths)
    depth = sliders(box)["Iterations"]
    assert (depth.options, depth.value) == ((1, 4), 4)
    assert rows(drawn[-1]) == ["0", "1", "2", "3", "4", "5"]
    depth.value = 1
    assert rows(drawn[-1]) == ["0", "1", "2"]
    np.testing.assert_array_equal(drawn[-1].collections[0].get_array(), 1)


def test_the_other_sliders_reach_over_the_deepest_result(depths):
    assert lk.slide(depths[::-1]).children[1].max == 5


def test_a_range_of_layers_that_a_shallow_model_lacks_gives_a_message(depths):
    box = lk.slide(depths)
    sliders(box)["Layers"].value = (4, 5)
    sliders(box)["Iterations"].value = 1
    assert shown(box) == (
        "<p>With 1 iterations the last layer is 2; there is none from 4 to 5. Move the slider “Layers”.</p>"
    )
    sliders(box)["Iterations"].value = 4
    assert "2 layers 4, 5 from top to bottom" in alt(box)


def test_a_range_without_a_layer_gives_a_message(drawn):
    box = lk.slide(fake())
    sliders(box)["Layers"].value = (22, 26)
    assert shown(box) == (
        "<p>This result has no layer from 22 to 26; it has 0, 15, 16, 17, 18, 19, 20, 21, 27. Move the "
        "slider “Layers”.</p>"
    )


def test_colour_means_the_same_at_every_position(depths, drawn):
    box = lk.slide(depths)
    sliders(box)["Iterations"].value = 1
    sliders(box)["Layers"].value = (0, 0)
    sliders(box)["Tokens"].value = (1, 1)
    assert {ax.collections[0].get_clim() for ax in drawn} == {(1.0, 4.0)}


def test_colours_can_be_given(drawn):
    lk.slide(fake(), vmin=0.2, vmax=1.4)
    assert drawn[-1].collections[0].get_clim() == (0.2, 1.4)


def test_no_figure_stays_open_after_any_number_of_changes():
    plt.close("all")
    box = lk.slide(fake())
    for last in (20, 10, 3):
        sliders(box)["Layers"].value = (0, last)
    assert plt.get_fignums() == []


def test_hostile_tokens_are_shown_and_never_run():
    box = lk.slide(fake([0], HOSTILE, np.arange(len(HOSTILE), dtype=float)[None]))
    for place in range(len(HOSTILE)):
        sliders(box)["Tokens"].value = (place, place)
        assert "<script" not in shown(box)
        assert "onerror=alert(1)>" not in shown(box)
        assert "\0" not in shown(box)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (
            [fake(iterations=1), fake(iterations=2, direction="KL(final ‖ layer)")],
            "The results differ in 'direction': 'KL(clean ‖ intervened)' and 'KL(final ‖ layer)'. Pass "
            "results that differ only in iterations=.",
        ),
        (
            [fake(), fake(iterations=2)],
            "Each of several results needs another number of iterations; got [0, 2]. Run a recurrent-depth "
            "model with different iterations=, or pass one result.",
        ),
        (
            [fake(iterations=2), fake(iterations=2)],
            "Each of several results needs another number of iterations; got [2, 2]. Run a recurrent-depth "
            "model with different iterations=, or pass one result.",
        ),
    ],
)
def test_results_that_do_not_belong_together_are_refused(results, message):
    with pytest.raises(ArgumentError) as raised:
        lk.slide(results)
    assert str(raised.value) == message


def test_a_saved_result_is_shown_where_torch_is_not_installed(tmp_path, block_torch):
    path = lk.save_trace(fake(F5), tmp_path / "layers.nc")
    block_torch(
        "import matplotlib; matplotlib.use('agg')\n"
        f"import latentkit as lk\nresult = lk.open_trace({str(path)!r})\n"
        "lk.slide(result).children[0].value = (15, 19)\n"
    )


def test_runs_of_one_model_at_several_depths_are_shown_together():
    model = lk.load_model("nano-untrained")
    results = [
        lk.run_layer_lens(model, "Hello", new_tokens=2, iterations=depth, progress=False) for depth in (1, 3)
    ]
    assert sliders(lk.slide(results))["Iterations"].options == (1, 3)


def test_the_scale_is_that_of_all_values_at_every_position(drawn):
    values = np.full((9, 5), 0.25)
    values[0] = 20.0
    box = lk.slide(fake(values=values))
    sliders(box)["Layers"].value = (15, 27)
    assert {ax.collections[0].get_clim() for ax in drawn} == {(0.25, 20.0)}
    assert {ax.collections[0].colorbar.ax.get_ylabel() for ax in drawn} == {"KL, log scale"}


def test_the_scale_can_be_chosen(drawn):
    lk.slide(fake(), scale="log")
    assert drawn[-1].collections[0].colorbar.ax.get_ylabel() == "KL, log scale"

"""The heatmap of layers: what is drawn, in which order, and what it says in words."""

from __future__ import annotations

import itertools
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from test_trace import HOSTILE

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.plot import alt_text, plot_layer_kl, plot_layer_profile
from latentkit.plot.drawing.dark import NEARLY_WHITE
from latentkit.view import describe_layer_kl

F5 = [0, 15, 18, 17, 16, 19, 20, 21, 27]


@pytest.fixture(autouse=True)
def _no_figure_is_left_open():
    yield
    plt.close("all")


def fake(layers=F5, texts=("a", "b", "c", "d", "e"), values=None, *, prompts=0, iteration=0, **attrs: Any):
    """Values are 1 + row + column / 10, unless they are given."""
    rows, columns = len(layers), len(texts)
    if values is None:
        values = 1 + np.arange(rows)[:, None] + np.arange(columns) / 10
    values = np.asarray(values, dtype="float32")
    cell, tokens = ("layer", "generated_token"), ("generated_token",)
    data: dict[str, Any] = {"kl": (cell, values)}
    words = np.array(list(texts), dtype=object)
    if prompts:
        data = {"kl": (("prompt", *cell), np.stack([values] * prompts))}
        data |= {"kl_mean": (cell, values), "kl_low": (cell, values - 3), "kl_high": (cell, values + 3)}
        words, tokens = np.stack([words] * prompts), ("prompt", *tokens)
    coords = {
        "layer": list(layers),
        "stack": ("layer", np.array(["layers"] * rows, dtype=object)),
        "iteration": ("layer", np.broadcast_to(iteration, rows)),
        "block": ("layer", list(layers)),
        "generated_token": np.arange(columns),
        "token_text": (tokens, words),
        "token_id": (tokens, np.zeros(words.shape, dtype=int)),
    }
    about = {
        "kind": "layers",
        "divergence": "kl",
        "units": "nats",
        "definition": "effect",
        "do": "skip",
        "direction": "KL(clean ‖ intervened)",
    }
    return xr.Dataset(data, coords=coords, attrs={**about, **attrs})


def drawn(ax):
    (mesh,) = ax.collections
    return mesh.get_array()


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def columns(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def tokens(ax):
    (top,) = [axis for axis in ax.child_axes if axis.get_xticklabels() and axis._orientation == "x"]
    return [label.get_text() for label in top.get_xticklabels()]


def note(ax):
    return ax.texts[-1].get_text()


def bar(ax):
    return ax.collections[0].colorbar


def test_the_published_words_and_colours():
    ax = plot_layer_kl(fake())
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("Generated Token", "Layer", "")
    assert bar(ax).ax.get_ylabel() == "KL"
    assert ax.collections[0].get_cmap().name == "YlOrRd"
    assert columns(ax) == ["Gen0", "Gen1", "Gen2", "Gen3", "Gen4"]


def test_rows_stand_in_the_order_asked_for_from_the_top_and_a_note_says_so():
    result = fake()
    ax = plot_layer_kl(result)
    np.testing.assert_array_equal(drawn(ax), result.kl)
    assert rows(ax) == [str(layer) for layer in F5]
    assert ax.get_ylim() == (9, 0)
    assert (
        note(ax) == "effect of do='skip' · KL(clean ‖ intervened) · rows in the order of layers=, not sorted"
    )


def test_the_sorted_twin_has_the_same_values_and_no_such_note():
    result = fake()
    ax = plot_layer_kl(result, sort="layer")
    assert rows(ax) == [str(layer) for layer in sorted(F5)]
    np.testing.assert_array_equal(drawn(ax), result.kl.sortby("layer"))
    assert note(ax) == "effect of do='skip' · KL(clean ‖ intervened)"


def test_rows_can_be_sorted_by_their_mean():
    values = [[1, 5], [np.nan, 4], [np.nan, np.nan], [2, 2]]
    ax = plot_layer_kl(fake([7, 8, 9, 3], "ab", values), sort="score")
    assert rows(ax) == ["8", "7", "3", "9"]
    assert note(ax).endswith("rows by mean, largest first\nhatched: unknown")


def test_what_is_not_known_is_blank():
    ax = plot_layer_kl(fake([0, 1], "ab", [[np.nan, np.nan], [0.5, 1]]))
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn(ax)), [[True, True], [False, False]])
    assert ax.collections[0].get_clim() == (0.5, 1)


@pytest.mark.parametrize("values", [[[np.nan]], [[0.0]], [[2.0]]])
def test_a_single_value_or_none_is_drawn(values):
    ax = plot_layer_kl(fake([4], "a", values), annotate=True)
    ax.figure.canvas.draw()
    low, high = ax.collections[0].get_clim()
    assert low < high


def test_limits_can_be_those_of_the_published_figure():
    assert plot_layer_kl(fake(), vmin=0.2, vmax=1.4).collections[0].get_clim() == (0.2, 1.4)


@pytest.mark.parametrize(
    ("limits", "ends"), [((None, None), "neither"), ((1, 9), "max"), ((2, 10), "min"), ((2, 9), "both")]
)
def test_the_colour_bar_says_where_values_lie_beyond_its_ends(limits, ends):
    assert bar(plot_layer_kl(fake(), vmin=limits[0], vmax=limits[1])).extend == ends


def test_values_are_written_into_their_cells_dark_on_light_and_light_on_dark():
    ax = plot_layer_kl(fake([3, 4], "ab", [[0.25, 0.5], [1.0, 1.25]]), annotate=True)
    written = {text.get_position(): text for text in ax.texts if text.get_text() != note(ax)}
    assert {place: text.get_text() for place, text in written.items()} == {
        (0.5, 0.5): "0.25",
        (1.5, 0.5): "0.50",
        (0.5, 1.5): "1.00",
        (1.5, 1.5): "1.25",
    }
    assert written[0.5, 0.5].get_color() == "black"
    assert written[1.5, 1.5].get_color() == NEARLY_WHITE


def test_a_value_can_be_read_on_its_cell_whatever_its_colour():
    values = np.linspace(0, 1, 21)[None]
    ax = plot_layer_kl(fake([3], "a" * 21, values), annotate=True)
    for text, value in zip(ax.texts, values[0], strict=False):
        luminance = []
        for colour in (ax.collections[0].to_rgba([value])[0, :3], mpl.colors.to_rgb(text.get_color())):
            linear = np.where(np.array(colour) > 0.04, ((np.array(colour) + 0.055) / 1.055) ** 2.4, 0)
            luminance.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
        assert max(luminance) / min(luminance) >= 4.5  # WCAG 2.2, success criterion 1.4.3


def test_small_values_are_written_with_digits_that_tell_them_apart():
    ax = plot_layer_kl(fake([3], "ab", [[0.0012, 0.0034]]), annotate=True)
    assert [text.get_text() for text in ax.texts[:2]] == ["0.0012", "0.0034"]


def test_hostile_tokens_are_drawn_as_text_without_a_warning():
    ax = plot_layer_kl(fake([1, 0], HOSTILE))
    ax.figure.canvas.draw()
    shown = tokens(ax)
    assert len(shown) == len(HOSTILE)
    (top,) = [axis for axis in ax.child_axes if axis._orientation == "x"]
    assert not any(label.get_parse_math() or label.get_usetex() for label in top.get_xticklabels())
    assert shown[0].startswith("$x_1$")
    assert shown[2] == "↵↵"
    assert shown[3] == "U+0000"
    assert not any("\n" in text or "\0" in text for text in shown)


def test_labels_of_a_figure_do_not_overlap():
    ax = plot_layer_kl(fake(range(40), [" somewhere"] * 12))
    ax.figure.canvas.draw()
    for labels, axis in ((ax.get_yticklabels(), 1), (ax.get_xticklabels(), 0)):
        boxes = sorted(tuple(label.get_window_extent().get_points()[:, axis]) for label in labels)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(boxes))


def test_a_thousand_layers_are_drawn_with_labels_thinned():
    ax = plot_layer_kl(fake(range(1000), "ab"))
    assert ax.figure.get_size_inches()[1] <= 12
    assert 20 < len(rows(ax)) < 200


def test_layers_of_a_recurrent_model_also_say_which_repetition_they_are():
    result = fake([0, 1, 2, 3, 4, 5], "ab")
    result = result.assign_coords(
        stack=("layer", np.array(["prelude", "core", "core", "core", "core", "coda"], dtype=object)),
        iteration=("layer", [0, 1, 1, 2, 2, 0]),
        block=("layer", [0, 0, 1, 0, 1, 0]),
    )
    ax = plot_layer_kl(result)
    (right,) = [axis for axis in ax.child_axes if axis._orientation == "y"]
    names = [label.get_text() for label in right.get_yticklabels()]
    assert names == ["prelude", "core 1.0", "core 1.1", "core 2.0", "core 2.1", "coda"]


def test_of_several_prompts_the_mean_is_drawn_and_cells_not_separable_from_zero_can_be_masked():
    result = fake(range(4), "ab", [[1, 2], [3, 4], [2, 5], [6, 1]], prompts=3)
    ax = plot_layer_kl(result)
    np.testing.assert_array_equal(drawn(ax), result.kl_mean)
    assert note(ax).endswith("mean of 3 prompts")
    masked = plot_layer_kl(result, mask_zero=True)
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn(masked)), result.kl_mean <= 3)
    assert note(masked).endswith("blank: interval includes 0")


def test_the_profile_has_a_line_for_each_token_and_its_interval():
    result = fake([2, 0, 1], "ab", prompts=3)
    ax = plot_layer_profile(result)
    assert len(ax.lines) == len(ax.collections) == 2
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), result.kl_mean.sortby("layer")[:, 0])
    low = ax.collections[0].get_paths()[0].vertices[:, 1].min()
    assert low == pytest.approx(float(result.kl_low[:, 0].min()))
    assert len(plot_layer_profile(fake()).collections) == 0
    assert alt_text(ax) == (
        "Lines of KL(clean ‖ intervened) in nats over 3 layers 0, 1, 2, one line for each generated token "
        "Gen0 to Gen1. Values range from 1 to 3.1; the largest is layer 1 at Gen1."
    )


def test_of_tokens_that_are_a_part_the_numbers_are_the_true_ones():
    part = fake().isel(generated_token=slice(2, 4))
    assert columns(plot_layer_kl(part)) == ["Gen2", "Gen3"]
    assert "generated tokens Gen2 to Gen3 from left" in describe_layer_kl(part)
    assert describe_layer_kl(part).endswith("the largest is layer 27 at Gen3 “d”.")
    assert [line.get_label() for line in plot_layer_profile(part).lines] == ["Gen2", "Gen3"]


@pytest.mark.parametrize(("attrs", "label"), [({"units": "bits"}, "KL (bits)"), ({}, "KL")])
def test_another_unit_than_nats_is_said(attrs, label):
    assert bar(plot_layer_kl(fake(**attrs))).ax.get_ylabel() == label


def test_another_divergence_has_its_own_name():
    result = fake(divergence="js").rename(kl="js")
    assert bar(plot_layer_kl(result)).ax.get_ylabel() == "JS"


def test_alt_text_says_what_is_shown():
    ax = plot_layer_kl(fake(texts=["$x$", " b", "\n", "d", "e"]))
    assert alt_text(ax) == (
        "Heatmap of KL(clean ‖ intervened) in nats: 9 layers 0, 15, 18, 17, 16, 19, 20, 21, 27 from top to "
        "bottom, generated tokens Gen0 to Gen4 from left to right. Values range from 1 to 9.4; the largest "
        "is layer 27 at Gen4 “e”."
    )
    assert describe_layer_kl(fake([0], "a", [[np.nan]])) == (
        "Heatmap of KL(clean ‖ intervened) in nats: layer 0 from top to bottom, generated tokens Gen0 from "
        "left to right. No value is known."
    )


def test_it_draws_into_axes_that_are_given():
    _, (left, right) = plt.subplots(1, 2, layout="constrained")
    assert plot_layer_kl(fake(), ax=right, colorbar=False) is right
    assert not left.collections
    assert bar(right) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": "size"}, "No sort named 'size'. Known: 'layer', 'score'."),
        (
            {"vmin": 2, "vmax": 1},
            "`vmin` must be less than `vmax`, got 2 and 1. A limit that is not passed is the smallest or the "
            "largest value shown.",
        ),
        ({"vmin": "low"}, "`vmin` must be a finite number; got 'low'."),
        ({"ax": 3}, "`ax` must be matplotlib Axes or None, got int."),
        (
            {"mask_zero": True},
            "`mask_zero` needs intervals over prompts. Pass several prompts to the run.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ArgumentError) as caught:
        plot_layer_kl(fake(), **options)
    assert str(caught.value) == message


def test_another_dataset_is_refused():
    with pytest.raises(TraceError) as caught:
        plot_layer_kl(xr.Dataset({"distance": ("token", [1.0])}))
    assert str(caught.value) == (
        "The dataset has no 'kl'; it has ['distance']. Pass a dataset from `run_layer_effect`, "
        "`run_layer_lens` or `run_layer_difference`."
    )
    with pytest.raises(TraceError) as caught:
        plot_layer_kl([1])
    assert (
        str(caught.value)
        == "Expected a result (an xarray.Dataset) from `run_layer_effect`, `run_layer_lens` or "
        "`run_layer_difference`, got list."
    )
    with pytest.raises(TraceError) as caught:
        plot_layer_kl(fake().isel(layer=0))
    assert str(caught.value) == (
        "Expected 'kl' over ('layer', 'generated_token') with at least one of each, got "
        "{'generated_token': 5}. Keep these two dimensions, as in `result.isel(layer=[0])`."
    )


def test_a_saved_result_is_plotted_without_torch(tmp_path, block_torch):
    path = lk.save_trace(fake(), tmp_path / "layers.nc")
    printed = block_torch(
        "import matplotlib; matplotlib.use('agg'); import latentkit as lk\n"
        f"print(lk.plot_layer_kl(lk.open_trace({str(path)!r})).get_ylabel())"
    )
    assert printed == "Layer\n"


def outshone():
    """One row of nine has values a hundred times as large as the others."""
    values = np.linspace(0.1, 0.6, 45).reshape(9, 5)
    values[0] *= 100
    return values


def test_a_row_that_outshines_the_others_is_drawn_on_a_logarithmic_scale_and_the_bar_says_so():
    ax = plot_layer_kl(fake(values=outshone()))
    assert isinstance(ax.collections[0].norm, mpl.colors.LogNorm)
    assert bar(ax).ax.get_ylabel() == "KL, log scale"
    colours = ax.collections[0].to_rgba(drawn(ax)[1:].ravel())
    assert len(np.unique(colours.round(2), axis=0)) > 10  # the other rows are told apart
    assert "from left to right, colour on a logarithmic scale. Values" in alt_text(ax)


def test_values_of_one_order_keep_the_published_linear_scale():
    ax = plot_layer_kl(fake(values=np.linspace(0.2, 1.4, 45).reshape(9, 5)))
    assert not isinstance(ax.collections[0].norm, mpl.colors.LogNorm)
    assert bar(ax).ax.get_ylabel() == "KL"


def test_limits_that_are_passed_keep_the_scale_linear_unless_another_is_named():
    result = fake(values=outshone())
    assert bar(plot_layer_kl(result, vmin=0, vmax=1)).ax.get_ylabel() == "KL"
    ax = plot_layer_kl(result, vmin=0.1, vmax=10, scale="log")
    assert ax.collections[0].get_clim() == (0.1, 10)


def test_a_robust_scale_says_how_many_cells_lie_above_it():
    values = outshone()
    ax = plot_layer_kl(fake(values=values), scale="robust")
    assert ax.collections[0].get_clim() == pytest.approx((values[1:].min(), values[1:].max()))
    assert bar(ax).ax.get_ylabel() == "KL, clipped at the 90th percentile: 5 cells above"
    assert bar(ax).extend == "max"


def test_on_a_logarithmic_scale_zero_is_grey_and_the_unknown_is_hatched():
    values = outshone()
    values[3], values[4], values[8, 3:] = 0, 1e-9, np.nan
    ax = plot_layer_kl(fake(values=values))
    low, high = ax.collections[0].get_clim()
    assert (low, high) == pytest.approx((values[values > 1e-3].min(), values[0, 4]))
    colours = ax.collections[0].to_rgba(drawn(ax))
    zero, tiny, smallest, unknown = (colours[cell] for cell in ((3, 0), (4, 0), (1, 0), (8, 4)))
    assert zero[0] == zero[1] == zero[2] < 0.9
    assert (tiny == zero).all()
    assert smallest[2] < smallest[1]  # yellow
    assert unknown[3] == 0
    assert [(patch.get_xy(), patch.get_width(), patch.get_hatch()) for patch in ax.patches] == [
        ((3, 8), 2, "///")
    ]
    assert note(ax).splitlines()[-1] == f"grey: 0 or below {low:.2g}, 10 of 45 cells · hatched: unknown"


def test_figures_that_are_compared_share_a_logarithmic_scale():
    one, other = fake(values=outshone()), fake(values=3 * outshone())
    low, high = lk.color_limits(one, other, scale="log")
    assert (low, high) == pytest.approx((0.1 + 0.5 / 44 * 5, 3 * 100 * outshone()[0, 4] / 100), rel=1e-5)
    assert lk.color_limits(fake(values=np.zeros((9, 5))), one, scale="log")[0] == pytest.approx(low)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ArgumentError) as caught:
        plot_layer_kl(fake(), scale="logs")
    assert str(caught.value) == "No scale named 'logs'. Did you mean 'log'? Known: 'linear', 'log', 'robust'."

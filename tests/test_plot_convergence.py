"""The convergence heatmap: what is drawn, where it stands, and what it says in words."""

import base64
import html
import io
import itertools
import subprocess
import sys
import warnings

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pytest
import xarray as xr
from golden_for_tests import PUBLISHED
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from PIL import Image

from latentkit.errors import ArgumentError, TraceError
from latentkit.plot import alt_text, plot_convergence, plot_distance, with_alt
from latentkit.plot.drawing.dark import NEARLY_WHITE
from latentkit.view import color_limits, describe_convergence


@pytest.fixture(autouse=True)
def _no_figure_is_left_open():
    yield
    plt.close("all")


def fake_trace(texts, distance=None, *, first=0, columns=65, **attrs):
    """A trace whose distance at row r, iteration i is 100·(r+1)/2^i, unless distances are given."""
    if distance is None:
        rows, passes = np.arange(len(texts))[:, None], np.arange(columns)
        distance = 100.0 * (rows + 1) / 2.0 ** np.minimum(passes, 20)
    distance = np.asarray(distance, dtype="float32")
    # pandas refuses half a surrogate pair in an object array; numpy drops NUL at the end of a str array.
    kind = str if any("\ud800" <= c <= "\udfff" for text in texts for c in text) else object
    return xr.Dataset(
        {"distance": (("token", "iteration"), distance)},
        coords={
            "token": first + np.arange(len(texts)),
            "iteration": np.arange(distance.shape[1]),
            "token_text": ("token", np.array(list(texts), dtype=kind)),
        },
        attrs={"kind": "recurrence", "dtype": "float32", "limit": 128, **attrs},
    )


def words(number):
    return [f" w{index}" for index in range(number)]


def drawn(ax):
    (mesh,) = ax.collections
    return mesh.get_array()


def left(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def right(ax):
    return [label.get_text() for label in ax.child_axes[0].get_yticklabels()]


def note(ax):
    (text,) = [text.get_text() for text in ax.texts if text.get_text() != "␣"]
    return text


def bar(ax):
    return ax.collections[0].colorbar


# What is drawn, and where


def test_the_mesh_holds_the_distances_row_by_row_from_the_top():
    trace = fake_trace(words(4))
    ax = plot_convergence(trace)
    np.testing.assert_array_equal(drawn(ax), trace.distance)
    assert ax.get_ylim() == (3.5, -0.5)
    corners = ax.collections[0].get_coordinates()
    np.testing.assert_array_equal(corners[:, 0, 1], [-0.5, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(corners[0, :, 0], np.arange(-0.5, 65))


def test_the_published_words_and_colours():
    ax = plot_convergence(fake_trace(words(3)))
    assert ax.get_title() == "Latent State Convergence ||x - x*||"
    assert ax.get_xlabel() == "Iterations at Test Time"
    assert bar(ax).ax.get_ylabel() == "Log Distance"
    assert ax.collections[0].get_cmap().name == "viridis"
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(i) for i in range(0, 65, 10)]


def test_symbol_and_title_can_be_changed():
    trace = fake_trace(words(2))
    assert plot_convergence(trace, symbol="s").get_title() == "Latent State Convergence ||s - s*||"
    assert plot_convergence(trace, title="mine").get_title() == "mine"
    assert plot_convergence(trace, title="").get_title() == ""


def test_tokens_stand_left_and_their_positions_right_at_the_same_rows():
    ax = plot_convergence(fake_trace(["Go", "e", "the"], first=182))
    assert left(ax) == ["Go", "e", "the"]
    assert right(ax) == ["182", "183", "184"]
    ax.figure.canvas.draw()
    heights = [
        [label.get_window_extent().y0 + label.get_window_extent().y1 for label in axes.get_yticklabels()]
        for axes in (ax, ax.child_axes[0])
    ]
    rows = [2 * ax.transData.transform((0, row))[1] for row in range(3)]
    np.testing.assert_allclose(heights[0], heights[1], atol=2)
    np.testing.assert_allclose(heights[0], rows, atol=6)


def test_a_slice_takes_rows_by_position_and_xarray_the_columns():
    trace = fake_trace(words(300))
    ax = plot_convergence(trace.sel(iteration=slice(10, 20)), tokens=slice(182, 241))
    np.testing.assert_array_equal(drawn(ax), trace.distance[182:241, 10:21])
    assert left(ax) == words(300)[182:241]
    assert right(ax) == [str(position) for position in range(182, 241)]
    assert ax.get_xlim() == (9.5, 20.5)


def test_slices_mean_the_same_positions_in_a_part_of_a_trace():
    trace = fake_trace(words(30))
    part = trace.isel(token=slice(10, 20))
    ax = plot_convergence(part, tokens=slice(12, 15))
    assert right(ax) == ["12", "13", "14"]
    assert left(ax) == [" w12", " w13", " w14"]


def test_negative_bounds_and_steps_are_those_of_python():
    trace = fake_trace(words(30))
    for wanted in (slice(-5, None), slice(None, -25), slice(3, 20, 4), slice(np.int64(2), 4), slice(None)):
        np.testing.assert_array_equal(drawn(plot_convergence(trace, tokens=wanted)), trace.distance[wanted])


def test_a_bound_beyond_the_trace_is_its_end():
    trace = fake_trace(words(240))
    assert right(plot_convergence(trace, tokens=slice(182, 241))) == [str(i) for i in range(182, 240)]
    np.testing.assert_array_equal(drawn(plot_convergence(trace, tokens=slice(-999, 3))), trace.distance[:3])
    part = plot_convergence(trace.isel(token=slice(100, 120)), tokens=slice(0, 103))
    np.testing.assert_array_equal(drawn(part), trace.distance[100:103])


def test_columns_with_gaps_reach_half_way_to_their_neighbours():
    ax = plot_convergence(fake_trace(words(2)).sel(iteration=[0, 1, 4, 8]))
    np.testing.assert_array_equal(ax.collections[0].get_coordinates()[0, :, 0], [-0.5, 0.5, 2.5, 6, 10])
    ax = plot_convergence(fake_trace(words(2)).sel(iteration=[7]))
    np.testing.assert_array_equal(ax.collections[0].get_coordinates()[0, :, 0], [6.5, 7.5])


def test_the_order_of_dimensions_does_not_matter():
    trace = fake_trace(words(3), columns=5)
    np.testing.assert_array_equal(drawn(plot_convergence(trace.transpose())), trace.distance)


# Colour


def test_limits_are_the_smallest_and_largest_distance_above_zero():
    ax = plot_convergence(fake_trace(words(2), [[50, 5, 0], [20, 0.5, 0]]))
    assert ax.collections[0].get_clim() == (0.5, 50)


def test_vmin_and_vmax_are_kept_and_the_bar_points_to_values_beyond_them():
    trace = fake_trace(words(1), [[50, 5, 0.5]])
    for limits, extend in [((1, 100), "min"), ((0.1, 10), "max"), ((1, 10), "both"), ((0.1, 100), "neither")]:
        ax = plot_convergence(trace, vmin=limits[0], vmax=limits[1])
        assert ax.collections[0].get_clim() == limits
        assert bar(ax).extend == extend


def test_shared_limits_cover_every_trace():
    one, other = fake_trace(words(1), [[50, 5, 0]]), fake_trace(words(1), [[20, 0.5, np.nan]])
    assert color_limits(one, other) == (0.5, 50)
    assert color_limits(one.isel(iteration=[0]), other.isel(iteration=[0])) == (20, 50)
    assert color_limits(fake_trace(words(2), [[50, 5], [9, 3]]), tokens=slice(1, 2)) == (3, 9)


def test_one_end_of_the_colour_scale_can_be_passed():
    trace = fake_trace(words(1), [[50, 5, 0.5]])
    assert plot_convergence(trace, vmin=np.float32(2)).collections[0].get_clim() == (2, 50)
    assert plot_convergence(trace, vmax=trace.distance[0, 1]).collections[0].get_clim() == (0.5, 5)


def test_zero_and_unknown_distances_are_blank():
    ax = plot_convergence(fake_trace(words(2), [[9, 3, 0], [9, np.nan, np.nan]]))
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn(ax)), [[0, 0, 1], [0, 1, 1]])
    ax.figure.canvas.draw()


@pytest.mark.parametrize("value", [0.0, np.nan, 3.0, np.inf])
def test_a_trace_without_two_different_distances_draws(value):
    ax = plot_convergence(fake_trace(words(2), np.full((2, 3), value)))
    ax.figure.canvas.draw()
    low, high = ax.collections[0].get_clim()
    assert 0 < low < high < np.inf


def test_an_infinite_distance_has_the_colour_of_the_top():
    ax = plot_convergence(fake_trace(words(1), [[9, 3, np.inf]]))
    mesh = ax.collections[0]
    assert bar(ax).extend == "max"
    ax.figure.canvas.draw()
    assert to_hex(mesh.get_facecolor()[2]) == to_hex(mesh.get_cmap()(1.0))


def test_decades_are_written_as_powers_of_ten():
    ax = plot_convergence(fake_trace(words(1), [[120, 3, 0.9]]))
    ax.figure.canvas.draw()
    low, high = bar(ax).ax.get_ylim()
    texts = {
        tick: label.get_text()
        for tick, label in zip(bar(ax).get_ticks(), bar(ax).ax.get_yticklabels(), strict=True)
        if low <= tick <= high
    }
    assert texts == {10.0**power: rf"$\mathdefault{{10^{{{power}}}}}$" for power in (0, 1, 2)}


def test_the_floor_of_bfloat16_is_marked_on_the_bar():
    trace = fake_trace(words(2), dtype="bfloat16", hidden_size=5280)
    ax = plot_convergence(trace)
    (line,) = [line for line in bar(ax).ax.lines if line.get_color() == NEARLY_WHITE]
    np.testing.assert_allclose(line.get_ydata(), 0.004 * np.sqrt(5280))
    assert note(ax) == "x* = normalised state after 128 iterations · floor of bfloat16: 0.29 (white line)"


def test_a_floor_beyond_the_bar_is_only_named():
    ax = plot_convergence(fake_trace(words(2), dtype="torch.bfloat16", hidden_size=5280), vmin=1, vmax=100)
    assert not [line for line in bar(ax).ax.lines if line.get_color() == NEARLY_WHITE]
    assert note(ax) == "x* = normalised state after 128 iterations · floor of bfloat16: 0.29"


@pytest.mark.parametrize("attrs", [{"dtype": "float32", "hidden_size": 5280}, {"dtype": "bfloat16"}])
def test_no_floor_is_marked_without_bfloat16_or_size(attrs):
    ax = plot_convergence(fake_trace(words(2), **attrs), symbol="s")
    assert not [line for line in bar(ax).ax.lines if line.get_color() == NEARLY_WHITE]
    assert note(ax) == "s* = normalised state after 128 iterations"


def test_the_limit_in_use_is_stated():
    assert note(plot_convergence(fake_trace(words(2), limit=64))) == (
        "x* = normalised state after 64 iterations"
    )


def test_a_figure_without_colour_bar_has_one_axes():
    assert plot_convergence(fake_trace(words(2)), colorbar=False).figure.axes[1:] == []


# Labels


def test_fifty_nine_rows_are_all_labelled_without_touching():
    ax = plot_convergence(fake_trace(words(59), first=182))
    ax.figure.canvas.draw()
    assert left(ax) == words(59)
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    size = ax.get_yticklabels()[0].get_size()
    pitch = (boxes[0].y0 - boxes[-1].y0) / 58 * 72 / ax.figure.dpi
    assert size == 8
    assert pitch >= 1.15 * size


def test_a_figure_grows_with_its_rows_up_to_a_cap():
    heights = [plot_convergence(fake_trace(words(rows))).figure.get_figheight() for rows in (5, 59, 300, 600)]
    assert heights[0] < heights[1] < heights[2] == heights[3]


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_labels_are_thinned_to_the_room_of_given_axes(layout):
    figure, ax = plt.subplots(figsize=(5, 2.5), layout=layout)
    assert plot_convergence(fake_trace(words(59), first=182), ax=ax) is ax
    assert right(ax) == [str(position) for position in range(185, 241, 5)]
    assert left(ax) == [f" w{position - 182}" for position in range(185, 241, 5)]
    figure.canvas.draw()
    tops = [label.get_window_extent() for label in ax.get_yticklabels()]
    for upper, lower in itertools.pairwise(tops):
        assert upper.y0 >= lower.y1 - 2


def test_a_leading_space_gets_a_faint_mark_and_the_label_keeps_its_text():
    ax = plot_convergence(fake_trace([" deliber", "ation", " "]))
    assert left(ax) == [" deliber", "ation", "␣"]
    (mark,) = [text for text in ax.texts if text.get_text() == "␣"]
    assert mark.xy == (0, 0)
    ax.figure.canvas.draw()
    label = ax.get_yticklabels()[0].get_window_extent()
    assert abs(mark.get_window_extent().x1 - label.x0) < 6
    assert abs(mark.get_window_extent().y0 - label.y0) < 2


def test_the_mark_goes_with_its_label_when_the_reader_zooms():
    ax = plot_convergence(fake_trace([" a", "b", "c"]))
    (mark,) = [text for text in ax.texts if text.get_text() == "␣"]
    ax.figure.canvas.draw()
    assert mark.get_tightbbox().width > 0
    ax.set_ylim(2.5, 0.5)
    ax.figure.canvas.draw()
    assert not mark.get_tightbbox().width > 0


ODD = [
    "$x_1$",
    "$",
    r"\$\frac{1}{",
    "<script>alert(1)</script>",
    "\n",
    "\x00x",
    "\ud800",
    "<0xE2>",
    "👩‍👩‍👧",
    "مرحبا",
    " שלום",
    "日本語",
    "a" * 200,
    "",
    "\u0301",
    "%&#_^{}~",
]


@pytest.mark.parametrize("format_", ["png", "svg", "pdf"])
def test_tokens_are_data(tmp_path, format_):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot_convergence(fake_trace(ODD))
        ax.figure.savefig(tmp_path / f"tokens.{format_}")
    assert left(ax)[:4] == ["$x_1$", "$", r"\$\frac{1}{", "<script>alert(1)</script>"]
    assert left(ax)[4:8] == ["↵", "U+0000 x", "U+D800", "<0xE2>"]
    assert not any(label.get_parse_math() or label.get_usetex() for label in ax.get_yticklabels())
    if format_ == "svg":
        assert "<script" not in (tmp_path / "tokens.svg").read_text()


def test_dollars_are_drawn_as_dollars():
    ax = plot_convergence(fake_trace(["$xxxxxxxxxx$", "xxxxxxxxxxxx"]))
    ax.figure.canvas.draw()
    dollars, plain = (label.get_window_extent().width for label in ax.get_yticklabels())
    assert abs(dollars - plain) < 5, "as a formula it would be two letters shorter"


@settings(max_examples=12, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=30), min_size=1, max_size=6))
def test_any_tokens_draw_without_a_warning(texts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot_convergence(fake_trace(texts, columns=4))
        ax.figure.canvas.draw()
        alt_text(ax)
    plt.close("all")


@pytest.mark.parametrize("name", ["F2", "F3"])
def test_the_rows_of_the_published_figures(name):
    first, last = PUBLISHED["figures"][name]["tokens"]
    rows = PUBLISHED["rows_with_the_released_tokenizer"][name]
    trace = fake_trace(["?"] * first + rows + ["?"] * 5)
    ax = plot_convergence(trace, tokens=slice(first, last + 1))
    assert left(ax) == [row.replace("\n", "↵") for row in rows]
    assert right(ax) == [str(position) for position in range(first, last + 1)]


# Guests


def test_given_axes_are_used_and_nothing_is_opened():
    figure, (one, other) = plt.subplots(1, 2)
    plt.sca(other)
    plot_convergence(fake_trace(words(2)), ax=one, colorbar=False)
    assert plt.get_fignums() == [figure.number]
    assert one.collections
    assert not other.collections


def test_a_subfigure_will_do():
    figure = plt.figure(layout="constrained")
    ax = figure.subfigures(1, 2)[0].subplots()
    plot_convergence(fake_trace(words(2)), ax=ax)
    figure.canvas.draw()
    assert with_alt(ax).alt == alt_text(figure)


def test_the_readers_style_is_left_alone_and_harmless():
    with mpl.rc_context({"axes.grid": True, "font.family": ["DejaVu Serif"]}):
        before = dict(mpl.rcParams)
        plot_convergence(fake_trace(ODD)).figure.canvas.draw()
        assert dict(mpl.rcParams) == before


def test_the_trace_is_left_as_it_was():
    trace = fake_trace(words(3))
    copy = trace.copy(deep=True)
    plot_convergence(trace)
    xr.testing.assert_identical(trace, copy)


def test_a_large_trace_is_one_mesh_and_as_many_labels_as_can_be_read():
    ax = plot_convergence(fake_trace(words(512), columns=128))
    assert [collection.get_array().size for collection in ax.collections] == [512 * 128]
    assert 20 < len(ax.get_yticklabels()) < 200


def test_a_saved_trace_is_plotted_without_torch(tmp_path):
    texts = ["\n", " deliber", "日"]
    trace = fake_trace(texts, columns=4).assign_coords(
        token_id=("token", np.arange(3)), is_generated=("token", np.zeros(3, bool))
    )
    trace["step_size"] = trace.distance
    from latentkit.trace import save_trace

    save_trace(trace, tmp_path / "trace.nc")
    program = f"""
import sys
sys.modules["torch"] = None
import matplotlib
matplotlib.use("Agg")
from latentkit.plot import plot_convergence
from latentkit.trace import open_trace
ax = plot_convergence(open_trace({str(tmp_path / "trace.nc")!r}))
print(ascii([label.get_text() for label in ax.get_yticklabels()]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == ascii(["↵", " deliber", "U+65E5"]) + "\n", done.stderr


def test_importing_the_package_does_not_import_matplotlib():
    program = "import sys, latentkit.plot; dir(latentkit.plot); print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_every_public_name_is_there_and_no_other():
    import latentkit.plot

    assert all(callable(getattr(latentkit.plot, name)) for name in latentkit.plot.__all__)
    assert set(latentkit.plot.__all__) <= set(dir(latentkit.plot))
    with pytest.raises(AttributeError, match=r"^No latentkit.plot attribute plot_nothing$"):
        _ = latentkit.plot.plot_nothing


# Errors

HAS = "This trace has tokens 0 to 9: pass a slice within slice(0, 10)."


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((2, 5), f"`tokens` must be a slice such as slice(0, 10), got (2, 5). {HAS}"),
        (3, f"`tokens` must be a slice such as slice(0, 10), got 3. {HAS}"),
        (slice(2.0, 5), f"`tokens` must be a slice of whole numbers, got slice(2.0, 5, None). {HAS}"),
        (slice("a"), f"`tokens` must be a slice of whole numbers, got slice(None, 'a', None). {HAS}"),
        (slice(5, 5), f"`tokens` selects nothing: slice(5, 5, None). {HAS}"),
        (slice(7, 3), f"`tokens` selects nothing: slice(7, 3, None). {HAS}"),
        (slice(182, 241), f"`tokens` selects nothing: slice(182, 241, None). {HAS}"),
        (slice(None, -10), f"`tokens` selects nothing: slice(None, -10, None). {HAS}"),
        (
            slice(None, None, -1),
            f"`tokens` must have a step of at least 1, got slice(None, None, -1). {HAS}",
        ),
        (slice(0, 5, 0), f"`tokens` must have a step of at least 1, got slice(0, 5, 0). {HAS}"),
    ],
)
def test_a_slice_that_cannot_be_taken_is_refused(tokens, message):
    with pytest.raises(ArgumentError) as raised:
        plot_convergence(fake_trace(words(10)), tokens=tokens)
    assert str(raised.value) == message
    assert plt.get_fignums() == []


def test_a_part_of_a_trace_names_its_own_positions():
    with pytest.raises(ArgumentError) as raised:
        plot_convergence(fake_trace(words(3), first=182), tokens=slice(0, 3))
    assert str(raised.value) == (
        "`tokens` selects nothing: slice(0, 3, None). "
        "This trace has tokens 182 to 184: pass a slice within slice(182, 185)."
    )


@pytest.mark.parametrize("value", [0, -1, np.inf, np.nan, "1", (1, 2)])
@pytest.mark.parametrize("name", ["vmin", "vmax"])
def test_an_end_of_the_colour_scale_that_is_no_positive_number_is_refused(name, value):
    with pytest.raises(ArgumentError) as raised:
        plot_convergence(fake_trace(words(1)), **{name: value})
    assert str(raised.value) == (
        f"`{name}` must be a number above 0, because the colour scale is logarithmic; got {value!r}."
    )
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("limits", "given"),
    [({"vmin": 2, "vmax": 1}, "2 and 1"), ({"vmin": 60}, "60 and 50"), ({"vmax": 4}, "5 and 4")],
)
def test_a_colour_scale_whose_ends_are_reversed_is_refused(limits, given):
    with pytest.raises(ArgumentError) as raised:
        plot_convergence(fake_trace(words(1), [[50, 5]]), **limits)
    assert str(raised.value) == (
        f"`vmin` must be less than `vmax`, got {given}. A limit that is not passed is the smallest or the "
        "largest value shown."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbol": "z"}, "No symbol named 'z'. Known: 's', 'x'."),
        ({"symbol": ["x"]}, "No symbol named ['x']. Known: 's', 'x'."),
        ({"ax": 3}, "`ax` must be matplotlib Axes or None, got int."),
    ],
)
def test_other_arguments_are_checked(arguments, message):
    with pytest.raises(ArgumentError) as raised:
        plot_convergence(fake_trace(words(1)), **arguments)
    assert str(raised.value) == message


LACKS = "The dataset has no '{}'; it has {}. Pass a trace from `run_recurrence`."
SHAPE = (
    "Expected 'distance' over ('token', 'iteration') with at least one of each, got {}. Select one of every "
    "other dimension, as in `trace.sel(seed=0)`, and keep these two, as in `trace.isel(token=[5])`."
)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda trace: trace.distance,
            "Expected a trace (an xarray.Dataset), got DataArray. Pass the result of run_recurrence.",
        ),
        (
            lambda trace: trace.assign_attrs(kind="layers"),
            "Expected a trace of the kind 'recurrence', got one of the kind 'layers'. Pass the result of "
            "run_recurrence.",
        ),
        (
            lambda trace: trace.drop_vars("distance"),
            LACKS.format("distance", ["iteration", "token", "token_text"]),
        ),
        (
            lambda trace: trace.drop_vars("token_text"),
            LACKS.format("token_text", ["distance", "iteration", "token"]),
        ),
        (lambda trace: trace.isel(token=0), SHAPE.format({"iteration": 65})),
        (lambda trace: trace.isel(token=[]), SHAPE.format({"token": 0, "iteration": 65})),
        (
            lambda trace: trace.expand_dims(seed=2),
            SHAPE.format({"seed": 2, "token": 2, "iteration": 65}),
        ),
    ],
)
def test_what_is_no_trace_is_refused(spoil, message):
    with pytest.raises(TraceError) as raised:
        plot_convergence(spoil(fake_trace(words(2))))
    assert str(raised.value) == message


def test_limits_of_no_trace_are_refused():
    with pytest.raises(ArgumentError) as raised:
        color_limits()
    assert str(raised.value) == (
        "`color_limits` needs at least one result, got none. Pass those whose figures you compare."
    )


# Words


def test_the_alt_text_says_what_the_picture_shows():
    distance = [[100, 10, 0.5, 0.4], [80, 40, 20, 10], [50, 0.4, 0.1, 0.1]]
    trace = fake_trace([" I", "\n", " am"], distance, first=74)
    ax = plot_convergence(trace)
    assert alt_text(ax) == describe_convergence(trace)
    assert alt_text(ax) == (
        "Heatmap of the distance of each token's latent state from its limit, the state after 128 "
        "iterations: 3 tokens, from 74 “ I” to 76 “ am”, from top to bottom, iterations 0 to 3 from left to "
        "right, colour on a logarithmic scale. Distances range from 0.1 to 100; the median over tokens goes "
        "from 80 to 0.4. The slowest token, 75 “↵”, is still at 0.12 of its first distance at the end."
    )


def test_the_slowest_token_is_the_last_to_stay_below_a_hundredth_for_good():
    # The first falls below at once but comes back; the second falls once and later; the third never rises.
    distance = [[100, 0.5, 2, 0.5, 0.5], [100, 50, 50, 50, 0.5], [100, 0.1, 0.1, 0.1, 0.1]]
    trace = fake_trace(["a", "b", "c"], distance)
    assert describe_convergence(trace).endswith(
        "The slowest token, 1 “b”, stays below 1 % of its first distance from iteration 4."
    )
    assert describe_convergence(trace.isel(token=[0, 2])).endswith(
        "The slowest token, 0 “a”, stays below 1 % of its first distance from iteration 3."
    )
    assert describe_convergence(trace.isel(iteration=[4])).endswith("Distances range from 0.1 to 0.5.")


def test_without_iteration_0_no_slowest_token_is_named():
    trace = fake_trace(["a", "b"], [[100, 50, 0.9, 0.8], [100, 0.9, 0.9, 0.9]])
    assert "slowest" in describe_convergence(trace)
    assert "slowest" not in describe_convergence(trace.sel(iteration=slice(1, None)))


def test_the_alt_text_follows_the_slices():
    text = alt_text(plot_convergence(fake_trace(words(300), columns=33), tokens=slice(182, 241)))
    assert "59 tokens, from 182 “ w182” to 240 “ w240”, from top to bottom, iterations 0 to 32" in text


def test_unknown_distances_are_not_counted():
    trace = fake_trace(words(2), np.full((2, 3), np.nan))
    assert describe_convergence(trace).endswith("No distance is known.")
    trace = fake_trace(words(2), [[9, 8, 7], [3, np.nan, np.nan]])
    assert "Distances range from 3 to 9; the median over tokens goes from 6 to 7." in describe_convergence(
        trace
    )


def test_a_figure_speaks_for_all_its_axes():
    _, (one, other) = plt.subplots(1, 2)
    plot_convergence(fake_trace(["a", "b"]), ax=one)
    plot_convergence(fake_trace(["c", "d"]), ax=other)
    assert alt_text(one.figure) == alt_text(one) + "\n" + alt_text(other)


@pytest.mark.parametrize("ask", [alt_text, with_alt])
def test_pictures_of_others_have_no_alt_text(ask):
    _, ax = plt.subplots()
    with pytest.raises(ArgumentError) as raised:
        ask(ax)
    assert str(raised.value) == (
        f"No alt text is known for the picture {ax!r}. Pass the axes that a `plot_` function of latentkit "
        "returned, or their figure."
    )


def parts_of(shown):
    data, metadata = DisplayFormatter().format(shown)
    return data, metadata


@pytest.mark.parametrize("show", [lambda ax: ax.figure, with_alt], ids=["figure", "with_alt"])
def test_a_notebook_shows_the_picture_with_its_alt_text(show):
    ax = plot_convergence(fake_trace(['"><script>', "b"]))
    text = alt_text(ax)
    data, metadata = parts_of(show(ax))
    assert data["text/plain"] == text
    assert metadata["image/png"]["alt"] == text
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/html"].startswith(f'<img alt="{html.escape(text)}" width="')
    assert f'src="data:image/png;base64,{data["image/png"]}"><style>' in data["text/html"]
    assert data["text/html"].endswith("</style>")
    assert "<script" not in data["text/html"]


def test_with_alt_closes_the_figure_and_keeps_the_picture():
    _, ax = plt.subplots(figsize=(4, 3))
    plot_convergence(fake_trace(["a", "b"]), ax=ax)
    shown = with_alt(ax)
    assert plt.get_fignums() == []
    assert repr(shown) == shown.alt == alt_text(ax)
    with Image.open(io.BytesIO(shown.png)) as image:
        assert image.text["Description"] == shown.alt


def test_a_picture_for_a_notebook_is_small_and_keeps_its_colours():
    slow = 100 * np.exp(-np.linspace(0.05, 0.2, 59)[:, None] * np.arange(65))
    figure = plot_convergence(fake_trace(words(59), slow, first=182)).figure
    for _ in range(2):  # the layout comes to rest in the second
        whole = io.BytesIO()
        figure.savefig(whole, format="png", dpi=100, bbox_inches="tight")
    shown = with_alt(figure)
    outputs = sum(len(str(data)) for data in shown._repr_mimebundle_()[0].values())
    assert outputs < 130_000, "five of them are far below half a megabyte"
    with Image.open(whole) as one, Image.open(io.BytesIO(shown.png)) as other:
        assert other.mode == "P"
        apart = np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int)
    assert np.abs(apart).max() <= 6


def test_a_transparent_figure_stays_transparent():
    _, ax = plt.subplots(facecolor="none")
    plot_convergence(fake_trace(["a", "b"]), ax=ax)
    with Image.open(io.BytesIO(with_alt(ax).png)) as image:
        assert image.getpixel((0, 0))[3] == 0


def test_a_figure_put_to_another_use_is_shown_as_any_other():
    ax = plot_convergence(fake_trace(["a", "b"]))
    figure = ax.figure
    figure.clear()
    figure.add_subplot()
    data, _ = parts_of(figure)
    assert "text/html" not in data


def dark_pixels(ax):
    shown = with_alt(ax)
    with Image.open(io.BytesIO(shown.png)) as light, Image.open(io.BytesIO(shown.dark_png)) as dark:
        return np.asarray(light.convert("RGB"), int), np.asarray(dark.convert("RGB"), int)


def test_the_dark_variant_has_light_letters_on_a_dark_page_and_the_same_cells():
    light, dark = dark_pixels(plot_convergence(fake_trace(words(12))))
    assert light[0, 0].tolist() == [255, 255, 255]
    assert dark[0, 0].tolist() == [17, 17, 17]
    letters = (light < 60).all(-1) & (np.ptp(light, axis=-1) < 5)
    assert dark[letters].min() > 180
    coloured = np.ptp(light, axis=-1) > 60  # viridis
    assert coloured.sum() > 10_000
    same = (np.abs(light - dark)[coloured] <= 6).all(-1)  # the two palettes differ a little
    assert same.mean() > 0.99


def test_blank_cells_are_dark_in_the_dark_variant():
    trace = fake_trace(words(12))
    trace.distance[:, -8:] = np.nan
    light, dark = dark_pixels(plot_convergence(trace))
    height, width = light.shape[:2]
    middle = (slice(height // 3, height // 2), slice(int(0.77 * width), int(0.81 * width)))
    assert (light[middle] == 255).all()
    assert (dark[middle] == 17).all()


def test_the_triangle_of_a_colour_bar_keeps_its_colour_in_the_dark_variant():
    light, dark = dark_pixels(plot_convergence(fake_trace(words(12)), vmin=5, vmax=100))
    lowest = (np.abs(light - [68, 1, 84]) <= 6).all(-1)  # the lower end of viridis
    rows, columns = np.nonzero(lowest)
    triangle = columns > 0.8 * light.shape[1]
    assert triangle.sum() > 100
    found = dark[rows[triangle], columns[triangle]]
    assert (np.abs(found - [68, 1, 84]) <= 12).all(-1).mean() > 0.9


def test_only_a_dark_page_on_a_screen_shows_the_dark_variant():
    shown = with_alt(plot_convergence(fake_trace(["a", "b"])))
    written = shown.to_html()
    style = written[written.index("<style>") :]
    assert style.startswith('<style>@media screen{[data-jp-theme-light="false"] .lk-')
    assert base64.b64encode(shown.dark_png).decode() in style
    assert "<style>" not in shown.to_html(dark=False)


def test_iterations_beyond_training_are_marked_and_the_note_says_so():
    trace = fake_trace(words(2)).assign_coords(is_extrapolated=("iteration", np.arange(65) > 4))
    for draw in (plot_convergence, plot_distance):
        ax = draw(trace)
        (line,) = [line for line in ax.lines if line.get_gid() == "trained"]
        assert line.get_xdata() == [4.5, 4.5]
        assert note(ax).endswith("right of the dashed line: more iterations than in training (4)")
        part = draw(trace.sel(iteration=slice(0, 4)))
        assert not [line for line in part.lines if line.get_gid() == "trained"]
        assert "training" not in note(part)

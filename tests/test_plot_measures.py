"""Curves of distances, bars of settling, paths of states: what is drawn, and what it says in words."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt

import latentkit as lk
from latentkit import measure
from latentkit.errors import ArgumentError, TraceError
from latentkit.plot import alt_text, plot_distance, plot_settling, plot_trajectory, with_alt

HOSTILE = [
    "$x_1$",
    "<script>alert(1)</script>",
    "\n",
    "\0",
    "\ud800",
    "<0xE2>",
    "🐙",
    "مرحبا",
    "a" * 200,
    "_x",
]


@pytest.fixture(autouse=True)
def _no_figure_is_left_open() -> Any:
    yield
    plt.close("all")


def made(
    texts: Any = (" a", "b", "c"), rates: Any = (0.5, 0.8, 0.99), seeds: int = 0, **attrs: Any
) -> xr.Dataset:
    """Distances 100 · rate^i (times 1, 2, 3 … by seed), and states to match."""
    rates = np.resize(rates, len(texts))
    kind = str if any("\ud800" <= c <= "\udfff" for text in texts for c in text) else object
    iteration = np.arange(33)
    distance = 100 * rates[:, None] ** iteration
    directions = np.random.default_rng(0).normal(size=(len(texts), 1, 6))
    trace = xr.Dataset(
        {
            "distance": (("token", "iteration"), distance, {"long_name": "‖s_i − s*‖"}),
            "state": (("token", "iteration", "hidden"), distance[..., None] * directions),
        },
        {
            "token": np.arange(len(texts)),
            "iteration": iteration,
            "token_text": ("token", np.array(list(texts), dtype=kind)),
        },
        {"kind": "recurrence", "limit": 128, "dtype": "float32", **attrs},
    )
    if not seeds:
        return trace
    parts = [trace.assign(distance=trace.distance ** (1 + 0.1 * seed)) for seed in range(seeds)]
    return xr.concat(parts, "seed", data_vars=["distance", "state"]).assign_coords(seed=np.arange(seeds))


PLOTS = [plot_distance, plot_settling, plot_trajectory]


# Curves


def test_each_token_has_a_curve_of_its_distances_on_a_logarithmic_axis() -> None:
    trace = made()
    ax = plot_distance(trace)
    for row, line in enumerate(ax.get_lines()):
        np.testing.assert_array_equal(line.get_xdata(), trace.iteration)
        np.testing.assert_array_equal(line.get_ydata(), trace.distance[row])
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Iterations at Test Time", "‖s_i − s*‖")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0  a", "1 b", "2 c"]


def test_a_curve_over_seeds_is_the_geometric_mean_with_its_interval() -> None:
    trace = made(seeds=3)
    ax = plot_distance(trace)
    log = np.log(trace.distance.transpose("seed", "token", "iteration").values)
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), np.exp(log.mean(0)[1]))
    half = 4.302653 * log.std(0, ddof=1) / np.sqrt(3)
    edge = ax.collections[1].get_paths()[0].vertices
    assert np.isclose(edge[:, 1].max(), np.exp(log.mean(0) + half)[1].max(), rtol=1e-4)
    assert "geometric means over 3 seeds with 95 % intervals" in alt_text(ax)
    assert f"to {np.exp(log.mean(0)).max():.3g}; the median" in alt_text(ax)


def test_many_curves_are_coloured_by_position_with_a_bar_instead_of_a_legend() -> None:
    ax = plot_distance(made([f"t{i}" for i in range(30)]))
    assert ax.get_legend() is None
    assert ax.figure.axes[1].get_ylabel() == "position in the sequence"


def test_zeros_and_unknown_distances_are_gaps() -> None:
    trace = made()
    trace.distance[0, 3], trace.distance[0, 5], trace.distance[0, 7] = 0, np.nan, np.inf
    assert np.isnan(plot_distance(trace).get_lines()[0].get_ydata()).nonzero()[0].tolist() == [3, 5, 7]


def test_the_floor_of_bfloat16_is_a_dashed_line() -> None:
    ax = plot_distance(made(dtype="bfloat16", hidden_size=5280))
    assert ax.get_lines()[-1].get_ydata()[0] == measure.noise_floor("bfloat16", 5280)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0  a", "1 b", "2 c"]
    assert any("floor of bfloat16: 0.29 (dashed)" in text.get_text() for text in ax.texts)


def test_a_legend_with_arabic_draws_without_a_warning_and_keeps_each_position_on_the_left() -> None:
    texts = ["مرحبا", " مرحبا", "abc مرحبا 12"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot_distance(made(texts, seeds=2))
        ax.figure.canvas.draw()
        with_alt(ax)
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["\u200e0 مرحبا", "\u200e1 ␣مرحبا", "\u200e2 abc مرحبا 12"]


def test_a_legend_names_its_own_lines_on_axes_that_hold_others() -> None:
    _, ax = plt.subplots()
    (before,) = ax.plot([0, 32], [1, 1], color="red")
    plot_distance(made(dtype="bfloat16", hidden_size=5280), ax=ax)
    drawn = [line for line in ax.get_lines() if len(line.get_xdata()) == 33]
    handles = ax.get_legend().legend_handles
    assert [handle.get_color() for handle in handles] == [line.get_color() for line in drawn]
    assert len({line.get_color() for line in (before, *drawn)}) == 4
    after = [line.get_color() for line in ax.get_lines()]
    plot_distance(made(["d"]), ax=ax)
    assert ax.get_legend().legend_handles[0].get_color() == ax.get_lines()[-1].get_color()
    assert [line.get_color() for line in ax.get_lines()[: len(after)]] == after


# Bars


def bars(ax: Any) -> list[tuple[float, float, bool]]:
    return sorted((round(b.get_y() + 0.4), b.get_width(), bool(b.get_hatch())) for b in ax.patches)


def test_a_bar_ends_where_its_token_settles_and_one_that_never_does_is_hatched() -> None:
    ax = plot_settling(made())
    assert bars(ax) == [(0, 7, False), (1, 21, False), (2, 32, True)]
    assert [label.get_text() for label in ax.get_yticklabels()] == [" a", "b", "c"]
    assert ax.get_legend().get_texts()[0].get_text() == "not settled"
    assert ax.get_ylim() == (2.5, -0.5)
    assert alt_text(ax) == (
        "Bars of the iteration from which each of 3 tokens has settled: its distance stays below 0.01 of the "
        "first distance. The median of those that settle is 14; the latest of them is 1 “b” at 21. "
        "1 did not settle by iteration 32: 2 “c”."
    )


def test_thresholds_and_slices_are_those_of_the_measure() -> None:
    ax = plot_settling(made(), tokens=slice(1, 9), threshold=75)
    assert bars(ax) == [(0, 2, False), (1, 29, False)]
    assert ax.get_legend() is None


def test_bars_over_seeds_are_means_and_a_seed_that_never_settles_shows() -> None:
    trace = made(rates=(0.5, 0.8, 0.866), seeds=3)
    settled = lk.settling_iteration(trace)
    ax = plot_settling(trace)
    assert settled.isnull().any("seed").values.tolist() == [False, False, True]
    assert not settled.isnull().all("seed").any()
    found = bars(ax)
    np.testing.assert_allclose([width for _, width, _ in found[:2]], settled.mean("seed")[:2])
    assert found[2][2]
    assert ax.get_legend().get_texts()[0].get_text() == "not settled with every seed"


# Paths


def test_points_are_the_scores_and_their_colour_the_iteration() -> None:
    trace = made()
    fitted = lk.principal_components(trace, components=2)
    ax = plot_trajectory(fitted.isel(iteration=slice(3, None)), components=(2, 1), tokens=slice(0, 2))
    score = fitted.score.isel(token=slice(0, 2), iteration=slice(3, None))
    assert len(ax.get_lines()) == 2
    np.testing.assert_allclose(ax.get_lines()[1].get_xdata(), score[1].sel(component=2), atol=1e-9)
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), score[1].sel(component=1), atol=1e-9)
    np.testing.assert_array_equal(ax.collections[0].get_array(), np.arange(3, 33))
    assert ax.get_xlabel() == f"PC2 ({100 * fitted.explained[1].item():.0f} % of the variance)"
    assert [text.get_text().strip() for text in ax.texts] == ["a", "b"]


@pytest.mark.parametrize("components", [(1, 2), (1, 2, 3)])
def test_the_ring_at_the_end_of_a_way_has_the_colour_of_its_iteration(components: Any) -> None:
    ax = plot_trajectory(made(["a"]).sel(iteration=slice(3, 8)), components=components)
    way, ring = ax.collections
    assert ring.get_array().tolist() == [8]
    assert way.get_clim() == ring.get_clim() == (3, 8)
    assert ring.get_zorder() > way.get_zorder()


def test_three_components_are_drawn_in_space() -> None:
    ax = plot_trajectory(made(), components=(1, 2, 3))
    assert ax.name == "3d"
    assert ax.get_zlabel().startswith("PC3 (")
    assert "in PC1, PC2 and PC3" in alt_text(ax)


def test_figures_of_one_fit_share_their_axes_and_seeds_are_paths_of_their_own() -> None:
    trace = made(seeds=2)
    fitted = lk.principal_components(trace)
    ax = plot_trajectory(fitted, tokens=slice(0, 1))
    assert len(ax.get_lines()) == 2
    score = fitted.score.transpose("seed", "token", "iteration", "component")
    np.testing.assert_allclose(ax.get_lines()[1].get_xdata(), score[1, 0, :, 0])


@pytest.mark.parametrize("components", [(1,), (1, 1), (0, 1), (1, 2, 3, 4), 2, ("a", "b")])
def test_components_that_are_none_are_refused(components: Any) -> None:
    with pytest.raises(ArgumentError) as raised:
        plot_trajectory(made(), components=components)
    assert str(raised.value) == (
        f"`components` must be two or three different numbers from 1, such as (1, 2), got {components!r}."
    )


def test_flat_axes_and_too_few_components_are_refused() -> None:
    with pytest.raises(ArgumentError) as raised:
        plot_trajectory(made(), components=(1, 2, 3), ax=plt.subplots()[1])
    assert str(raised.value) == (
        'Three components need axes made with projection="3d". Pass such axes, or two components.'
    )
    with pytest.raises(ArgumentError) as raised:
        plot_trajectory(lk.principal_components(made(), components=2), components=(1, 3))
    assert str(raised.value) == "`components` asks for PC3, but only 2 were fitted."


# Two runs


def test_distances_between_two_runs_are_called_so_in_words() -> None:
    gap = lk.trace_distance(made(), made(rates=(0.4, 0.7, 0.9))).to_dataset(name="distance")
    words = alt_text(lk.plot_convergence(gap))
    assert words.startswith(
        "Heatmap of the distance of each token's latent states in two runs: 3 tokens, from"
    )


# All of them


@pytest.mark.parametrize("plot", PLOTS)
def test_hostile_tokens_are_data(plot: Any, tmp_path: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot(made(HOSTILE))
        ax.figure.savefig(tmp_path / "tokens.svg")
        html = with_alt(ax)._repr_mimebundle_()[0]["text/html"]
    assert "<script" not in (tmp_path / "tokens.svg").read_text() + html
    shown = [text for text in ax.figure.findobj(mpl.text.Text) if "x_1" in text.get_text()]
    assert shown
    assert not any(text.get_parse_math() or text.get_usetex() for text in shown)


@pytest.mark.parametrize("plot", PLOTS)
@settings(max_examples=12, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=()), max_size=20), min_size=1, max_size=4))
def test_any_tokens_draw_without_a_warning(plot: Any, texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot(made(texts))
        ax.figure.canvas.draw()
        assert alt_text(ax)
    plt.close("all")


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_uses_given_axes_and_leaves_trace_and_style_alone(plot: Any) -> None:
    figure, ax = plt.subplots()
    trace = made()
    copy, style = trace.copy(deep=True), dict(mpl.rcParams)
    assert plot(trace, ax=ax) is ax
    xr.testing.assert_identical(trace, copy)
    assert dict(mpl.rcParams) == style
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("plot", PLOTS)
def test_a_single_token_with_equal_states_draws(plot: Any) -> None:
    trace = made(["a"], [1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot(trace).figure.canvas.draw()


@pytest.mark.parametrize("plot", PLOTS)
def test_what_is_no_trace_and_no_slice_is_refused(plot: Any) -> None:
    with pytest.raises(TraceError):
        plot(xr.Dataset())
    with pytest.raises(ArgumentError, match="`tokens` selects nothing"):
        plot(made(), tokens=slice(3, 9))
    with pytest.raises(ArgumentError, match=r"^`ax` must be matplotlib Axes or None, got int\.$"):
        plot(made(), ax=3)
    assert plt.get_fignums() == []

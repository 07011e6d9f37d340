"""Sliders over trajectories of states: what they show at each position, on axes that stay."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sliders_for_tests import alt, recorded, sliders
from test_plot_measures import HOSTILE, made

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.plot import plot_trajectory, with_alt

TEXTS = [f" t{i}" for i in range(8)]


@pytest.fixture
def drawn(monkeypatch):
    """The axes that were drawn, the latest last."""
    return recorded(monkeypatch, "trajectory", plot_trajectory)


def test_it_starts_with_the_last_tokens_and_all_iterations():
    trace = made(TEXTS)
    box = lk.slide(trace, "trajectory")
    assert {name: slider.value for name, slider in sliders(box).items()} == {
        "Iterations": 32,
        "Tokens": (2, 7),
    }
    assert alt(box) == with_alt(plot_trajectory(lk.principal_components(trace), tokens=slice(2, 8))).alt


def test_it_shows_the_iterations_and_tokens_of_the_sliders():
    box = lk.slide(made(TEXTS), "trajectory", tokens=slice(1, 4), iteration=5)
    assert "latent states of 3 tokens in" in alt(box)
    assert "from 0 to 5." in alt(box)
    sliders(box)["Iterations"].value = 9
    sliders(box)["Tokens"].value = (2, 2)
    assert "latent states of 1 token in" in alt(box)
    assert "from 0 to 9." in alt(box)


def test_tokens_of_a_part_of_a_trace_keep_their_positions():
    box = lk.slide(made(TEXTS).isel(token=slice(3, 8)), "trajectory", tokens=slice(4, 6))
    assert sliders(box)["Tokens"].value == (4, 5)
    assert (sliders(box)["Tokens"].min, sliders(box)["Tokens"].max) == (3, 7)


@pytest.mark.parametrize("components", [(1, 2), (3, 1, 2)])
def test_axes_and_colours_stay_where_they_are(drawn, components):
    box = lk.slide(made(TEXTS), "trajectory", components=components)
    sliders(box)["Iterations"].value = 3
    sliders(box)["Tokens"].value = (0, 1)
    assert len(drawn) == 3
    for name in ("get_xlim", "get_ylim", "get_zlim")[: len(components)]:
        assert len({getattr(ax, name)() for ax in drawn}) == 1
    colours = {
        points.get_clim() for ax in drawn for points in ax.collections if points.get_array() is not None
    }
    assert colours == {(0, 32)}
    score = lk.principal_components(made(TEXTS)).score.sel(component=components[0])
    assert drawn[-1].get_xlim()[0] < score.min() < score.max() < drawn[-1].get_xlim()[1]


def test_a_picture_in_space_can_be_turned_and_a_flat_one_has_no_slider_for_it(drawn):
    box = lk.slide(made(TEXTS), "trajectory", components=(1, 2, 3))
    sliders(box)["Turn"].value = 45
    assert [ax.azim for ax in drawn] == [300, 45]
    assert "Turn" not in sliders(lk.slide(made(TEXTS), "trajectory"))


def test_components_that_were_fitted_before_are_used_as_they_are(drawn):
    fitted = lk.principal_components(made(TEXTS))
    lk.slide(fitted.isel(token=slice(0, 2)))
    np.testing.assert_array_equal(
        drawn[-1].get_lines()[1].get_xdata(), fitted.score.sel(component=1)[1].values
    )


def test_no_figure_stays_open_after_any_number_of_changes():
    box = lk.slide(made(TEXTS), "trajectory")
    for iteration in (0, 1, 2):
        sliders(box)["Iterations"].value = iteration
    assert plt.get_fignums() == []


def test_tokens_are_data():
    box = lk.slide(made(HOSTILE), "trajectory", tokens=slice(0, 10))
    assert "<script" not in box.children[-1].value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"components": (1,)},
            "`components` must be two or three different numbers from 1, such as (1, 2), got (1,).",
        ),
        ({"iteration": 33}, "iteration is 33; pass a whole number from 0 to 32."),
        (
            {"tokens": slice(8, 9)},
            "`tokens` selects nothing: slice(8, 9, None). This trace has tokens 0 to 7: pass a slice within "
            "slice(0, 8).",
        ),
    ],
)
def test_what_is_not_there_is_refused(options, message):
    with pytest.raises(ArgumentError) as raised:
        lk.slide(made(TEXTS), "trajectory", **options)
    assert str(raised.value) == message


def test_a_trace_without_states_is_refused():
    with pytest.raises(TraceError) as raised:
        lk.slide(made().drop_vars("state"), "trajectory")
    assert str(raised.value) == ("This trace has no latent states. Run with keep_states=True.")

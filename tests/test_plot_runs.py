"""Several runs in one picture: what is drawn of each, and where its number format ends the approach."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from test_plot_measures import HOSTILE, made

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.plot import alt_text, plot_runs, with_alt

TEXT = "The cat sat on the mat."


@pytest.fixture(autouse=True)
def _no_figure_is_left_open() -> Any:
    yield
    plt.close("all")


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_line_is_the_median_of_the_tokens_and_the_band_their_middle() -> None:
    slow, fast = made(rates=(0.9, 0.8, 0.7)), made(rates=(0.3, 0.2, 0.1))
    ax = plot_runs({"slow": slow, "fast": fast})
    for line, trace in zip(ax.get_lines(), (slow, fast), strict=True):
        np.testing.assert_allclose(line.get_ydata(), trace.distance.median("token"))
        np.testing.assert_array_equal(line.get_xdata(), trace.iteration)
    edge = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(edge[:, 1].min(), np.percentile(slow.distance[:, -1], 10))
    assert (ax.get_yscale(), legend(ax)) == ("log", ["slow", "fast"])
    assert alt_text(ax).endswith("fast: the median goes from 100 at iteration 0 to 4.29e-21 at iteration 32.")


def test_a_run_in_bfloat16_shows_the_floor_expected_and_the_one_it_came_to() -> None:
    trace = made(rates=(0.5, 0.5, 0.9), dtype="bfloat16", hidden_size=256)
    trace.distance[:] = np.maximum(trace.distance, 0.08)
    ax = plot_runs({"exact": made(), "coarse": trace})
    heights = {label: line.get_ydata()[0] for label, line in zip(legend(ax), ax.get_lines(), strict=True)}
    assert heights == {
        "exact": 100,
        "coarse": 100,
        "coarse: floor expected, 0.064": lk.noise_floor("bfloat16", 256),
        "coarse: floor measured, 0.08": lk.measured_floor(trace).median(),
    }
    assert alt_text(ax).endswith("Its floor is 0.08 as measured, where 0.004·√hidden is 0.064.")


def test_a_slice_selects_the_same_tokens_of_every_run() -> None:
    ax = plot_runs({"a": made(), "b": made()}, tokens=slice(1, 2))
    for line in ax.get_lines():
        np.testing.assert_allclose(line.get_ydata(), 100 * 0.8 ** np.arange(33))


def test_zeros_and_unknown_distances_are_gaps() -> None:
    trace = made(["a"])
    trace.distance[0, 3], trace.distance[0, 5], trace.distance[0, 7] = 0, np.nan, np.inf
    assert np.isnan(plot_runs({"a": trace}).get_lines()[0].get_ydata()).nonzero()[0].tolist() == [3, 5, 7]


def test_both_controls_stand_in_one_figure_with_the_floor_measured_beside_the_one_expected() -> None:
    # long enough for the untrained model, which comes to rest slowly
    options: dict[str, Any] = {"iterations": 192, "limit": 384, "readout_top": 0, "progress": False}
    runs = {
        "nano": lk.run_recurrence(lk.load_model("nano"), TEXT, **options),
        "nano in bfloat16": lk.run_recurrence(lk.load_model("nano", dtype="bfloat16"), TEXT, **options),
        "nano-untrained": lk.run_recurrence(lk.load_model("nano-untrained"), TEXT, **options),
    }
    ax = plot_runs(runs)
    assert [label.partition(",")[0] for label in legend(ax)] == [
        "nano",
        "nano in bfloat16",
        "nano in bfloat16: floor expected",
        "nano in bfloat16: floor measured",
        "nano-untrained",
    ]
    expected = lk.noise_floor("bfloat16", 256)
    measured = {name: lk.measured_floor(run).median().item() for name, run in runs.items()}
    assert expected / 8 < measured["nano in bfloat16"] < expected * 8
    assert max(measured["nano"], measured["nano-untrained"]) < measured["nano in bfloat16"] / 10


@pytest.mark.parametrize("runs", [{}, {str(i): None for i in range(11)}, [1]])
def test_what_is_no_set_of_runs_is_refused(runs: Any) -> None:
    with pytest.raises(ArgumentError) as raised:
        plot_runs(runs)
    given = "list" if isinstance(runs, list) else f"{len(runs)} runs"
    assert str(raised.value) == (f'Expected one to 10 runs by name, such as {{"nano": trace}}, got {given}.')
    with pytest.raises(TraceError):
        plot_runs({"nothing": xr.Dataset()})
    assert plt.get_fignums() == []


def test_names_are_data() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = ["$x_1$", "<script>", "_hidden"]
        ax = plot_runs({name: made(HOSTILE, dtype="bfloat16", hidden_size=6) for name in names})
        html = with_alt(ax)._repr_mimebundle_()[0]["text/html"]
    assert legend(ax)[::3] == names
    assert "<script" not in html
    shown = [text for text in ax.figure.findobj(mpl.text.Text) if "x_1" in text.get_text()]
    assert not any(text.get_parse_math() for text in shown)


def test_given_axes_are_used() -> None:
    figure, ax = plt.subplots()
    assert plot_runs({"a": made()}, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]

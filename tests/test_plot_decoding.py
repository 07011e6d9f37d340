"""Pictures of a decoding: what is drawn, what is written, and what is said in words."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from models_for_tests import Counter, tiny_model
from test_plot_layer_kl import fake as layers
from test_trace import HOSTILE

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.measure import exit_iteration
from latentkit.plot import alt_text
from latentkit.trace import build_trace


@pytest.fixture(autouse=True)
def _no_figure_is_left_open() -> Iterator[None]:
    yield
    plt.close("all")


def fake(ids: list[list[int]], texts: list[str], probability: Any = 0.5) -> xr.Dataset:
    """A decoding whose likeliest token at each iteration is given; -1 after an exit."""
    best = np.array(ids)[..., None]
    chance = np.where(
        best < 0, np.nan, np.broadcast_to(np.asarray(probability, float)[..., None], best.shape)
    )
    words = np.array([*texts, ""], dtype=object)
    last = np.array([[token for token in row if token >= 0][-1] for row in ids])
    found = {
        "generated_token": np.arange(len(ids)),
        "position": 10 + np.arange(len(ids)),
        "token_id": last,
        "token_text": words[last],
        "iteration": np.arange(best.shape[1]),
        "iterations_used": np.full(len(ids), best.shape[1] - 1),
        "distance": np.zeros(best.shape[:2]),
        "readout_id": best,
        "readout_text": words[best],
        "readout_probability": chance,
    }
    return build_trace("decoding", found, {})


def written(ax: Axes) -> list[tuple[float, float, str]]:
    """Place and text of what stands in the cells."""
    return [(float(text.xy[0]), float(text.xy[1]), text.get_text()) for text in ax.texts]  # type: ignore[attr-defined]


def test_the_mesh_holds_the_probability_of_the_likeliest_token() -> None:
    trace = lk.run_decoding(tiny_model(), [1, 2], new_tokens=3, iterations=5, progress=False)
    ax = lk.plot_decoding(trace)
    np.testing.assert_array_equal(ax.collections[0].get_array(), trace.readout_probability.isel(rank=0))
    assert ax.get_ylim() == (2.5, -0.5)
    assert ax.get_xlim() == (-0.5, 5.5)
    assert ax.collections[0].get_clim() == (0, 1)
    assert ax.get_xlabel() == "Iterations at Test Time"
    assert [label.get_text() for label in ax.get_yticklabels()] == trace.token_text.values.tolist()
    right = [label.get_text() for label in ax.child_axes[0].get_yticklabels()]
    assert right == ["2", "3", "4"]


def test_a_token_is_written_where_it_begins_to_be_the_likeliest() -> None:
    ax = lk.plot_decoding(fake([[0, 0, 1, 1, 1, 0], [2, 2, 2, 2, -1, -1]], [" a", "b", " c"]))
    assert written(ax) == [(-0.5, 0, "a"), (1.5, 0, "b"), (4.5, 0, "a"), (-0.5, 1, "c")]
    lines = [tuple(np.ravel(line.get_data())) for line in ax.lines]
    assert lines == [(1.5, 1.5, -0.5, 0.5), (4.5, 4.5, -0.5, 0.5)]  # none where an exit left blank cells


def test_cells_after_an_exit_are_blank() -> None:
    ax = lk.plot_decoding(fake([[0, 0, -1, -1]], ["a"]))
    assert ax.collections[0].get_array().mask.tolist() == [[False, False, True, True]]


def test_what_is_written_stays_within_its_cells() -> None:
    texts = ["W" * 40, "日本語" * 9, " the", "\n" * 30]
    for columns in (9, 65):
        ids = [[k % 4 for k in range(columns)], [0] * columns, [1] * (columns - 2) + [2, 2]]
        ax = lk.plot_decoding(fake(ids, texts))
        ax.figure.draw_without_rendering()
        starts = {(x, y) for x, y, _ in written(ax)}
        for text in ax.texts:
            x, y = text.xy  # type: ignore[attr-defined]
            later = [other for other, row in starts if row == y and other > x]
            end = min(later, default=columns - 0.5)
            allowed = ax.transData.transform((end, 0))[0]
            assert text.get_tightbbox().x1 <= allowed + 0.1, text.get_text()


def test_a_slice_selects_rows_and_xarray_columns() -> None:
    trace = lk.run_decoding(tiny_model(), [1, 2], new_tokens=4, iterations=5, progress=False)
    ax = lk.plot_decoding(trace.isel(iteration=slice(2, 4)), tokens=slice(1, 3))
    part = trace.isel(generated_token=slice(1, 3), iteration=slice(2, 4))
    np.testing.assert_array_equal(ax.collections[0].get_array(), part.readout_probability.isel(rank=0))


def test_texts_and_marks_stand_at_the_edges_of_the_cells_where_iterations_are_left_out() -> None:
    trace = fake([[0, 0, 0, 0, 1, 1, 1, 1, 1]], ["a", "b"]).isel(iteration=[0, 2, 4, 8])
    ax = lk.plot_decoding(trace)
    assert written(ax) == [(-1, 0, "a"), (3, 0, "b")]
    assert [tuple(line.get_xdata()) for line in ax.lines] == [(3, 3)]


def test_any_token_is_drawn_without_a_warning() -> None:
    ids = [list(np.roll(np.arange(len(HOSTILE)), shift)) for shift in range(len(HOSTILE))]
    trace = fake(ids, HOSTILE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = lk.plot_decoding(trace, title="")
        rank = lk.plot_rank(trace.isel(generated_token=-1), *HOSTILE)
        for text in (*ax.texts, *ax.get_yticklabels(), *rank.get_legend().get_texts()):
            assert not text.get_usetex()
            assert not text.get_parse_math()
        ax.figure.draw_without_rendering()
        rank.figure.draw_without_rendering()


def test_the_picture_in_words() -> None:
    trace = fake([[0, 1, 1, 1], [0, 0, 0, 2]], ["a", " b", "$c$"])
    assert alt_text(lk.plot_decoding(trace)) == (
        "Heatmap of the likeliest next token and its probability had the model stopped at each iteration: 2 "
        "new tokens from top to bottom, “ b” to “$c$”, iterations 0 to 3 from left to right, colour from 0 "
        "to 1. The likeliest token is the last one from iteration 2 on for the median token, and from "
        "iteration 3 on for the slowest, “$c$”."
    )


def test_ranks_are_drawn_from_one_with_gaps_where_they_are_not_known() -> None:
    trace = lk.run_decoding(
        Counter(), [1], new_tokens=2, iterations=4, readout_top=1, watch=[5], progress=False
    )
    ax = lk.plot_rank(trace.isel(generated_token=0), 3, 5)
    known, watched = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(known, [np.nan, np.nan, 1, np.nan, np.nan])
    np.testing.assert_array_equal(watched, trace.watched_rank[0, :, 0] + 1)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the likeliest is at the top
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["“<3>”", "“<5>”"]
    assert "“<3>” goes from rank 1 at 2 to rank 1 at 2; its best rank is 1, first at 2." in alt_text(ax)
    assert alt_text(ax).endswith("Ranks beyond 1 are unknown and left out.")


def test_ranks_through_lenses_stand_between_the_iterations() -> None:
    lens = lk.run_lens(tiny_model(), [1, 2], iterations=3, watch=[7], progress=False)
    ax = lk.plot_rank(lens, 7)
    coda, logit = ax.lines
    np.testing.assert_array_equal(coda.get_xdata(), [0.5, 1, 1.5, 2, 2.5, 3])
    wanted = lens.watched_rank.isel(watched=0).transpose("lens", "iteration", "block").values
    np.testing.assert_array_equal(coda.get_ydata(), wanted[0].ravel() + 1)
    np.testing.assert_array_equal(logit.get_ydata(), wanted[1].ravel() + 1)
    assert alt_text(ax).startswith("Rank of one token over the iterations; 1, the likeliest, is at the top.")


def test_exits_are_drawn_where_the_measure_says() -> None:
    trace = lk.run_decoding(tiny_model(), [1, 2], new_tokens=3, iterations=9, progress=False)
    thresholds = [0.5, 0.1, 0.01]
    ax = lk.plot_exits(trace, criteria={"kl": thresholds, "argmax-stability": [1, 3]})
    found = exit_iteration(trace, "kl", thresholds)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), found.saved.mean("generated_token"))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), found.kl.mean("generated_token"))
    default = exit_iteration(trace, "kl")
    assert ax.lines[1].get_xdata().item() == pytest.approx(default.saved.mean().item())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["kl", "argmax-stability"]
    assert "one for each of 2 exit criteria" in alt_text(ax)
    assert f"kl {default.saved.mean().item():.0%} for " in alt_text(ax)


def test_the_baseline_stops_every_token_at_the_same_iteration() -> None:
    trace = lk.run_decoding(tiny_model(), [1, 2], new_tokens=3, iterations=8, progress=False)
    ax = lk.plot_exits(trace, criteria=["kl"], baseline=True)
    line = ax.lines[-1]
    np.testing.assert_allclose(line.get_xdata(), 1 - np.arange(9) / 8)
    np.testing.assert_allclose(line.get_ydata(), trace.kl.mean("generated_token"))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["kl", "same for all"]
    costs = [f"{trace.kl.sel(iteration=i).mean().item():.2g} nats" for i in (2, 1)]
    assert alt_text(ax).endswith(
        "The same number of iterations for every token, a dashed line: "
        f"75% for {costs[0]}; 88% for {costs[1]}."
    )


def test_ranks_are_labelled_by_whole_numbers() -> None:
    for ids in ([[0, 1, 1]], [[3, 2, 1, 0]]):
        ax = lk.plot_rank(fake(ids, ["a", "b", "c", "d"]).isel(generated_token=0), "b")
        ax.figure.draw_without_rendering()
        labels = [label.get_text() for label in (*ax.get_yticklabels(), *ax.get_yticklabels(minor=True))]
        assert all(label.replace(",", "").isdigit() for label in labels if label)


def test_all_criteria_that_a_trace_has_numbers_for_are_drawn() -> None:
    decoding = lk.run_decoding(tiny_model(), [1, 2], new_tokens=2, iterations=5, progress=False)
    recurrence = lk.run_recurrence(tiny_model(), [1, 2, 3], iterations=5, limit=5, progress=False)
    drawn = [len(lk.plot_exits(trace).get_legend().get_texts()) for trace in (decoding, recurrence)]
    assert drawn == [7, 2]


def test_a_picture_goes_into_the_axes_it_is_given() -> None:
    trace = lk.run_decoding(tiny_model(), [1, 2], new_tokens=2, iterations=5, progress=False)
    _, axes = plt.subplots(1, 3)
    assert lk.plot_decoding(trace, ax=axes[0], colorbar=False) is axes[0]
    one = trace.isel(generated_token=1)
    assert lk.plot_rank(one, one.token_id.item(), ax=axes[1]) is axes[1]
    assert lk.plot_exits(trace, criteria=["kl"], ax=axes[2]) is axes[2]
    for ax in axes:
        json.dumps(alt_text(ax))


def test_pictures_refuse_what_they_cannot_draw() -> None:
    model = tiny_model()
    trace = lk.run_decoding(model, [1, 2], new_tokens=2, iterations=3, progress=False)
    bare = lk.run_decoding(model, [1, 2], new_tokens=2, iterations=3, readout_top=0, progress=False)
    recurrence = lk.run_recurrence(model, [1, 2], iterations=3, limit=3, progress=False)
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: lk.plot_decoding(recurrence), TraceError, "Expected a trace of the kind 'decoding', got one "
         "of the kind 'recurrence'. Pass the result of run_decoding."),
        (lambda: lk.plot_decoding([1]), TraceError, "Expected a trace (an xarray.Dataset), got list. Pass "
         "the result of run_decoding."),
        (lambda: lk.plot_decoding(layers()), TraceError, "Expected a trace of the kind 'decoding', got one "
         "of the kind 'layers'. Pass the result of run_decoding."),
        (lambda: lk.plot_exits(layers()), TraceError, "Expected a trace of the kind 'decoding' or "
         "'recurrence', got one of the kind 'layers'. Pass the result of run_decoding or run_recurrence."),
        (lambda: lk.plot_rank(layers(), 1), TraceError, "Expected a trace of the kind 'decoding' or "
         "'recurrence' or 'lens', got one of the kind 'layers'. Pass the result of run_decoding or "
         "run_recurrence or run_lens."),
        (lambda: lk.plot_decoding(trace.isel(generated_token=slice(0))), TraceError, "This decoding has no "
         "token: it was interrupted before the first one. Run it again."),
        (lambda: lk.plot_decoding(bare), TraceError, "This decoding has no readouts. Run it with "
         "readout_top=1 or more."),
        (lambda: lk.plot_decoding(trace, ax=3), ArgumentError, "`ax` must be matplotlib Axes or None, "
         "got int."),
        (lambda: lk.plot_rank(trace), ArgumentError, "`plot_rank` needs at least one token, as in "
         "plot_rank(trace, ' 7'), and got none."),
        (lambda: lk.plot_rank(trace, trace.token_id.values[0].item()), TraceError, "`plot_rank` draws one "
         "position at a time, and this trace has 2 along 'generated_token'. Select one, as in "
         "trace.isel(generated_token=-1)."),
        (lambda: lk.plot_exits(bare), TraceError, "The cost of an exit needs the variable 'kl', which "
         "is missing. Run it with readout_top=1."),
        (lambda: lk.plot_exits(trace, criteria="kll"), ArgumentError, "No exit criterion named 'kll'. Did "
         "you mean 'kl'? Known: 'acceleration', 'argmax-stability', 'cosine', 'entropy-diff', 'kl', "
         "'latent-diff', 'minp-kl'."),
    ]  # fmt: skip
    for ask, error, message in cases:
        with pytest.raises(error) as raised:
            ask()
        assert str(raised.value) == message


def test_a_saved_decoding_is_drawn_where_torch_is_not_installed(block_torch: Any, tmp_path: Any) -> None:
    trace = lk.run_decoding(tiny_model(), [1, 2], new_tokens=2, iterations=4, watch=[3], progress=False)
    path = lk.save_trace(trace, tmp_path / "a.nc")
    said = block_torch(
        "import matplotlib; matplotlib.use('agg')\n"
        "import latentkit as lk\n"
        f"trace = lk.open_trace({str(path)!r})\n"
        "lk.plot_decoding(trace), lk.plot_rank(trace.isel(generated_token=0), 3), lk.plot_exits(trace)\n"
        "print(trace.sizes['generated_token'])"
    )
    assert said == "2\n"

"""What is done with a model works for every family where its verbs allow, else says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families_for_tests import DECODERS, SETS, expected, model
from matplotlib import pyplot as plt
from models_for_tests import Counter, tiny_model

import latentkit as lk
from latentkit import measure
from latentkit.errors import ArgumentError, ModelError, TraceError
from latentkit.plot import alt_text
from latentkit.trace import check_trace

PROMPT = [3, 1, 4, 1, 5]
QUIET = {"progress": False}
SHORT = {"iterations": 2, **QUIET}

ENCODER = "golden_a is not causal: its states depend on later tokens, so {}."
NO_BLOCKS = (
    "golden_a cannot be read out between its blocks: it lacks step_blocks, last_hidden, head. Use "
    "run_recurrence, which reads out after each iteration."
)
NO_LAYERS = (
    "In golden_a earlier positions see later tokens, so one pass does not give the predictions of "
    "step-by-step decoding. Its layers cannot be compared token by token."
)

RUNS: dict[str, tuple[Callable[[Any], Any], str | None]] = {
    "run_recurrence": (lambda found: lk.run_recurrence(found, PROMPT, **SHORT), None),
    "run_decoding": (
        lambda found: lk.run_decoding(found, PROMPT, new_tokens=2, **SHORT),
        ENCODER.format("it cannot generate text token by token"),
    ),
    "run_lens": (lambda found: lk.run_lens(found, PROMPT, **SHORT), NO_BLOCKS),
    "run_layer_effect": (lambda found: lk.run_layer_effect(found, PROMPT, new_tokens=2, **SHORT), NO_LAYERS),
    "run_layer_lens": (lambda found: lk.run_layer_lens(found, PROMPT, new_tokens=2, **SHORT), NO_LAYERS),
    "run_layer_difference": (
        lambda found: lk.run_layer_difference(found, PROMPT, [2, 7, 1, 8, 2], new_tokens=2, **SHORT),
        NO_LAYERS,
    ),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("run", RUNS)
def test_every_run_gives_a_trace_of_each_family_or_says_what_it_lacks(
    run: str, name: str, tmp_path: Path
) -> None:
    call, refusal = RUNS[run]
    if name.startswith("albert") and refusal is not None:
        with pytest.raises((ArgumentError, ModelError)) as raised:
            call(model(name))
        assert str(raised.value) == refusal
        return
    trace = call(model(name))
    check_trace(trace)
    for variable in ("distance", "kl", "entropy", "readout_probability"):
        if variable in trace:
            assert bool(np.isfinite(trace[variable]).all()), variable
    path = lk.save_trace(trace, tmp_path / "trace.nc")
    assert lk.open_trace(path).identical(trace)
    if run != "run_lens":  # a lens has no explorer
        lk.explore(trace).close()


@pytest.mark.parametrize("name", SETS)
def test_facts_are_attributes_of_a_trace(name: str) -> None:
    found = model(name)
    trace = lk.run_recurrence(found, PROMPT, iterations=2, limit=2, readout_top=0, **QUIET)
    trained = found.trained_iterations or "any"
    attrs = [trace.attrs[each] for each in ("seeded", "causal", "trained_iterations")]
    assert attrs == [found.seeded, found.causal, trained]
    assert trace.attrs["seed"] == (0 if found.seeded else "none: starts from the input")


def test_a_trace_of_a_model_trained_at_one_depth_stops_there_and_marks_what_lies_beyond() -> None:
    found, numbers = model("ouro/golden_a"), expected("ouro/golden_a")
    trace = lk.run_recurrence(found, PROMPT, **QUIET)
    assert trace.iteration.values.tolist() == [0, 1, 2, 3, 4]
    assert trace.attrs["limit"] == 4
    assert not trace.is_extrapolated.any()
    assert trace.distance.attrs["long_name"] == "‖s_i − s_4‖"
    assert bool((trace.distance.isel(iteration=-1) == 0).all())
    beyond = lk.run_recurrence(
        found, numbers["input_ids"][0].tolist(), iterations=6, keep_states=True, **QUIET
    )
    assert beyond.is_extrapolated.values.tolist() == [False] * 5 + [True] * 2
    wanted = numbers["states"][:, 0].permute(1, 0, 2).numpy()
    np.testing.assert_allclose(beyond.state, wanted, atol=1e-4 * abs(wanted).max())


@pytest.mark.parametrize("draw", [lk.plot_convergence, lk.plot_distance])
def test_a_line_marks_what_lies_beyond_the_trained_depth(draw: Callable[..., Any]) -> None:
    beyond = lk.run_recurrence(model("ouro/golden_a"), PROMPT, iterations=6, readout_top=0, **QUIET)
    said = "right of the dashed line: more iterations than in training (4)"
    for trace, marked in ((beyond, True), (beyond.sel(iteration=slice(0, 4)), False)):
        ax = draw(trace)
        lines = [line for line in ax.lines if line.get_gid() == "trained"]
        assert [line.get_xdata()[0] for line in lines] == [4.5] * marked
        assert any(said in note.get_text() for note in ax.texts) == marked
        assert (said in alt_text(ax)) == marked
        plt.close(ax.figure)


def test_a_model_for_any_depth_keeps_its_defaults() -> None:
    for found in (Counter(), tiny_model()):
        trace = lk.run_recurrence(found, PROMPT, readout_top=0, **QUIET)  # type: ignore[arg-type]
        assert trace.iteration.values[-1] == 64
        assert trace.attrs["limit"] == 128
        assert "is_extrapolated" not in trace.coords
        assert trace.distance.attrs["long_name"] == "‖s_i − s*‖"


def test_decoding_and_lens_take_the_trained_depth() -> None:
    found = model("nanbeige/golden_a")
    decoded = lk.run_decoding(found, PROMPT, new_tokens=2, **QUIET)
    assert decoded.iterations_used.values.tolist() == [2, 2]
    assert lk.run_lens(found, PROMPT, **QUIET).iteration.values.tolist() == [1, 2]
    layers = lk.run_layer_lens(found, PROMPT, new_tokens=1, **QUIET)
    assert layers.sizes["layer"] == 2 * 3


def test_decoded_tokens_of_each_family_are_those_of_the_published_code() -> None:
    for name in DECODERS:
        wanted = expected(name)["greedy_cache"][0].tolist()
        new = len(expected(name)["greedy_cache_logits"])
        iterations = {"retrofit": 5, "parcae": 8}.get(name.partition("/")[0])
        trace = lk.run_decoding(
            model(name), wanted[:-new], new_tokens=new, iterations=iterations, seed=None, **QUIET
        )
        assert trace.token_id.values.tolist() == wanted[-new:], name


def test_several_seeds_of_a_model_with_one_start_are_refused_and_a_perturbed_one_is_offered() -> None:
    found = model("ouro/golden_a")
    begin = "golden_a starts from its input and not from a seed, so {} would all be the same run. "
    with pytest.raises(ArgumentError) as raised:
        lk.run_recurrence(found, PROMPT, seeds=[0, 1], **QUIET)
    assert str(raised.value) == begin.format("several seeds") + (
        "Pass one seed, and perturb={'iteration': 0, 'size': 0.1} for a perturbed start."
    )
    with pytest.raises(ArgumentError) as raised:
        lk.run_path_independence(found, PROMPT, **QUIET)
    assert (
        str(raised.value) == begin.format("all seeds") + "Pass perturb=0.1 for starts that are pushed apart."
    )


def test_perturbed_starts_of_a_model_with_one_start_are_different_runs() -> None:
    found = lk.run_path_independence(model("ouro/golden_a"), PROMPT, seeds=[0, 1], perturb=0.1, **QUIET)
    assert found.attrs["iterations"] == 4
    apart = found.distance.sel(start="seed 0", other_start="seed 1")
    assert bool((apart > 1e-3).all())
    again = lk.run_path_independence(model("ouro/golden_a"), PROMPT, seeds=[0, 1], perturb=0.0, **QUIET)
    assert bool((again.distance == 0).all())


def test_a_prefix_is_not_read_token_by_token() -> None:
    found = model("hrm_text/golden_a").with_prefix(3)
    no_text = ENCODER.format("it cannot generate text token by token")
    calls: tuple[tuple[str, Callable[[], Any]], ...] = (
        (no_text, lambda: lk.run_decoding(found, PROMPT, new_tokens=1, **QUIET)),
        (no_text, lambda: lk.run_recurrence(found, PROMPT, new_tokens=1, **QUIET)),
        ("Pass token=-1", lambda: lk.run_lens(found, PROMPT, token=1, **QUIET)),
        ("cannot be compared", lambda: lk.run_layer_lens(found, PROMPT, **QUIET)),
    )
    for refusal, call in calls:
        with pytest.raises((ArgumentError, ModelError)) as raised:
            call()
        assert refusal.removesuffix(".") in str(raised.value)
    assert lk.run_lens(found, PROMPT, **QUIET).sizes["iteration"] == 2  # the last position sees all there is


@pytest.mark.parametrize("name", ["ouro/golden_a", "retrofit/golden_a_llama", "parcae/golden_a"])
def test_the_derivative_of_a_step_can_be_taken(name: str) -> None:
    found = lk.run_local_contraction(model(name), PROMPT, tokens=[2], power_iterations=8, **QUIET)
    assert 0 < float(found.spectral_radius[0]) < 100


def test_exits_of_a_gate_from_a_trace() -> None:
    numbers = expected("ouro/golden_a")
    ids = numbers["input_ids"][0].tolist()
    trace = lk.run_recurrence(model("ouro/golden_a"), ids, iterations=6, readout_top=0, **QUIET)
    assert bool(np.isnan(trace.exit_probability.sel(iteration=0)).all())
    distribution = measure.exit_distribution(trace)
    assert distribution.iteration.values.tolist() == [1, 2, 3, 4]  # the remainder goes to the trained depth
    np.testing.assert_allclose(distribution.values.T, numbers["exit_pdf"][:, 0], atol=1e-4)
    for threshold in (0.5, 0.7):
        exits = measure.gate_exit(trace, threshold)
        wanted = numbers[f"exit_step_at_{threshold}"][0]
        assert torch.equal(torch.tensor(exits.exit_iteration.values), wanted)
        np.testing.assert_allclose(exits.saved, 1 - wanted / 4)
    longer = measure.exit_distribution(trace, iterations=6)
    np.testing.assert_allclose(longer.sum("iteration"), 1, atol=1e-6)
    assert longer.sizes["iteration"] == 6


def test_a_trace_without_a_gate_has_no_exit_distribution() -> None:
    trace = lk.run_recurrence(model("nanbeige/golden_a"), PROMPT, readout_top=0, **QUIET)
    with pytest.raises(TraceError, match="This dataset has no exit_probability: its model has no exit gate"):
        measure.exit_distribution(trace)
    gated = lk.run_recurrence(model("ouro/golden_a"), PROMPT, readout_top=0, **QUIET)
    with pytest.raises(TraceError, match="needs every iteration from 0 on"):
        measure.exit_distribution(gated.sel(iteration=slice(1, None)))
    with pytest.raises(ArgumentError, match="iterations is 5; pass a whole number from 1 to 4, or None"):
        measure.exit_distribution(gated, iterations=5)
    with pytest.raises(ArgumentError, match="threshold is 2; pass a probability from 0 to 1"):
        measure.gate_exit(gated, 2)

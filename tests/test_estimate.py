"""`estimate`: bytes for which a run is refused, and seconds that are extrapolated from probes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from models_for_tests import tiny_model

import latentkit as lk
from latentkit.errors import ArgumentError, PromptError
from latentkit.run import Estimate, estimation, memory

PROMPT = [1, 2, 3, 4, 5]
RUNS: list[tuple[str, dict[str, Any]]] = [
    ("run_recurrence", {"iterations": 9}),
    ("run_recurrence", {"iterations": 3, "new_tokens": 3, "readout_top": 0}),
    ("run_decoding", {"iterations": 3, "new_tokens": 4}),
    ("run_lens", {"iterations": 9}),
    ("run_local_contraction", {"iterations": 4, "power_iterations": 9}),
    ("run_path_independence", {"iterations": 4, "seeds": [0, 1]}),
    ("run_layer_effect", {"iterations": 2, "new_tokens": 2}),
    ("run_layer_lens", {"iterations": 2, "new_tokens": 2, "layers": [0, -1]}),
    ("run_layer_difference", {"iterations": 2, "new_tokens": 2, "other": [5, 4, 3, 2, 1]}),
]


@pytest.mark.parametrize(("run", "options"), RUNS)
def test_every_run_has_an_estimate(run: str, options: dict[str, Any]) -> None:
    found = lk.estimate(run, tiny_model(), PROMPT, **options)
    assert found.fits
    assert 0 < found.bytes < found.free
    assert 0 < found.seconds < 60


@pytest.mark.parametrize(("run", "options"), RUNS)
def test_a_run_is_refused_for_the_bytes_of_its_estimate(
    run: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    monkeypatch.setattr(estimation, "_fastest", lambda probes: [1.0 for _ in probes])  # only bytes matter
    needed = lk.estimate(run, model, PROMPT, **options).bytes
    monkeypatch.setattr(memory, "free_memory", lambda _: needed - 1)
    monkeypatch.setattr(estimation, "free_memory", lambda _: needed - 1)
    with pytest.raises(ArgumentError, match=r"This run would need about .* GiB are free\. Ask for"):
        estimation.RUNS[run](model, PROMPT, **options, progress=False)
    found = lk.estimate(run, model, PROMPT, **options)
    assert not found.fits
    assert math.isnan(found.seconds)
    assert str(found).startswith("does not fit: it needs ")


def test_a_run_that_fits_exactly_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    needed = lk.estimate("run_recurrence", model, PROMPT, iterations=2).bytes
    monkeypatch.setattr(memory, "free_memory", lambda _: needed)
    lk.run_recurrence(model, PROMPT, iterations=2, progress=False)


@pytest.mark.parametrize("name", ["run_recurrence", "run_decoding", "run_lens", "run_local_contraction"])
def test_probes_determine_a_time_that_is_linear_in_the_counts(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that follows a known law, the extrapolation is exact."""
    options = {"iterations": 50, "limit": 70, "new_tokens": 30, "power_iterations": 40, "seeds": [1, 2]}
    costs = [3.0, 0.5, 0.25, 0.125]
    law = lambda asked: float(np.dot(costs[: len(counts(asked))], counts(asked)))  # noqa: E731
    counts = lambda asked: estimation._counts(name, asked)  # noqa: E731
    monkeypatch.setitem(estimation.RUNS, name, lambda *_, **asked: asked)
    monkeypatch.setattr(estimation, "_fastest", lambda probes: [law(probe()) for probe in probes])
    assert estimation._probed(name, None, PROMPT, options) == pytest.approx(law(options))


def test_the_estimate_grows_with_what_is_kept() -> None:
    model = tiny_model()
    sizes = [
        lk.estimate("run_recurrence", model, PROMPT, iterations=4, **more).bytes
        for more in ({}, {"keep_states": True}, {"keep_states": True, "seeds": [0, 1, 2]})
    ]
    assert sizes == sorted(set(sizes))


def test_wrong_arguments_are_refused_as_by_the_run() -> None:
    with pytest.raises(ArgumentError, match="run is 'run_recurence'; pass a run_"):
        lk.estimate("run_recurence", tiny_model(), PROMPT)
    with pytest.raises(ArgumentError, match="limit is 2 and iterations is 4"):
        lk.estimate("run_recurrence", tiny_model(), PROMPT, iterations=4, limit=2)
    with pytest.raises(PromptError, match="The prompt holds the token id 99"):
        lk.estimate("run_recurrence", tiny_model(), [99])


def test_an_estimate_reads_as_a_sentence() -> None:
    assert str(Estimate(2**21, 2**30, 12.345)) == "about 12.3 s and 2 MiB of 1,024 MiB that are free"
    assert (
        str(Estimate(2**31, 2**30, math.nan)) == "does not fit: it needs 2,048 MiB of 1,024 MiB that are free"
    )

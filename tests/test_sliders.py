"""`slide`: the view of each kind of result, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from test_plot_decoding import fake as decoding
from test_plot_layer_kl import fake as layers
from test_plot_measures import made as recurrence

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError
from latentkit.sliders.slide import VIEWS
from latentkit.trace import KINDS


def descriptions(box: Any) -> list[str]:
    return [slider.description for slider in box.children[:-1]]


@pytest.mark.parametrize(
    ("result", "sliders"),
    [
        (recurrence(), ["Iterations", "Tokens"]),
        (lk.principal_components(recurrence()), ["Iterations", "Tokens"]),
        (decoding([[0, 1]], ["a", "b"]).assign(kl=lambda trace: trace.distance), ["Iteration", "Token"]),
        (layers(), ["Layers", "Tokens"]),
        ([layers()], ["Layers", "Tokens"]),
        ([layers(iterations=1), layers(iterations=2)], ["Iterations", "Layers", "Tokens"]),
    ],
)
def test_the_kind_of_a_result_decides_the_default_view(result: Any, sliders: list[str]) -> None:
    assert descriptions(lk.slide(result)) == sliders


def test_every_view_shows_kinds_that_exist_and_takes_arguments_of_slide() -> None:
    import inspect

    arguments = set(inspect.signature(lk.slide).parameters) - {"result", "view"}
    assert set().union(*(view.kinds for view in VIEWS.values())) <= {*KINDS, "components"}
    assert set().union(*(view.arguments for view in VIEWS.values())) == arguments


@pytest.mark.parametrize(
    ("result", "arguments", "error", "message"),
    [
        (recurrence(), {"view": "decoding"}, ArgumentError,
         "A result of the kind 'recurrence' has no view 'decoding'. Known: 'convergence', 'readout', "
         "'trajectory'."),
        (recurrence(), {"view": "convergense"}, ArgumentError,
         "A result of the kind 'recurrence' has no view 'convergense'. Did you mean 'convergence'? Known: "
         "'convergence', 'readout', 'trajectory'."),
        (layers(), {"view": "readout"}, ArgumentError,
         "A result of the kind 'layers' has no view 'readout'. Known: 'layers'."),
        (recurrence(), {"token": 2}, ArgumentError,
         "The view 'convergence' takes no `token`. Did you mean 'tokens'? Known: 'iteration', 'tokens', "
         "'vmax', 'vmin'."),
        (layers(), {"tokens": slice(1)}, ArgumentError,
         "The view 'layers' takes no `tokens`. Known: 'scale', 'vmax', 'vmin'."),
        (recurrence().assign_attrs(kind="contraction"), {}, TraceError,
         "There are no sliders for a trace of the kind 'contraction'. `slide` shows the kinds 'recurrence', "
         "'components', 'decoding', 'layers'."),
        ([], {}, ArgumentError,
         "`slide` needs at least one result, got none. Pass what a `run_*` function returns."),
        ([recurrence(), layers()], {}, ArgumentError,
         "Several results must be comparisons of layers, got 2 of the kind 'recurrence' and 'layers'. Pass "
         "one."),
        (recurrence().distance, {}, TraceError,
         "Expected a trace (an xarray.Dataset), got DataArray. Pass the result of a `run_*` function."),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused(result: Any, arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error) as raised:
        lk.slide(result, **arguments)
    assert str(raised.value) == message

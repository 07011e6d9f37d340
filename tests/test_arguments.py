"""Wrong arguments: each is used, or refused by an error that names the parameter.

benchmarks/faults/arguments.py gives every parameter of every public function all of these values; here are
the checks themselves and the functions that need no model.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from pydoc import locate

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from test_trace import make_trace

import latentkit as lk
from latentkit import arguments
from latentkit.errors import ArgumentError, LatentkitError

WRONG = [
    None, -1, 0, 1.5, float("nan"), float("inf"), "8", "", [], {}, (1, 2), np.int64(3), np.float32(0.5),
    10**18, 2**64, np.ones((2, 2)), Path("absent"), b"Hi", True, object(), {1: 2}, [None], slice(3),
]  # fmt: skip
TRACE = make_trace(["The", " cat", " sat"], iterations=15)
STATES = TRACE.assign(
    state=(("token", "iteration", "hidden"), np.random.default_rng(0).normal(size=(3, 16, 4)))
)
VALUES = xr.DataArray([1, 2, 3], dims="seed")
CALLS = {
    "settling_iteration": (TRACE,),
    "contraction_rate": (TRACE,),
    "trajectory_kind": (STATES,),
    "principal_components": (STATES,),
    "exit_iteration": (TRACE, "entropy-diff"),
    "noise_floor": ("bfloat16", 4),
    "readout_rank": (TRACE, "The"),
    "token_slice": (TRACE, "cat"),
    "compare_settling": (TRACE, TRACE),
    "trace_distance": (STATES, STATES),
    "measure.trace_floor": (TRACE,),
    "measure.exit_criteria": (TRACE,),
    "plot_distance": (TRACE,),
    "explore": (TRACE,),
    "measure.mean_interval": (VALUES,),
    "measure.geometric_mean_interval": (VALUES,),
    "measure.share_interval": (VALUES, 3),
    "problems.draw_problems": ("lookup", 2),
    "with_alt": (plt.figure().add_subplot(),),
    "plot_layer_kl": (lk.open_example("smollm2_layer_lens"),),
    "open_trace": ("absent.nc",),
    "open_example": ("absent",),
}


@pytest.mark.parametrize("function", CALLS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
def test_a_wrong_value_of_any_parameter_is_used_or_refused(function, value):
    call = locate(f"latentkit.{function}")
    names = call.__code__.co_varnames[: call.__code__.co_argcount + call.__code__.co_kwonlyargcount]
    for place, name in enumerate(names):
        given = list(CALLS[function])
        options = {name: value}
        if place < len(given):
            given[place], options = value, {}
        said = name
        try:
            call(*given, **options)
        except LatentkitError as error:
            said = str(error)
        finally:
            plt.close("all")
        assert re.search(name.rstrip("s"), said, re.IGNORECASE), said


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            partial(lk.contraction_rate, TRACE, floor=float("inf")),
            "floor is inf; pass a distance of at least 0.",
        ),
        (
            partial(lk.trajectory_kind, STATES, relative=float("nan")),
            "relative is nan; pass a share of the first distance, from 0 to 1.",
        ),
        (partial(lk.noise_floor, "float32", 1.5), "hidden is 1.5; pass a whole number from 1 to 1000000000."),
        (
            partial(lk.open_trace, 3),
            "path is 3; pass the path of a file, such as 'faust.nc'.",
        ),
        (
            partial(lk.load_model, b"nano"),
            "name is b'nano'; pass a text, such as 'nano', a folder, or a hub id.",
        ),
        (partial(lk.plot_convergence, TRACE, colorbar=[]), "colorbar is []; pass True or False."),
        (
            partial(lk.plot_convergence, TRACE, title=3),
            "title is 3; pass a text, or None for the default.",
        ),
    ],
)
def test_the_message_states_what_was_given_and_what_to_pass(call, message):
    with pytest.raises(ArgumentError) as raised:
        call()
    assert str(raised.value) == message
    plt.close("all")


def test_a_long_value_is_shortened_in_the_message():
    with pytest.raises(ArgumentError) as raised:
        arguments.flag("progress", list(range(10_000)))
    assert len(str(raised.value)) < 300


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


def test_a_value_without_a_text_is_named_by_its_type():
    with pytest.raises(ArgumentError) as raised:
        arguments.whole_number("seed", Unprintable(), least=0)
    assert str(raised.value) == "seed is a Unprintable; pass a whole number of at least 0."


@pytest.mark.parametrize("value", WRONG[1:], ids=lambda value: type(value).__name__)
def test_what_has_no_dimensions_is_refused(value):
    with pytest.raises(LatentkitError, match="Expected values with labels"):
        lk.measure.stable_from(value)


def test_a_truth_value_is_no_end_of_a_colour_scale():
    with pytest.raises(ArgumentError, match="`vmin` must be a number above 0"):
        lk.plot_convergence(TRACE, vmin=True)

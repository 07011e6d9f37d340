"""Where a text stands in a trace: the tokens that cover it."""

from __future__ import annotations

from typing import Any

import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from test_trace import HOSTILE, make_trace

import latentkit as lk
from latentkit.errors import ArgumentError, TraceError

CAT = ["The", " cat", " sat", " on", " the", " mat", ".", " The", " cat", " sl", "ept"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("The", (0, 1)),
        (" cat sat", (1, 3)),
        ("cat sat", (1, 3)),
        ("at s", (1, 3)),
        ("slept", (9, 11)),
        (".", (6, 7)),
        ("".join(CAT), (0, 11)),
    ],
)
def test_the_slice_begins_and_ends_with_the_tokens_that_hold_the_text(text, rows):
    assert lk.token_slice(make_trace(CAT), text) == slice(*rows)


@pytest.mark.parametrize(("occurrence", "rows"), [(0, (1, 2)), (1, (8, 9)), (-1, (8, 9)), (-2, (1, 2))])
def test_of_several_places_the_one_that_was_asked_for_is_found(occurrence, rows):
    assert lk.token_slice(make_trace(CAT), " cat", occurrence=occurrence) == slice(*rows)


def test_places_that_overlap_are_places_of_their_own():
    assert lk.token_slice(make_trace(["a", "a", "a"]), "aa", occurrence=1) == slice(1, 3)


def test_positions_are_those_of_the_whole_trace_and_fit_the_plots():
    part = make_trace(CAT).isel(token=slice(5, 11))
    found = lk.token_slice(part, " cat slept")
    assert found == slice(8, 11)
    assert lk.plot_convergence(part, tokens=found).collections[0].get_array().shape[0] == 3


def test_a_character_that_is_spread_over_tokens_is_found():
    trace = make_trace(["caf", "<0xC3>", "<0xA9>", "!"])
    assert lk.token_slice(trace, "é") == slice(1, 3)
    assert lk.token_slice(trace, "café!") == slice(0, 4)


@pytest.mark.parametrize("row", [row for row, text in enumerate(HOSTILE) if text])
def test_any_token_is_found_by_its_own_text(row):
    found = lk.token_slice(make_trace(HOSTILE), HOSTILE[row])
    assert found.start <= row < found.stop


@given(st.lists(st.text(max_size=4), min_size=1, max_size=6), st.data())
def test_what_the_slice_takes_holds_the_text_and_no_token_too_many(texts: list[str], data: Any) -> None:
    whole = "".join(texts)
    if not whole:
        return
    begin = data.draw(st.integers(0, len(whole) - 1))
    wanted = whole[begin : data.draw(st.integers(begin + 1, len(whole)))]
    trace = xr.Dataset(coords={"token": range(len(texts)), "token_text": ("token", texts)})
    taken = texts[lk.token_slice(trace, wanted)]
    assert wanted in "".join(taken)
    assert wanted not in "".join(taken[1:])
    assert wanted not in "".join(taken[:-1])


def test_a_text_that_is_not_there_is_named_with_the_nearest_one():
    with pytest.raises(ArgumentError) as raised:
        lk.token_slice(make_trace(CAT), " Slept ")
    assert str(raised.value) == (
        "' Slept ' does not occur in this trace. It has 'slept'. Spaces and capital letters must match; "
        'print("".join(trace.token_text.values)) shows the text.'
    )


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "`text` is ''; pass a piece of the text that was traced."),
        (3, {}, "`text` is 3; pass a piece of the text that was traced."),
        (" sat", {"occurrence": 1}, "occurrence is 1, but ' sat' occurs in this trace once."),
        (" cat", {"occurrence": -3}, "occurrence is -3, but ' cat' occurs in this trace 2 times."),
        (
            "x" * 50,
            {},
            f"'{'x' * 39}…' does not occur in this trace. Spaces and capital letters must match; "
            'print("".join(trace.token_text.values)) shows the text.',
        ),
    ],
)
def test_what_cannot_be_found_is_refused(text, options, message):
    with pytest.raises(ArgumentError) as raised:
        lk.token_slice(make_trace(CAT), text, **options)
    assert str(raised.value) == message


def test_what_has_no_token_texts_is_refused():
    with pytest.raises(TraceError) as raised:
        lk.token_slice(make_trace(CAT).distance.to_dataset().drop_vars("token_text"), "The")
    assert str(raised.value) == (
        "Expected a trace with 'token_text' over 'token'. Pass what `run_recurrence` returns."
    )

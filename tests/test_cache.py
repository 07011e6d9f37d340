"""The cache: what a token sees of those before it, for every lookup strategy and any core size."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models_for_tests import tiny_model
from torch import Tensor

from latentkit.errors import ArgumentError
from latentkit.models.cache import IterationCache
from latentkit.models.lookup import LOOKUPS, parse_lookup

PRELUDE, CORE = 2, 3


def entry(key: int, positions: range, write: int = 0) -> Tensor:
    """Keys that say who wrote them: block key, position, and how often before in this call."""
    return torch.tensor([[[[key, p, write] for p in positions]]], dtype=torch.float32)


def seen(name: str, depths: list[int], *, prompt: int = 1, core: int = CORE) -> list[list[tuple[int, int]]]:
    """Feed calls of so many iterations each; return (key, position) seen at each update of the last call."""
    cache = IterationCache(prelude=PRELUDE, core=core, lookup=parse_lookup(name))
    looks: list[list[tuple[int, int]]] = []
    for call, depth in enumerate(depths):
        cache.begin(prompt if call == 0 else 1)
        looks = []
        for key in [*range(PRELUDE + depth * core), -1]:
            mine = entry(key, range(cache.start, cache.length))
            keys, values = cache.update(key, mine, mine + 0.5)
            torch.testing.assert_close(values, keys + 0.5)
            looks.append([(int(k), int(p)) for k, p, _ in keys[0, 0].tolist()])
    return looks


def stored(depth: int, core: int = CORE) -> set[int]:
    return {*range(PRELUDE + depth * core), -1}


def expected(rule: str, key: int, depths: list[int], core: int = CORE) -> list[tuple[int, int]]:
    """The published rule, written down position by position (one position per call)."""
    having = [stored(depth, core) for depth in depths]
    if all(key in keys for keys in having) or key < PRELUDE:
        return [(key, p) for p in range(len(depths))]
    if rule in ("full", "skip"):
        return [(key, p) for p, keys in enumerate(having) if key in keys]
    top = key if rule != "always-last-m4" else 10**6
    same = [[k for k in keys if PRELUDE <= k <= top and (k - key) % core == 0] for keys in having]
    same[-1] = [k for k in same[-1] if k <= key]  # the present call has not come farther yet
    return [(max(keys), p) for p, keys in enumerate(same)]


@pytest.mark.parametrize("rule", [name for name in LOOKUPS if name != "randomized"])
@settings(max_examples=20, deadline=None)
@given(depths=st.lists(st.integers(1, 6), min_size=1, max_size=6), core=st.integers(1, 5))
def test_a_token_sees_what_the_published_rule_says(rule: str, depths: list[int], core: int) -> None:
    keys = [*range(PRELUDE + depths[-1] * core), -1]
    wanted = [expected(rule, key, depths, core) for key in keys]
    assert seen(rule, depths, core=core) == wanted


def test_random_lookup_takes_the_same_block_and_no_later_iteration() -> None:
    looks = seen("randomized", [2, 5, 3, 6])
    for key, look in enumerate(looks[:-1]):
        assert [p for _, p in look] == [0, 1, 2, 3]
        assert all(k <= key and (key - k) % CORE == 0 for k, _ in look)
    assert looks[-2] != expected("latest-m4", len(looks) - 2, [2, 5, 3, 6])


def test_a_prompt_that_stopped_early_is_looked_up_as_a_whole() -> None:
    looks = seen("latest-m4", [1, 2], prompt=4)
    assert looks[PRELUDE + CORE] == [*((PRELUDE, p) for p in range(4)), (PRELUDE + CORE, 4)]


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("full", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("latest-m4-compress-s6", [0, 1, 2, 3, 4, 5, 6, 7, 2, 3, 4]),
        ("latest-m4-compress-r3", [0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]),
        ("compress-s3", [0, 1, 2, 3, 4, 2, 3, 4, 2, 3, 4]),
    ],
)
def test_compression_lets_entries_of_the_core_share_places(name: str, places: list[int]) -> None:
    lookup = parse_lookup(name)
    assert [lookup.place(key, PRELUDE, CORE) for key in range(11)] == places
    assert lookup.place(-1, PRELUDE, CORE) == -1


def test_an_anchor_keeps_eight_iterations_apart_and_one_place_for_all_later() -> None:
    lookup = parse_lookup("latest-m4-compress-anchor")
    keys = [2 + 4 * t + j for t, j in itertools.product(range(12), range(4))]
    places = [lookup.place(key, 2, 4) for key in keys]
    assert places == [*range(2, 34), *[34, 35, 36, 37] * 4]


@pytest.mark.parametrize(
    "name", ["latest-m4-compress-s6", "latest-m4-compress-r3", "latest-m4-compress-anchor"]
)
def test_a_compressed_cache_survives_tokens_that_stop_early(name: str) -> None:
    depths = [1, 9, 2, 5]
    for key, look in zip([*range(PRELUDE + 5 * CORE), -1], seen(name, depths), strict=True):
        assert [p for _, p in look] == [0, 1, 2, 3]
        assert all(k in stored(depth) for (k, _), depth in zip(look, depths, strict=True))
        assert look[-1] == (key, 3)


def test_the_deepest_entry_is_that_of_the_largest_key_also_where_places_are_used_again() -> None:
    looks = seen("always-last-m4-compress-s6", [1, 3, 2])
    assert looks[5] == [(2, 0), (5, 1), (5, 2)]  # 8 came later, but into the place of 2


def test_room_grows_and_keeps_what_is_there() -> None:
    for room in (0, 3, 50):
        cache = IterationCache(prelude=1, core=1, room=room)
        for call in range(9):
            cache.begin(1)
            keys, _ = cache.update(0, entry(0, range(call, call + 1)), entry(0, range(call, call + 1)))
        assert keys[0, 0, :, 1].tolist() == list(range(9))


def test_reading_out_twice_overwrites_the_coda_and_adds_nothing() -> None:
    cache = IterationCache(prelude=1, core=1)
    cache.begin(2)
    for write in range(3):
        keys, _ = cache.update(-1, entry(-1, range(2), write), entry(-1, range(2), write))
    assert keys[0, 0, :, 2].tolist() == [2, 2]


@pytest.mark.parametrize("core", [1, 2, 3])
def test_with_the_cache_a_model_computes_what_it_does_without(core: int) -> None:
    model = tiny_model(n_layers_in_recurrent_block=core)
    ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    whole = model.embed(ids)
    state = model.initial_state(whole, 0)
    for _ in range(5):
        state = model.step(state, whole)
    for lookup in LOOKUPS:
        cache = model.new_cache(lookup, room=8)
        found = []
        for part in (ids[:, :3], *ids[:, 3:].split(1, dim=1)):
            context = model.embed(part, cache=cache)
            after = model.initial_state(context, 0)
            for _ in range(5):
                after = model.step(after, context)
            found.append(model.readout(after, context))
        torch.testing.assert_close(torch.cat(found, dim=1), model.readout(state, whole), atol=1e-5, rtol=1e-5)


def test_bytes_of_a_cache_are_those_that_it_takes() -> None:
    model = tiny_model()
    for lookup in ("full", "latest-m4-compress-s6"):
        cache = model.new_cache(lookup, room=5)
        context = model.embed(torch.tensor([[1, 2, 3, 4, 5]]), cache=cache)
        state = model.initial_state(context, 0)
        for _ in range(7):
            state = model.step(state, context)
        model.readout(state, context)
        taken = sum(slot.keys.nbytes + slot.values.nbytes for slot in cache._slots.values())
        assert model.cache_bytes(lookup, tokens=5, iterations=7) == taken


def test_the_parts_of_a_readout_are_the_readout() -> None:
    model = tiny_model()
    context = model.embed(torch.tensor([[1, 2, 3]]))
    state = model.step(model.initial_state(context, 0), context)
    whole = model.readout(state, context)[:, -1]
    torch.testing.assert_close(model.head(model.last_hidden(state, context)), whole)


def test_the_last_block_of_a_step_leaves_what_the_step_returns() -> None:
    model = tiny_model()
    context = model.embed(torch.tensor([[1, 2, 3]]))
    state = model.initial_state(context, 0)
    states = model.step_blocks(state, context)
    assert len(states) == 2
    np.testing.assert_array_equal(states[-1], model.step(state, context))


_KNOWN = (
    "Known: 'always-last-m4', 'available-m4', 'full', 'latest-m4', 'latest-m4-compress-anchor', "
    "'latest-m4-compress-r4', 'latest-m4-compress-s16', 'randomized', 'skip'. Any whole number of at least 1 "
    "may follow compress-s and compress-r."
)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("latest-m5", "Did you mean 'latest-m4'? "),
        ("ful", "Did you mean 'full'? "),
        ("latest-m4-compress-s0", "Did you mean 'latest-m4-compress-s16'? "),
        ("-compress-s4", "Did you mean 'latest-m4-compress-r4'? "),
        ("", ""),
        (7, ""),
    ],
)
def test_a_strategy_that_is_not_known_is_refused_with_the_nearest(name: Any, hint: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        parse_lookup(name)
    assert str(raised.value) == f"No cache lookup named {name!r}. {hint}{_KNOWN}"

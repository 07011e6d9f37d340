"""Faults planted in the adapters: the golden numbers of each family show every fault that it can have."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from families_for_tests import FOLDER, SETS, expected, facts, greedy, start, worst
from torch import Tensor, nn

import latentkit as lk
from latentkit import criteria
from latentkit.models.family import hrm_text
from latentkit.models.stored.checkpoint import read_config

SEEN = 1e-2  # a hundred times the tolerance of the golden tests
STACKS = ("ouro/golden_a", "nanbeige/golden_a")
RAW = ("retrofit/golden_a_llama", "retrofit/golden_a_olmo", "parcae/golden_a")


def _error(name: str, found: Any) -> float:
    """Return the largest error of states and logits of a full pass, as the golden tests measure it."""
    numbers = expected(name)
    context, state = start(name, found, numbers["input_ids"])
    first = len(numbers["states"]) - len(numbers["logits"])
    errors = []
    for iteration, wanted in enumerate(numbers["states"]):
        if iteration:
            state = found.step(state, context)
            errors.append(worst(state, wanted))
        if iteration >= first:
            errors.append(worst(found.readout(state, context), numbers["logits"][iteration - first]))
    return max(errors)


def _after(network: Any, method: str, change: Callable[[Tensor], Tensor]) -> None:
    """Apply a function to the result of a method of a network."""
    run = getattr(network, method)
    setattr(network, method, lambda *given: change(run(*given)))


def _norm(network: Any) -> Any:
    """Return the last norm before the head."""
    for path in ("model.norm", "transformer.ln_f"):
        owner, _, name = path.partition(".")
        if hasattr(network, owner) and hasattr(getattr(network, owner), name):
            return getattr(getattr(network, owner), name)
    return network.core_blocks()[-1].full_layer_layer_norm


def _norm_twice(network: Any) -> None:
    _after(network, "read_out", _norm(network))


def _exchange(name: str, network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Feed back the raw state where the family feeds back the normalised one, and the reverse."""
    if name in STACKS:
        network.norm_fed_back = not network.norm_fed_back
    elif name in RAW:
        _after(network, "iterate", network.normalise)
    elif name.startswith("hrm_text"):
        own = hrm_text.HrmTextNetwork._stack
        rms = hrm_text.rms

        def raw(self: Any, *given: Any) -> Tensor:
            with pytest.MonkeyPatch.context() as patch:  # the layers have norms of their own
                patch.setattr(self, "eps", None)
                patch.setattr(hrm_text, "rms", lambda x, eps: x if eps is None else rms(x, eps))
                return own(self, *given)

        network._stack = MethodType(raw, network)
        _after(network, "read_out", lambda hidden: rms(hidden, network.eps))
    else:
        norm = _norm(network)
        monkeypatch.setattr(norm, "forward", nn.Identity().forward)
        _after(network, "read_out", type(norm).forward.__get__(norm))


@pytest.mark.parametrize("name", SETS)
def test_without_a_fault_nothing_is_seen(name: str) -> None:
    assert _error(name, lk.load_model(FOLDER / name)) < 1e-4


@pytest.mark.parametrize("name", [name for name in SETS if not name.startswith("hrm_text")])
def test_a_norm_applied_twice_is_seen(name: str) -> None:
    found = lk.load_model(FOLDER / name)
    _norm_twice(found.module)
    assert _error(name, found) > SEEN


def test_the_norms_of_hrm_text_have_no_weights_so_twice_is_no_fault() -> None:
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(hrm_text.rms(hrm_text.rms(x, 1e-6), 1e-6), hrm_text.rms(x, 1e-6))


@pytest.mark.parametrize("name", SETS)
def test_raw_and_normalised_state_exchanged_are_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = lk.load_model(FOLDER / name)
    _exchange(name, found.module, monkeypatch)
    assert _error(name, found) > SEEN


def test_a_forgotten_remainder_of_the_gate_is_seen() -> None:
    numbers = expected("ouro/golden_a")
    chances = numbers["exit_lambda"]
    reached = torch.cumprod(torch.cat([torch.ones_like(chances[:1]), 1 - chances[:-1]]), dim=0)
    assert worst(criteria.exit_distribution(chances), numbers["exit_pdf"]) < 1e-4
    assert worst(chances * reached, numbers["exit_pdf"]) > SEEN


@pytest.mark.parametrize("name", SETS[:-1])
def test_a_cache_keyed_without_the_loop_is_seen(name: str) -> None:
    found, numbers = lk.load_model(FOLDER / name), expected(name)
    run = found.module.iterate
    found.module.iterate = lambda state, context, iteration=0: run(state, context, 0)
    wanted = numbers["greedy_cache"][0].tolist()
    new = len(numbers["greedy_cache_logits"])
    iterations = facts(name).get("greedy_iterations", found.trained_iterations)
    try:
        _, logits = greedy(found, wanted[:-new], new, iterations, cached=True)
    except (AssertionError, RuntimeError):  # a slot that is filled twice has more positions than the mask
        return
    assert worst(logits, numbers["greedy_cache_logits"]) > SEEN


@pytest.mark.parametrize("name", ["nanbeige/golden_a", "retrofit/golden_a_llama"])
def test_tiled_key_and_value_heads_are_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = lk.load_model(FOLDER / name)
    monkeypatch.setattr(
        Tensor, "repeat_interleave", lambda self, times, dim: torch.cat([self] * times, dim=dim)
    )
    assert _error(name, found) > SEEN


def test_the_other_sets_have_no_grouped_heads_that_could_be_tiled() -> None:
    for name in ("ouro/golden_a", "hrm_text/golden_a", "parcae/golden_a", "albert/golden_a"):
        config = read_config(FOLDER / name)
        heads = config["num_attention_heads"]
        assert config.get("num_key_value_heads", heads) == heads

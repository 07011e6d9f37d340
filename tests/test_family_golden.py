"""Each adapter gives the numbers of its family's published code."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from families_for_tests import DECODERS, SETS, expected, facts, greedy, model, start, worst

from latentkit import criteria
from latentkit.testing import check_recurrent_model

NEAR = 1e-4  # of the largest entry


@pytest.mark.parametrize("name", SETS)
def test_states_and_readouts_are_those_of_the_published_code(name: str) -> None:
    found, numbers = model(name), expected(name)
    context, state = start(name, found, numbers["input_ids"])
    assert worst(state, numbers["states"][0]) < NEAR
    first = len(numbers["states"]) - len(numbers["logits"])  # Nanbeige has no logits of the embedding
    for iteration, wanted in enumerate(numbers["states"]):
        if iteration:
            state = found.step(state, context)
            assert worst(state, wanted) < NEAR, iteration
        if iteration >= first:
            assert worst(found.readout(state, context), numbers["logits"][iteration - first]) < NEAR, (
                iteration
            )


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("cached", [True, False])
def test_greedy_tokens_and_their_logits_are_those_of_the_published_code(name: str, cached: bool) -> None:
    numbers, found = expected(name), model(name)
    way = "greedy_cache" if cached else "greedy_nocache"
    wanted, logits = numbers[way][0].tolist(), numbers[f"{way}_logits"]
    prompt = wanted[: len(wanted) - len(logits)]
    iterations = facts(name).get("greedy_iterations", found.trained_iterations)
    tokens, chosen = greedy(found, prompt, len(logits), iterations, cached=cached)
    assert tokens == wanted
    assert worst(chosen, logits) < NEAR


@pytest.mark.parametrize("name", SETS)
def test_every_family_keeps_the_contract(name: str) -> None:
    check_recurrent_model(model(name))


@pytest.mark.parametrize(
    ("name", "seeded", "causal", "trained"),
    [
        ("ouro/golden_a", False, True, 4),
        ("nanbeige/golden_a", False, True, 2),
        ("hrm_text/golden_a", False, True, 2),
        ("retrofit/golden_a_llama", True, True, None),
        ("retrofit/golden_a_olmo", True, True, None),
        ("parcae/golden_a", True, True, None),
        ("albert/golden_a", False, False, 6),
    ],
)
def test_the_facts_of_each_family(name: str, seeded: bool, causal: bool, trained: int | None) -> None:
    found = model(name)
    assert (found.seeded, found.causal, found.trained_iterations) == (seeded, causal, trained)


@pytest.mark.parametrize("name", ["retrofit/golden_a_llama", "retrofit/golden_a_olmo", "parcae/golden_a"])
def test_states_between_the_blocks_are_those_of_the_published_code(name: str) -> None:
    found, numbers = model(name), expected(name)
    context, state = start(name, found, numbers["input_ids"])
    for wanted in numbers["blocks"]:
        states = found.step_blocks(state, context)
        assert worst(torch.stack(states), wanted) < NEAR
        state = states[-1]


@pytest.mark.parametrize("name", ["ouro/golden_a", "nanbeige/golden_a"])
def test_states_between_the_layers_are_normed_as_the_head_reads_them(name: str) -> None:
    found, numbers = model(name), expected(name)
    context, state = start(name, found, numbers["input_ids"])
    for wanted in numbers["blocks"]:
        states = found.step_blocks(state, context)
        assert worst(torch.stack(states), found.module.model.norm(wanted)) < NEAR
        state = states[-1]


def test_each_call_of_a_stack_of_hrm_text_is_a_block() -> None:
    found, numbers = model("hrm_text/golden_a"), expected("hrm_text/golden_a")
    context, state = start("hrm_text/golden_a", found, numbers["input_ids"])
    fast = numbers["causal.z_L"]
    for cycle in range(4):
        states = found.step_blocks(state, context)
        assert len(states) == 4
        for call in range(3):
            assert worst(states[call][..., 64:], fast[3 * cycle + call + 1]) < NEAR
        state = states[-1]


def test_the_lens_of_a_family_with_raw_states_is_its_final_norm() -> None:
    for name, wanted in (("retrofit/golden_a_llama", "states_normed"), ("parcae/golden_a", "states_lens")):
        numbers = expected(name)
        latents = model(name).normalise(numbers["states"])
        assert worst(latents, numbers[wanted]) < NEAR
        assert worst(model(name).head(latents[:, :, -1]), numbers["logit_lens_lastpos"]) < NEAR


def test_a_start_from_zeros_is_that_of_the_published_code() -> None:
    for name in ("retrofit/golden_a_llama", "retrofit/golden_a_olmo", "parcae/golden_a"):
        found, numbers = model(name), expected(name)
        context = found.embed(numbers["input_ids"])
        state = found.initial_state(context, None)
        for _ in range(facts(name)["iterations"]):
            state = found.step(state, context)
        assert worst(found.readout(state, context), numbers["zeros.final_logits"]) < NEAR


@pytest.mark.parametrize(
    ("name", "std"),
    [("retrofit/golden_a_llama", 0.008703882797784892), ("parcae/golden_a", (2 / (5 * 48)) ** 0.5)],
)
def test_random_starts_have_the_size_that_the_family_trained_with(name: str, std: float) -> None:
    context = model(name).embed(torch.ones(1, 60, dtype=torch.long))
    values = model(name).initial_state(context, 3)
    assert float(values.abs().max()) <= 3 * std * (1 + 1e-6)
    assert float(values.std()) == pytest.approx(0.9866 * std, rel=0.05)  # cut at three deviations


def test_exit_probabilities_of_ouro_and_their_distribution() -> None:
    found, numbers = model("ouro/golden_a"), expected("ouro/golden_a")
    context, state = start("ouro/golden_a", found, numbers["input_ids"])
    chances, logits = [], []
    for _ in range(found.trained_iterations):
        state = found.step(state, context)
        chances.append(found.exit_probability(state, context))
        logits.append(found.readout(state, context))
    assert worst(torch.stack(chances), numbers["exit_lambda"]) < NEAR
    distribution = criteria.exit_distribution(torch.stack(chances))
    assert worst(distribution, numbers["exit_pdf"]) < NEAR
    assert worst((distribution[..., None] * torch.stack(logits)).sum(0), numbers["logits_weighted"]) < NEAR
    for threshold in (0.5, 0.7):
        steps = criteria.exit_quantile(distribution, threshold)
        assert torch.equal(steps, numbers[f"exit_step_at_{threshold}"])
        left = torch.stack(logits).gather(0, (steps - 1)[None, ..., None].expand(1, *logits[0].shape))[0]
        assert worst(left, numbers[f"logits_exit_at_{threshold}"]) < NEAR


@pytest.mark.parametrize("cached", [True, False])
def test_ouro_decodes_with_exits_as_the_published_code(cached: bool) -> None:
    numbers = expected("ouro/golden_a")
    wanted = numbers["greedy_cache_exit0.6" if cached else "greedy_nocache_exit0.6"][0].tolist()
    tokens, logits = greedy(model("ouro/golden_a"), wanted[:7], 12, 4, cached=cached, threshold=0.6)
    assert tokens == wanted
    assert worst(logits, numbers["greedy_cache_exit0.6_logits"]) < NEAR


def test_each_pass_of_each_layer_of_ouro_has_a_cache_entry_of_its_own() -> None:
    found, numbers = model("ouro/golden_a"), expected("ouro/golden_a")
    ids = numbers["greedy_cache"][0].tolist()[:-1]
    cache = found.new_cache(room=len(ids))
    for part in (ids[:7], *([token] for token in ids[7:])):
        context = found.embed(torch.tensor([part]), cache=cache)
        state = found.initial_state(context, 0)
        for _ in range(4):
            state = found.step(state, context)
    slots: dict[int, Any] = cache._slots
    assert sorted(slots) == list(range(12))
    kept = torch.stack([slots[key].read(len(ids))[0] for key in range(12)])
    assert worst(kept, numbers["cache_keys"]) < NEAR


def test_hrm_text_with_a_prefix_is_that_of_the_published_code() -> None:
    numbers = expected("hrm_text/golden_a")
    found = model("hrm_text/golden_a").with_prefix(facts("hrm_text/golden_a")["prefix_length"])
    assert not found.causal
    check_recurrent_model(found)
    context = found.embed(numbers["input_ids"])
    state = found.initial_state(context, 0)
    for wanted, logits in zip(numbers["prefix.states"], numbers["prefix.logits"], strict=True):
        assert worst(state, wanted) < NEAR
        assert worst(found.readout(state, context), logits) < NEAR
        state = found.step(state, context)


@pytest.mark.parametrize("cached", [True, False])
def test_hrm_text_decodes_after_a_prefix_as_the_published_code(cached: bool) -> None:
    numbers = expected("hrm_text/golden_a")
    way = "greedy_prefix_cache" if cached else "greedy_prefix_nocache"
    wanted = numbers[way][0].tolist()
    tokens, logits = greedy(model("hrm_text/golden_a").with_prefix(5), wanted[:5], 12, 2, cached=cached)
    assert tokens == wanted
    assert worst(logits, numbers[f"{way}_logits"]) < NEAR


def test_albert_sees_no_padding() -> None:
    found, numbers = model("albert/golden_a"), expected("albert/golden_a")
    context = found.embed(
        numbers["input_ids"],
        token_types=numbers["token_type_ids"],
        padding=numbers["attention_mask"] == 0,
    )
    state = found.initial_state(context, 0)
    for _ in range(found.trained_iterations):
        state = found.step(state, context)
    assert worst(found.readout(state, context), numbers["masked.final_logits"]) < NEAR

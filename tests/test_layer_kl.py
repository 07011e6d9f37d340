"""Effect, lens and difference of layers, each against an answer known otherwise."""

from __future__ import annotations

import inspect
import math
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from causal_for_tests import ASKED_FOR, causal_model
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from models_for_tests import Counter, tiny_model
from torch import Tensor, nn

import latentkit as lk
from latentkit import criteria
from latentkit.errors import ArgumentError, LatentkitError, ModelError, PromptError
from latentkit.models.layered.causal import CausalModel
from latentkit.models.layered.unrolled import Head, linear_head
from latentkit.run import INTERVENTIONS, Intervention, InterventionTarget
from latentkit.run.layers import comparison, divergence
from latentkit.run.layers.divergence import divergence_of_states
from latentkit.run.layers.table import finished_values

IDS = [3, 1, 4, 1, 5, 9, 2, 6]


DEFAULTS: dict[str, Any] = {"progress": False, "new_tokens": 3}


def effect(model: Any, prompt: Any = IDS, **options: Any) -> xr.Dataset:
    return lk.run_layer_effect(model, prompt, **{**DEFAULTS, **options})


def lens(model: Any, prompt: Any = IDS, **options: Any) -> xr.Dataset:
    return lk.run_layer_lens(model, prompt, **{**DEFAULTS, **options})


def difference(model: Any, other: Any, prompt: Any = IDS, **options: Any) -> xr.Dataset:
    return lk.run_layer_difference(model, prompt, other, **{**DEFAULTS, **options})


# An oracle that shares no code with what it tests: hooks, whole passes, float64.


def kl64(p: Tensor, q: Tensor) -> np.ndarray:
    log_p, log_q = p.double().log_softmax(-1), q.double().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).numpy()


@torch.no_grad()
def own_logits(model: CausalModel, ids: list[int]) -> Tensor:
    return model.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def blocks_of(model: CausalModel) -> list[nn.Module]:
    """The block behind each layer, by attribute names."""
    base = model.module.base_model
    if hasattr(base, "H_module"):
        stacks = {"L_module": base.L_module.layers, "H_module": base.H_module.layers}
        return [stacks[layer.stack][layer.block] for layer in model.layers]
    return list(base.h if hasattr(base, "h") else base.layers)


@torch.no_grad()
def with_layer(
    model: CausalModel, ids: list[int], index: int, change: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Logits of a whole pass with one layer's output changed by a forward hook."""
    calls = iter(range(100))

    def hook(_module: nn.Module, args: Any, kwargs: Any, out: Any) -> Any:
        state = args[0] if args else kwargs["hidden_states"]
        return change(state, out) if next(calls) == index else out

    hooks = [block.register_forward_hook(hook, with_kwargs=True) for block in dict.fromkeys(blocks_of(model))]
    logits = own_logits(model, ids)
    for handle in hooks:
        handle.remove()
    return logits


def positions(result: xr.Dataset) -> tuple[list[int], slice]:
    new = result.token_id.values.tolist()
    return IDS + new[:-1], slice(len(IDS) - 1, len(IDS) - 1 + len(new))


# The numerics


@pytest.mark.parametrize("name", ASKED_FOR)
def test_the_effect_of_skipping_a_layer_is_that_of_a_whole_pass_without_it(name: str) -> None:
    model = causal_model(name)
    result = effect(model)
    ids, places = positions(result)
    clean = own_logits(model, ids)[places]
    wanted = [
        kl64(clean, with_layer(model, ids, i, lambda state, _out: state)[places])
        for i in range(len(model.layers))
    ]
    assert np.max(wanted) > 1e-3
    np.testing.assert_allclose(result.kl, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "cohere", "granite", "phi", "hrm_text"])
def test_the_lens_is_the_final_norm_once_and_the_whole_head(name: str) -> None:
    model = causal_model(name)
    result = lens(model)
    ids, places = positions(result)
    base = model.module.base_model
    norm = next(
        part
        for part in (
            getattr(base, "norm", None),
            getattr(base, "ln_f", None),
            getattr(base, "final_layernorm", None),
            getattr(getattr(base, "H_module", None), "final_norm", None),
        )
        if part is not None
    )
    config, head = model.module.config, model.module.get_output_embeddings()
    states: list[Tensor] = []
    for i in range(len(model.layers)):
        with_layer(model, ids, i, lambda _state, out: (states.append(out[0]), out)[1])
    own = own_logits(model, ids)[places]
    for state, found in zip(states, result.kl, strict=True):
        logits = head(norm(state[places]))
        logits = logits * getattr(config, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
        if cap := getattr(config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        np.testing.assert_allclose(found, kl64(own, logits), atol=1e-5)
    assert result.kl[0].min() > 1e-3
    assert (result.kl[-1] == 0).all()


def test_probabilities_are_float32_whatever_the_weights_are() -> None:
    model = causal_model("llama", dtype=torch.bfloat16)
    result = lens(model)
    ids, places = positions(result)
    states: list[Tensor] = []
    for i in range(3):
        with_layer(model, ids, i, lambda _state, out: (states.append(out[0]), out)[1])
    head = model.module.lm_head.weight.double()
    with torch.no_grad():
        logits = [model.module.model.norm(state[places]).double() @ head.T for state in states]
    wanted = [kl64(logits[-1], one) for one in logits]
    np.testing.assert_allclose(result.kl, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_a_streamed_head_computes_in_float32_too(name: str) -> None:
    model = causal_model(name, dtype=torch.bfloat16)
    result = effect(model, divergence="reverse_kl")
    ids, places = positions(result)
    clean = own_logits(model, ids)[places]
    wanted = [kl64(with_layer(model, ids, i, lambda state, _out: state)[places], clean) for i in range(3)]
    np.testing.assert_allclose(result.reverse_kl, wanted, atol=1e-5)


def test_one_pass_equals_decoding_step_by_step() -> None:
    model = causal_model("qwen3")
    whole = lens(model, new_tokens=4)
    new = whole.token_id.values.tolist()
    for step in range(4):
        one = lens(model, IDS + new[:step], new_tokens=1)
        assert one.token_id.item() == new[step]
        np.testing.assert_allclose(one.kl[:, 0], whole.kl[:, step], atol=1e-6)


CHANGES: dict[str, dict[str, Any]] = {
    "skip": {},
    "repeat": {},
    "zero_attention": {},
    "zero_mlp": {},
    "mean_attention": {},
    "mean_mlp": {},
    "add": {"value": np.linspace(-1, 1, 32)},
    "noise": {"value": 0.5},
    "patch": {"source": [7, 7, 4, 1, 5, 9, 2, 8]},
    "knock_out": {"value": slice(0, 3)},
}


@pytest.mark.parametrize("do", CHANGES)
@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2", "hrm_text", "tiny"])
def test_a_column_of_an_effect_does_not_depend_on_the_columns_after_it(name: str, do: str) -> None:
    model = tiny_model() if name == "tiny" else causal_model(name)
    options = {"do": do, "iterations": 2 if name == "tiny" else None, **CHANGES[do]}
    long = effect(model, continuation=[8, 7, 6, 5], **options)
    short = effect(model, continuation=[8, 7], **options)
    np.testing.assert_allclose(short.kl, long.kl[:, :2], atol=1e-6)
    assert long.kl.max() > 1e-5


@pytest.mark.parametrize("name", [*ASKED_FOR, "tiny"])
def test_the_identity_has_no_effect_and_a_run_does_not_differ_from_itself(name: str) -> None:
    model = tiny_model() if name == "tiny" else causal_model(name)
    iterations = 2 if name == "tiny" else None
    assert (effect(model, do="identity", iterations=iterations).kl == 0).all()
    assert (difference(model, IDS, iterations=iterations).kl == 0).all()
    assert (lens(model, iterations=iterations).kl[-1] == 0).all()


def states(size: float) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, (3, 8), elements=st.floats(-size, size, width=32))


HEAD = 0.5 * torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
HEADS = {
    "linear": (linear_head(HEAD), lambda x: x.double() @ HEAD.double().T),
    "soft-capped": (
        Head(lambda x: 30 * torch.tanh(x @ HEAD.T / 30)),
        lambda x: 30 * torch.tanh(x.double() @ HEAD.double().T / 30),
    ),
}


@pytest.mark.parametrize("kind", HEADS)
@settings(deadline=None)
@given(x=states(2.0), change=states(2.0**-13))
def test_rounding_makes_no_divergence_more_negative_than_a_millionth(
    kind: str, x: np.ndarray, change: np.ndarray
) -> None:
    """Logits up to about 10; the error grows with them, as float32 does."""
    head, exact = HEADS[kind]
    p = torch.from_numpy(x)
    for q in (p + torch.from_numpy(change), p.flip(0)):
        found = divergence_of_states(head, p, q, torch.arange(3))
        assert (found >= -1e-6).all()
        np.testing.assert_allclose(found, kl64(exact(p), exact(q)), atol=2e-6, rtol=1e-6)


def test_what_rounding_made_negative_is_zero_in_the_result() -> None:
    found = finished_values(torch.tensor([[-1e-7, 0.5]]), "nats", "made up", blank_rows=False)
    assert found.tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize("kind", HEADS)
@settings(deadline=None)
@given(p=states(8.0), q=states(8.0))
def test_divergences_are_those_of_float64(kind: str, p: np.ndarray, q: np.ndarray) -> None:
    head, exact = HEADS[kind]
    x, y = torch.from_numpy(p), torch.from_numpy(q)
    found = divergence_of_states(head, x, y, torch.arange(3))
    np.testing.assert_allclose(found, kl64(exact(x), exact(y)), atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("vocabulary", [1, 127, 128, 129, 1000])
@pytest.mark.parametrize("biased", [False, True])
def test_tiles_of_the_vocabulary_add_up(
    vocabulary: int, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divergence, "_TILE", 64)
    generator = torch.Generator().manual_seed(1)
    weight = 0.5 * torch.randn(vocabulary, 16, generator=generator)
    bias = torch.randn(vocabulary, generator=generator) if biased else None
    plain = linear_head(weight, bias)
    head = Head(plain.logits, weight, bias, 1.5)
    p, q = torch.randn(2, 5, 16, generator=generator)
    pair = torch.tensor([4, 0, 0, 2, 1])
    found = divergence_of_states(head, p, q, pair)
    np.testing.assert_allclose(found, kl64(1.5 * plain.logits(p)[pair], 1.5 * plain.logits(q)), atol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 500.0, -500.0])
def test_logits_of_any_size_neither_overflow_nor_vanish(offset: float) -> None:
    weight = torch.tensor([[1000.0], [0.0], [-1000.0]])
    p, q = torch.tensor([[1.0]]), torch.tensor([[-1.0], [1.0]])
    bias = torch.full((3,), offset)
    found = divergence_of_states(linear_head(weight, bias), p, q, torch.zeros(2, dtype=torch.int64))
    np.testing.assert_allclose(found, [2000, 0])


@pytest.mark.parametrize("offset", [100.0, -100.0])
def test_a_constant_on_all_logits_changes_nothing(offset: float) -> None:
    p, q = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(3))
    plain = divergence_of_states(linear_head(HEAD), p, q, torch.arange(3))
    moved = divergence_of_states(linear_head(HEAD, torch.full((500,), offset)), p, q, torch.arange(3))
    np.testing.assert_allclose(moved, plain, atol=2e-5)  # float32 has no more digits near 100


@pytest.mark.parametrize("name", ["reverse_kl", "js", "total_variation", "entropy"])
@pytest.mark.parametrize("chunk", [1, 200, 10**6])
def test_other_divergences_are_streamed_in_chunks_of_any_size(
    name: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divergence, "_CHUNK", chunk)
    head = linear_head(torch.randn(50, 8, generator=torch.Generator().manual_seed(0)))
    p, q = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(1))
    pair = torch.tensor([0, 6, 3, 3, 1, 2, 5])
    found = divergence_of_states(head, p, q, pair, name)
    log_p, log_q = (head.logits(x).double().log_softmax(-1) for x in (p[pair], q))
    both = torch.stack((log_p, log_q)).exp()
    wanted = {
        "reverse_kl": kl64(log_q, log_p),
        "js": (kl64(log_p, both.mean(0).log()) + kl64(log_q, both.mean(0).log())) / 2,
        "total_variation": both.diff(dim=0).abs().sum(-1)[0].numpy() / 2,
        "entropy": -(both[1] * log_q).sum(-1).numpy(),
    }[name]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@settings(deadline=None)
@given(arrays(np.float64, (2, 5), elements=st.floats(-40, 40)))
def test_jensen_shannon_is_symmetric_and_at_most_log_two_and_total_variation_at_most_one(
    x: np.ndarray,
) -> None:
    p, q = criteria.log_softmax(x)
    js, tv = criteria.js_divergence(p, q), criteria.total_variation(p, q)
    assert -1e-12 <= js <= math.log(2) + 1e-12
    assert js == pytest.approx(float(criteria.js_divergence(q, p)), abs=1e-12)
    assert -1e-12 <= tv <= 1 + 1e-12
    assert js <= math.log(2) * tv + 1e-9  # Lin (1991), theorem 3
    assert tv <= math.sqrt(max(2 * float(js), 0)) + 1e-6  # Pinsker, for both halves


def test_jensen_shannon_is_not_half_of_jeffreys_and_total_variation_not_the_largest_gap() -> None:
    p, q = np.log([0.7, 0.2, 0.1]), np.log([0.1, 0.2, 0.7])
    jeffreys = (criteria.kl_divergence(p, q) + criteria.reverse_kl(p, q)) / 2
    assert jeffreys == pytest.approx(0.6 * math.log(7))
    mixture = np.log([0.4, 0.2, 0.4])
    assert criteria.js_divergence(p, q) == pytest.approx(float(np.sum(np.exp(p) * (p - mixture))))
    halves = np.log([0.4, 0.4, 0.1, 0.1]), np.log([0.1, 0.1, 0.4, 0.4])  # no gap is larger than 0.3
    assert criteria.total_variation(*halves) == pytest.approx(0.6)


def test_several_prompts_give_each_its_row_and_their_mean() -> None:
    model = causal_model("llama")
    prompts = [IDS, [5, 6, 7], [9, 8]]
    result = effect(model, prompts)
    assert result.kl.dims == ("prompt", "layer", "generated_token")
    for i, prompt in enumerate(prompts):
        alone = effect(model, prompt)
        np.testing.assert_allclose(result.kl[i], alone.kl, atol=1e-7)
        assert result.token_id[i].values.tolist() == alone.token_id.values.tolist()
    np.testing.assert_allclose(result.kl_mean, result.kl.mean("prompt"), rtol=1e-6)
    half = 4.302653 * result.kl.std("prompt", ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(result.kl_high - result.kl_mean, half, rtol=1e-4)
    np.testing.assert_allclose(result.kl_mean - result.kl_low, half, rtol=1e-4)


# What the definitions say


def test_the_direction_is_from_the_reference() -> None:
    model = causal_model("llama")
    result, reverse = lens(model), lens(model, divergence="reverse_kl")
    assert result.direction == "KL(final ‖ layer)"
    assert reverse.direction == "KL(layer ‖ final)"
    assert np.abs(result.kl - reverse.reverse_kl)[0].max() > 1e-3
    assert effect(model).direction == "KL(clean ‖ intervened)"


def test_previous_compares_each_layer_with_the_one_before() -> None:
    model = causal_model("llama")
    result = lens(model, reference="previous", layers=[2, 0, 1])
    assert np.isnan(result.kl.sel(layer=0)).all()
    ids, places = positions(result)
    states: list[Tensor] = []
    for i in range(3):
        with_layer(model, ids, i, lambda _state, out: (states.append(out[0]), out)[1])
    head, norm = model.module.lm_head, model.module.model.norm
    logits = [head(norm(state[places])) for state in states]
    np.testing.assert_allclose(result.kl.sel(layer=1), kl64(logits[0], logits[1]), atol=1e-5)
    np.testing.assert_allclose(result.kl.sel(layer=2), kl64(logits[1], logits[2]), atol=1e-5)


def test_two_models_are_compared_each_through_its_own_head() -> None:
    a, b = causal_model("llama", seed=1), causal_model("llama", seed=2)
    result = difference(a, b)
    ids, places = positions(result)
    np.testing.assert_allclose(
        result.kl[-1], kl64(own_logits(a, ids)[places], own_logits(b, ids)[places]), atol=1e-5
    )


def test_two_prompts_are_compared_on_the_continuation_of_the_first() -> None:
    model = causal_model("gpt2")
    other = [9, *IDS[1:]]
    result = difference(model, other)
    ids, places = positions(result)
    there = own_logits(model, other + ids[len(IDS) :])[places]
    np.testing.assert_allclose(result.kl[-1], kl64(own_logits(model, ids)[places], there), atol=1e-5)


def test_the_other_prompt_is_encoded_like_the_first() -> None:
    model = lk.load_model("nano-untrained")
    options: dict[str, Any] = {"iterations": 1, "new_tokens": 1}
    asked = difference(model, "What is 2?", "What is 1?", chat=True, **options)
    messages = [[{"role": "user", "content": f"What is {n}?"}] for n in (1, 2)]
    xr.testing.assert_equal(asked.kl, difference(model, messages[1], messages[0], **options).kl)


def test_a_knocked_out_token_changes_nothing_any_more() -> None:
    """If no layer attends to the first tokens, what they are makes no difference at the end."""
    model = causal_model("llama", num_hidden_layers=1)
    options: dict[str, Any] = {"do": "knock_out", "value": slice(0, 2), "continuation": [8, 7], "layers": [0]}
    found = []
    for prompt in (IDS, [9, 9, *IDS[2:]]):
        changed: list[Tensor] = []

        def keep(block: InterventionTarget, changed: list[Tensor] = changed) -> Tensor:
            changed.append(INTERVENTIONS["knock_out"].apply(block))
            return changed[-1]

        effect(model, prompt, do=keep, value=slice(0, 2), continuation=[8, 7])
        found.append(changed[-1])
    torch.testing.assert_close(found[0][:, 2:], found[1][:, 2:])
    assert effect(model, **options).kl.max() > 1e-3


def test_a_knock_out_keeps_the_window_that_a_block_has_of_its_own() -> None:
    """Tokens outside a window of 4 cannot be seen anyway, so hiding them changes nothing."""
    model = causal_model("mistral", num_hidden_layers=1)
    assert (effect(model, do="knock_out", value=slice(0, 4)).kl == 0).all()
    assert effect(model, do="knock_out", value=slice(4, 7)).kl.max() > 1e-4


def test_patching_every_position_of_the_prompt_at_the_last_layer_gives_the_other_prompts_first_token() -> (
    None
):
    model = causal_model("llama")
    other = [7, 7, 4, 1, 5, 9, 2, 8]
    result = effect(model, do="patch", source=other, layers=[-1])
    wanted = kl64(own_logits(model, IDS)[-1], own_logits(model, other)[-1])
    np.testing.assert_allclose(result.kl[0, 0], wanted, atol=1e-5)
    assert (result.kl[0, 1:] == 0).all()  # later positions are not patched, and no layer follows


def test_noise_is_as_long_as_was_asked_for_and_the_same_every_time() -> None:
    model = causal_model("llama")
    lengths = []

    def noisy(block: InterventionTarget) -> Tensor:
        plain = block.run()
        noise = INTERVENTIONS["noise"].apply(block) - plain
        lengths.append(noise.norm(dim=-1) / plain.norm(dim=-1))
        return plain + noise

    first = effect(model, do=noisy, value=0.25)
    torch.testing.assert_close(torch.stack(lengths), torch.full((3, 1, 10), 0.25))
    xr.testing.assert_equal(first.kl, effect(model, do="noise", value=0.25).kl)


def test_an_intervention_of_ones_own_takes_five_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    def halve(block: InterventionTarget) -> Tensor:
        return (block.state + block.run()) / 2

    model = causal_model("llama")
    direct = effect(model, do=halve)
    monkeypatch.setitem(INTERVENTIONS, "halve", Intervention(halve))
    xr.testing.assert_equal(direct.kl, effect(model, do="halve").kl)
    assert direct.attrs["do"] == "halve"
    ids, places = positions(direct)
    halved = with_layer(model, ids, 1, lambda state, out: (state + out) / 2)[places]
    np.testing.assert_allclose(direct.kl[1], kl64(own_logits(model, ids)[places], halved), atol=1e-5)


def test_a_divergence_of_ones_own_takes_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(p: Any, q: Any) -> Any:
        return abs(p - q).max(-1).values

    monkeypatch.setitem(criteria.DIVERGENCES, "surprise", criteria.Divergence(surprise, "surprise({p}, {q})"))
    result = lens(causal_model("llama"), divergence="surprise")
    assert result.surprise.dims == ("layer", "generated_token")
    assert result.surprise[0].min() > 0


# Recurrent depth


def readouts(model: Any, ids: list[int], iterations: int) -> list[Tensor]:
    context = model.embed(torch.tensor([ids]))
    state = model.initial_state(context, 0)
    found = []
    for _ in range(iterations):
        state = model.step(state, context)
        found.append(model.readout(state, context)[0])
    return found


def test_the_layers_of_a_recurrent_model_are_its_unrolled_depth() -> None:
    result = lens(tiny_model(), iterations=3)
    rows = zip(
        *(result[name].values.tolist() for name in ("stack", "iteration", "block", "lens")), strict=True
    )
    assert list(rows) == [
        ("prelude", 0, 0, "logit"),
        *[("core", i, block, lens) for i in (1, 2, 3) for block, lens in ((0, "logit"), (1, "coda"))],
        ("coda", 0, 0, "logit"),
    ]
    assert result.layer.values.tolist() == list(range(8))


def test_the_iterations_of_a_recurrent_model_stand_in_the_attributes() -> None:
    assert lens(tiny_model(), iterations=3).attrs["iterations"] == 3
    assert lens(tiny_model()).attrs["iterations"] == 13
    assert "iterations" not in lens(causal_model("llama")).attrs


def test_depth_is_28_layers_unless_iterations_are_given() -> None:
    assert lens(tiny_model(n_layers_in_recurrent_block=1)).sizes["layer"] == 28
    assert lens(tiny_model()).sizes["layer"] == 28  # 1 + 13 × 2 + 1


def test_whole_iterations_are_read_out_by_the_coda() -> None:
    model = tiny_model()
    result = lens(model, iterations=4)
    ids, places = positions(result)
    logits = [one[places] for one in readouts(model, ids, 4)]
    for i, found in enumerate(logits, start=1):
        row = result.kl.sel(layer=2 * i)
        assert (row.iteration, row.block, row.lens) == (i, 1, "coda")
        np.testing.assert_allclose(row, kl64(logits[-1], found), atol=1e-5)


def test_the_iteration_before_is_the_exit_test_of_the_published_model() -> None:
    model = tiny_model()
    result = lens(model, iterations=4, reference="previous_iteration")
    ids, places = positions(result)
    logits = [one[places] for one in readouts(model, ids, 4)]
    for i in (2, 3, 4):
        np.testing.assert_allclose(result.kl.sel(layer=2 * i), kl64(logits[i - 2], logits[i - 1]), atol=1e-5)
    assert np.isnan(result.kl.sel(layer=[0, 1, 2, 9])).all()


def test_other_states_of_a_recurrent_model_are_read_out_by_norm_and_head() -> None:
    model = tiny_model()
    result = lens(model, iterations=2)
    ids, places = positions(result)
    parts = model.module.transformer
    context = model.embed(torch.tensor([ids]))
    with torch.no_grad():
        logits = model.module.lm_head(parts.ln_f(context.embedding[0, places]))
    wanted = kl64(readouts(model, ids, 2)[-1][places], logits)
    np.testing.assert_allclose(result.kl.sel(layer=0), wanted, atol=1e-5)


def test_tokens_of_a_recurrent_model_are_its_greedy_ones() -> None:
    model = tiny_model()
    ids = list(IDS)
    for _ in range(3):
        ids.append(int(readouts(model, ids, 5)[-1][-1].argmax()))
    assert effect(model, iterations=5).token_id.values.tolist() == ids[len(IDS) :]


def test_runs_of_different_depth_are_paired_from_their_ends() -> None:
    model = tiny_model()
    result = difference(model, 5, iterations=3, layers=[-1, -2, -4])
    ids, places = positions(result)
    short, long = (readouts(model, ids, n) for n in (3, 5))
    np.testing.assert_allclose(result.kl[0], kl64(short[-1][places], long[-1][places]), atol=1e-5)
    np.testing.assert_allclose(result.kl[1], kl64(short[-1][places], long[-1][places]), atol=1e-5)
    np.testing.assert_allclose(result.kl[2], kl64(short[-2][places], long[-2][places]), atol=1e-5)


def only(model: Any, *hidden: str) -> Any:
    """A model without some of its optional verbs."""

    class Fewer:
        def __getattr__(self, name: str) -> Any:
            if name in hidden:
                raise AttributeError(name)
            return getattr(model, name)

    return Fewer()


OPTIONAL = ("step_blocks", "head", "last_hidden", "new_cache", "cache_bytes", "config")


def test_a_looped_model_with_only_the_five_verbs_has_a_layer_for_each_iteration() -> None:
    whole, bare = tiny_model(), only(tiny_model(), *OPTIONAL)
    every, found = lens(whole, iterations=4), lens(bare, iterations=4)
    rows = zip(
        *(found[name].values.tolist() for name in ("stack", "iteration", "block", "lens")), strict=True
    )
    assert list(rows) == [("core", i, 0, "coda") for i in (1, 2, 3, 4)]
    np.testing.assert_array_equal(found.token_id, every.token_id)
    np.testing.assert_allclose(found.kl, every.kl.sel(layer=[2, 4, 6, 8]), atol=1e-6)
    assert (found.kl[-1] == 0).all()
    assert (effect(bare, iterations=4, do="identity").kl == 0).all()
    skipped = effect(bare, iterations=4)  # skipping one of four passes is running three
    ids, places = positions(skipped)
    logits = [one[places] for one in readouts(whole, ids, 4)]
    for row in skipped.kl:
        np.testing.assert_allclose(row, kl64(logits[3], logits[2]), atol=1e-5)
    np.testing.assert_allclose(
        difference(bare, 2, iterations=4, layers=[-1]).kl[0], kl64(logits[3], logits[1]), atol=1e-5
    )


def test_without_a_head_every_block_is_read_out_by_the_models_own_readout() -> None:
    whole, bare = tiny_model(), only(tiny_model(), "head", "last_hidden")
    every, found = lens(whole, iterations=2), lens(bare, iterations=2)
    assert found["stack"].values.tolist() == every["stack"].values.tolist()
    assert found.lens.values.tolist() == ["coda"] * 5 + ["logit"]
    np.testing.assert_allclose(found.kl.sel(layer=[2, 4, 5]), every.kl.sel(layer=[2, 4, 5]), atol=1e-6)


def test_a_model_without_a_linear_head_is_compared_by_its_logits() -> None:
    result = lens(Counter(), [1, 2, 3], iterations=3, new_tokens=2)
    assert result.layer.values.tolist() == [0, 1, 2]
    one_apart = 5 - np.log(np.exp(5) + 7) - (0 - np.log(np.exp(5) + 7))  # logits 5 at one token, 0 elsewhere
    share = np.exp(5) / (np.exp(5) + 7)
    wanted = one_apart * (share - (1 - share) / 7)
    np.testing.assert_allclose(result.kl, [[wanted, wanted], [wanted, wanted], [0, 0]], rtol=1e-5)


def test_the_depth_a_model_was_trained_at_is_its_default() -> None:
    model = tiny_model()
    model.trained_iterations = 4  # type: ignore[attr-defined]
    assert lens(model).attrs["iterations"] == 4


# What the result holds


def test_layers_come_in_the_order_asked_for_with_their_true_index() -> None:
    model = causal_model("llama", num_hidden_layers=6)
    every = effect(model)
    some = effect(model, layers=[5, 0, -2])
    assert some.layer.values.tolist() == [5, 0, 4]
    xr.testing.assert_allclose(some.kl, every.kl.sel(layer=[5, 0, 4]))
    np.testing.assert_array_equal(some.block, [5, 0, 4])


def test_stop_tokens_do_not_end_the_columns() -> None:
    model = causal_model("llama")
    with torch.no_grad():
        model.module.lm_head.weight.zero_()
        model.module.lm_head.weight[0] = 1e-4 * model.module.model.norm.weight  # token 0 is the end token
    result = effect(model, new_tokens=5, continuation=None)
    assert dict(result.sizes) == {"layer": 3, "generated_token": 5}
    assert result.generated_token.values.tolist() == [0, 1, 2, 3, 4]


def test_what_was_done_stands_in_the_attributes() -> None:
    result = effect(causal_model("llama"), do="zero_mlp")
    wanted = {
        "model": "llama",
        "dtype": "float32",
        "definition": "effect",
        "do": "zero_mlp",
        "divergence": "kl",
        "direction": "KL(clean ‖ intervened)",
        "units": "nats",
    }
    assert {name: result.attrs[name] for name in wanted} == wanted
    assert result.kl.attrs == {"long_name": "KL(clean ‖ intervened)", "units": "nats"}
    assert result.token_text.values.tolist() == [f"<{i}>" for i in result.token_id.values]


def test_bits_are_nats_over_the_logarithm_of_two() -> None:
    model = causal_model("llama")
    nats, bits = effect(model), effect(model, units="bits")
    np.testing.assert_allclose(bits.kl, nats.kl / math.log(2), rtol=1e-6)
    assert bits.attrs["units"] == bits.kl.units == "bits"


@pytest.mark.parametrize("prompt", [IDS, [IDS, [5, 6]]])
def test_a_result_is_saved_and_opened_identical(prompt: Any, tmp_path: Any) -> None:
    result = effect(causal_model("llama"), prompt)
    xr.testing.assert_identical(lk.open_trace(lk.save_trace(result, tmp_path / "layers.nc")), result)


def test_same_inputs_give_an_identical_dataset() -> None:
    xr.testing.assert_identical(effect(causal_model("olmo2")), effect(causal_model("olmo2")))


def test_the_effect_does_not_run_the_layers_below_again() -> None:
    model = causal_model("llama", num_hidden_layers=6)
    calls = []
    for number, block in enumerate(blocks_of(model)):
        block.mlp.register_forward_hook(lambda *_, number=number: calls.append(number))
    effect(model, continuation=[8, 7], layers=[4])
    assert calls == [0, 1, 2, 3, 4, 5, 5]  # once clean; then only what follows the skipped layer


def test_an_interrupt_keeps_the_layers_that_are_there() -> None:
    model = causal_model("llama", num_hidden_layers=4)
    calls = []

    def stop_at_second(block: InterventionTarget) -> Tensor:
        calls.append(block.layer.index)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return block.state

    with pytest.warns(UserWarning, match="Interrupted") as caught:
        result = effect(model, do=stop_at_second)
    assert (
        str(caught[0].message) == "Interrupted: layers and prompts that were not reached are NaN or absent."
    )
    np.testing.assert_array_equal(np.isnan(result.kl).all("generated_token"), [False, False, True, True])
    assert result.attrs["interrupted"] == 1


def test_an_interrupt_while_the_result_is_labelled_loses_nothing(monkeypatch) -> None:
    model = causal_model("llama", num_hidden_layers=2)
    whole = effect(model)
    describe = comparison.provenance

    def interrupted(model: Any) -> dict[str, Any]:
        signal.raise_signal(signal.SIGINT)
        return describe(model)

    monkeypatch.setattr(comparison, "provenance", interrupted)
    xr.testing.assert_identical(effect(model), whole)


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layers": [0, 3]},
            "layers holds 3. This model has layers 0 to 2, or -3 to -1 from the end.",
        ),
        (
            {"layers": [0, 1.5]},
            "layers holds 1.5. This model has layers 0 to 2, or -3 to -1 from the end.",
        ),
        (
            {"layers": [2, 0, -1]},
            "layers holds 2 more than once. Name each layer once. This model has layers 0 to 2, or -3 to -1 "
            "from the end.",
        ),
        (
            {"layers": []},
            "layers is []; pass a list of layers such as [0, 2], or None for all. This model has layers "
            "0 to 2, or -3 to -1 from the end.",
        ),
        (
            {"units": "bit"},
            "No units named 'bit'. Did you mean 'bits'? Known: 'bits', 'nats'.",
        ),
        (
            {"do": "skipp"},
            "do is 'skipp', which is no known intervention. Did you mean 'skip'? Known: 'add', 'identity', "
            "'knock_out', 'mean_attention', 'mean_mlp', 'noise', 'patch', 'repeat', 'skip', "
            "'zero_attention', 'zero_mlp'. A function works too.",
        ),
        (
            {"do": "noise"},
            "value is None; do='noise' takes a number above 0, the length of the noise over that of the "
            "state.",
        ),
        (
            {"do": "add", "value": [1.0, 2.0]},
            "value has the shape (2,); do='add' needs a vector of 32 numbers.",
        ),
        (
            {"do": "knock_out", "value": slice(20, 30)},
            "value is slice(20, 30, None); do='knock_out' takes a slice of positions of the prompt, such as "
            "slice(0, 1).",
        ),
        ({"do": "patch"}, "source is None; do='patch' needs source=, another prompt."),
        ({"value": 3}, "value is 3; do='skip' takes no value."),
        ({"source": IDS}, "source is [3, 1, 4, 1, 5, 9, 2, 6]; do='skip' takes no source=."),
        (
            {"do": "patch", "source": [1, 2]},
            "The prompt has 8 tokens and source has 2; the two runs are compared position by position. Pass "
            "two prompts of the same length in tokens.",
        ),
        (
            {"divergence": "total_variation", "units": "bits"},
            "divergence='total_variation' is a number between 0 and 1 without a unit. Leave units= out.",
        ),
        (
            {"continuation": []},
            "continuation is []; pass at least one token id, counted from 0, or None for the model's own.",
        ),
        ({"new_tokens": 0}, "new_tokens is 0; pass a whole number of at least 1."),
        ({"iterations": 10**7}, "iterations is 10000000; pass a whole number from 1 to 10000."),
        (
            {"new_tokens": 60},
            "The prompt has 8 tokens and 60 new ones; llama can hold 64. Pass a shorter prompt or ask for "
            "fewer new tokens.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ArgumentError, PromptError)) as caught:
        effect(causal_model("llama"), **options)
    assert str(caught.value) == message


def test_an_unknown_reference_gets_the_nearest_known_one() -> None:
    with pytest.raises(ArgumentError) as caught:
        lens(causal_model("llama"), reference="finel")
    assert str(caught.value) == (
        "No reference named 'finel'. Did you mean 'final'? Known: 'final', 'previous', 'previous_iteration'."
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (None, "other is None; pass another prompt, another model, or a number of iterations."),
        (
            [1, 2],
            "The prompt has 8 tokens and other has 2; the two runs are compared position by position. Pass "
            "two prompts of the same length in tokens.",
        ),
        (
            5,
            "other is 5, a number of iterations, but llama has a fixed depth. Pass another prompt or another "
            "model.",
        ),
    ],
)
def test_a_run_that_cannot_be_compared_is_refused(other: Any, message: str) -> None:
    with pytest.raises((ArgumentError, PromptError)) as caught:
        difference(causal_model("llama"), other)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("run", "own"),
    [
        (lk.run_layer_effect, {"do", "value", "source"}),
        (lk.run_layer_lens, {"reference"}),
        (lk.run_layer_difference, {"other"}),
    ],
)
def test_each_comparison_has_only_the_arguments_that_mean_something_there(run: Any, own: set[str]) -> None:
    shared = set(inspect.signature(lk.run_layer_effect).parameters) - {"do", "value", "source"}
    assert set(inspect.signature(run).parameters) == shared | own


def test_all_three_are_one_kind_of_result() -> None:
    model = causal_model("llama")
    results = {"effect": effect(model), "lens": lens(model), "difference": difference(model, IDS)}
    for name, result in results.items():
        assert (result.attrs["kind"], result.attrs["definition"]) == ("layers", name)
        assert result.kl.dims == ("layer", "generated_token")


def test_a_block_whose_attention_adds_the_residual_itself_is_not_zeroed_alone() -> None:
    with pytest.raises(ArgumentError) as caught:
        effect(causal_model("bloom"), do="zero_attention")
    assert str(caught.value) == (
        "The BloomAttention of layer 0 (h, block 0) adds the residual stream itself, so its output cannot be "
        "replaced alone. Pass a function as do=."
    )


def test_a_block_without_an_mlp_says_what_it_has() -> None:
    with pytest.raises(ArgumentError) as caught:
        effect(causal_model("opt"), do="zero_mlp")
    assert str(caught.value) == (
        "No mlp was found in layer 0 (decoder, block 0), whose members are self_attn, activation_fn, "
        "self_attn_layer_norm, fc1, fc2, final_layer_norm. Pass a function as do=."
    )


def test_weights_with_nan_are_an_error() -> None:
    model = causal_model("llama")
    model.module.lm_head.weight.data[3, 0] = torch.nan
    with pytest.raises(ModelError) as caught:
        effect(model, continuation=[1, 2])
    assert str(caught.value) == (
        "The predictions of llama are not finite. The weights hold NaN or overflow: load the model again, or "
        "with dtype='float32'."
    )


def test_what_is_not_a_model_is_refused() -> None:
    with pytest.raises(LatentkitError) as caught:
        effect(causal_model("llama").module)
    assert str(caught.value) == (
        "Expected a model from load_model, got LlamaForCausalLM, which lacks the verbs embed, initial_state, "
        "step, normalise, readout. Wrap a causal model of transformers in "
        "latentkit.models.layered.causal.CausalModel."
    )


def test_a_model_that_sees_later_tokens_is_refused() -> None:
    model = tiny_model()
    model.causal = False  # type: ignore[attr-defined]
    with pytest.raises(ModelError) as caught:
        lens(model)
    assert str(caught.value) == (
        "In tiny earlier positions see later tokens, so one pass does not give the predictions of "
        "step-by-step decoding. Its layers cannot be compared token by token."
    )


def test_models_over_different_vocabularies_are_not_compared() -> None:
    with pytest.raises(ArgumentError) as caught:
        difference(causal_model("llama"), tiny_model())
    assert str(caught.value) == (
        "tiny has 64 logits and llama 96; predictions over different vocabularies cannot be compared."
    )

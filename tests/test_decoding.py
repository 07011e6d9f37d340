"""`run_decoding` and `run_lens`: what a trace says is what the model did, token by token."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from golden_for_tests import GOLDEN
from models_for_tests import Counter, plain_model, tiny_model
from torch import Tensor

import latentkit as lk
from latentkit import criteria
from latentkit.errors import ArgumentError, ModelError, PromptError
from latentkit.run import memory
from latentkit.run.decoding.choices import sampled
from latentkit.run.decoding.streaming import TextStream
from latentkit.run.progress import Progress

IDS = [3, 1, 4, 1, 5]


def decode(model: Any, prompt: Any = IDS, **options: Any) -> xr.Dataset:
    settings = {"new_tokens": 4, "iterations": 6, "progress": False, **options}
    return lk.run_decoding(model, prompt, **settings)


class WithoutHead(Counter):
    """A model with the verbs of the contract only."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.module, self.vocab_size, self.hidden_size = model.module, model.vocab_size, model.hidden_size

    def embed(self, token_ids: Tensor, *, cache: Any = None) -> Any:
        return self.model.embed(token_ids)

    def initial_state(self, context: Any, seed: int | None) -> Tensor:
        return self.model.initial_state(context, seed)

    def step(self, state: Tensor, context: Any) -> Tensor:
        return self.model.step(state, context)

    def normalise(self, state: Tensor) -> Tensor:
        return self.model.normalise(state)

    def readout(self, state: Tensor, context: Any) -> Tensor:
        return self.model.readout(state, context)


# What stands in the trace


def test_a_counter_says_at_each_iteration_what_it_has_counted() -> None:
    trace = decode(Counter(), [1, 1], iterations=2, new_tokens=3, readout_top=2)
    assert trace.token_id.values.tolist() == [3, 5, 7]
    assert trace.token_text.values.tolist() == ["<3>", "<5>", "<7>"]
    assert trace.position.values.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(trace.readout_id.isel(rank=0), [[1, 2, 3], [3, 4, 5], [5, 6, 7]])
    np.testing.assert_allclose(trace.readout_probability.isel(rank=0), np.exp(5) / (np.exp(5) + 7), rtol=1e-6)
    np.testing.assert_allclose(trace.distance, [np.sqrt(2) * np.array([2, 1, 0])] * 3, rtol=1e-6)
    p, q = np.exp(5) / (np.exp(5) + 7), 1 / (np.exp(5) + 7)
    np.testing.assert_allclose(trace.kl, [[5 * (p - q), 5 * (p - q), 0]] * 3, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(trace.entropy, -(p * np.log(p) + 7 * q * np.log(q)), rtol=1e-5)


def test_every_variable_has_the_fixed_dimensions_and_a_name_for_plots() -> None:
    trace = decode(tiny_model(), watch=[2])
    cell = ("generated_token", "iteration")
    assert {name: variable.dims for name, variable in trace.data_vars.items()} == {
        **dict.fromkeys(("iterations_used", "stop_reason"), ("generated_token",)),
        **dict.fromkeys(("distance", "entropy", "kl"), cell),
        **dict.fromkeys(("readout_id", "readout_text", "readout_probability"), (*cell, "rank")),
        **dict.fromkeys(("watched_rank", "watched_probability"), (*cell, "watched")),
        "exit_value": (*cell, "criterion"),
    }
    assert {"token_id", "token_text", "position", "watched_text"} < set(trace.coords)
    assert dict(trace.sizes) == {
        "generated_token": 4,
        "iteration": 7,
        "rank": 5,
        "criterion": 7,
        "watched": 1,
    }
    assert trace.criterion.values.tolist() == list(criteria.EXIT_RULES)
    assert all(variable.attrs["long_name"] for variable in trace.variables.values())


@pytest.mark.parametrize(
    ("wrap", "cache"),
    [(lambda model: model, "full"), (lambda model: model, None), (WithoutHead, "full")],
    ids=["with a cache", "without", "a model with the contract's verbs only"],
)
def test_numbers_are_those_of_a_trace_of_the_whole_text(wrap: Any, cache: str | None) -> None:
    """With a cache a coda sees the last codas of earlier tokens, so only last readouts are the same."""
    model = tiny_model()
    trace = decode(wrap(model), cache=cache, new_tokens=5)
    ids = [*IDS, *trace.token_id.values.tolist()]
    whole = lk.run_recurrence(model, ids[:-1], iterations=6, limit=6, progress=False).isel(
        token=slice(len(IDS) - 1, None)
    )
    np.testing.assert_allclose(trace.distance, whole.distance, atol=1e-5)
    same = (slice(None), -1) if cache and wrap is not WithoutHead else (slice(None), slice(None))
    for name in ("entropy", "kl", "readout_probability"):
        np.testing.assert_allclose(trace[name].values[same], whole[name].values[same], atol=1e-5)
        np.testing.assert_allclose(trace[name][0], whole[name][0], atol=1e-5)  # read out with the prompt
    np.testing.assert_array_equal(trace.readout_id.values[same], whole.readout_id.values[same])
    np.testing.assert_array_equal(trace.token_id, trace.readout_id[:, -1, 0])


def test_chunks_of_iterations_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decode(tiny_model(), watch=[3])
    monkeypatch.setattr("latentkit.run.decoding.recorder._CHUNK_BYTES", 1)
    chunked = decode(tiny_model(), watch=[3])
    np.testing.assert_array_equal(chunked.readout_id, whole.readout_id)
    for name in ("readout_probability", "entropy", "kl", "exit_value", "watched_probability", "watched_rank"):
        np.testing.assert_allclose(chunked[name], whole[name], atol=1e-5)


def test_the_same_inputs_and_seed_give_an_identical_dataset() -> None:
    options = {"temperature": 0.8, "top_p": 0.9, "seed": 5}
    xr.testing.assert_identical(decode(tiny_model(), **options), decode(tiny_model(), **options))


def test_a_text_that_goes_on_from_its_own_beginning_is_the_same_text() -> None:
    model = tiny_model()
    for options in ({}, {"temperature": 1.0}):
        whole = decode(model, new_tokens=6, **options)
        later = decode(model, [*IDS, *whole.token_id.values[:3].tolist()], new_tokens=3, **options)
        np.testing.assert_array_equal(whole.token_id[3:], later.token_id)
        np.testing.assert_allclose(whole.distance[3:], later.distance, atol=1e-5)
        np.testing.assert_allclose(whole.entropy[3:, -1], later.entropy[:, -1], atol=1e-5)


def test_what_was_recorded_once_is_found_again() -> None:
    """Weights from a formula: these numbers do not depend on any generator."""
    kept = json.loads((GOLDEN / "plain_decoding.json").read_text())
    for options, wanted in ((case["options"], case) for case in kept):
        trace = decode(plain_model(), **options)
        assert trace.token_id.values.tolist() == wanted["token_id"], options
        assert trace.iterations_used.values.tolist() == wanted["iterations_used"], options
        np.testing.assert_allclose(trace.kl.values[:, 1], wanted["kl_at_1"], atol=1e-5)
        np.testing.assert_allclose(trace.distance.values[:, 1], wanted["distance_at_1"], atol=1e-4)


# With and without a cache, from where, to where


@pytest.mark.slow
def test_with_and_without_a_cache_64_tokens_are_the_same() -> None:
    model = lk.load_model("nano")
    prompt = list(range(20, 30))
    with_cache, without = (
        decode(model, prompt, new_tokens=64, iterations=4, readout_top=0, stop=(), cache=cache)
        for cache in ("full", None)
    )
    assert len(with_cache.token_id) == 64
    np.testing.assert_array_equal(with_cache.token_id, without.token_id)


def test_a_model_without_a_cache_decodes_too() -> None:
    np.testing.assert_array_equal(decode(WithoutHead(tiny_model())).token_id, decode(tiny_model()).token_id)


def test_no_seed_starts_every_call_from_zeros() -> None:
    model = tiny_model()
    zeros = np.zeros((len(IDS) + 3, 32), np.float32)
    same = [decode(model, seed=None), decode(model, initial_state=zeros)]
    np.testing.assert_array_equal(same[0].distance, same[1].distance)
    assert [trace.attrs["seed"] for trace in same] == ["zeros", "given"]


@pytest.mark.parametrize("warm_start", [True, "raw"])
def test_a_warm_start_is_the_last_final_state(warm_start: Any) -> None:
    model = tiny_model()
    found = decode(model, new_tokens=3, seed=None, warm_start=warm_start)
    starts = torch.zeros(len(IDS) + 2, 32)
    for count in range(2):  # work out one token more each time
        ids = [*IDS, *found.token_id.values[:count].tolist()]
        context = model.embed(torch.tensor([ids]))
        state = starts[None, : len(ids)]
        for _ in range(6):
            state = model.step(state, context)
        starts[len(ids)] = (model.normalise(state) if warm_start is True else state)[0, -1]
    given = decode(model, new_tokens=3, initial_state=starts)
    np.testing.assert_allclose(found.distance, given.distance, atol=1e-4)
    np.testing.assert_array_equal(found.token_id, given.token_id)


def test_drawn_tokens_follow_the_softmax_at_the_temperature() -> None:
    logits = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    choose = sampled(1.0, 1.0, seed=0)
    counts = np.bincount([choose(logits, position) for position in range(2000)], minlength=4)
    np.testing.assert_allclose(counts / 2000, [0.1, 0.2, 0.3, 0.4], atol=0.03)
    hotter = sampled(2.0, 1.0, seed=0)
    wanted = np.sqrt([0.1, 0.2, 0.3, 0.4]) / np.sqrt([0.1, 0.2, 0.3, 0.4]).sum()
    counts = np.bincount([hotter(logits, position) for position in range(2000)], minlength=4)
    np.testing.assert_allclose(counts / 2000, wanted, atol=0.03)


def test_top_p_draws_only_from_the_likeliest_that_hold_it() -> None:
    logits = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    for top_p, kept in ((0.39, {3}), (0.41, {2, 3}), (0.71, {1, 2, 3}), (1e-9, {3})):
        choose = sampled(1.0, top_p, seed=0)
        assert {choose(logits, position) for position in range(300)} == kept


def test_drawing_leaves_the_global_generators_alone() -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    decode(tiny_model(), temperature=1.0, cache="randomized")
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


@pytest.fixture(scope="module")
def nano() -> Any:
    return lk.load_model("nano-untrained")


def test_a_stop_token_is_the_last_one(nano: Any) -> None:
    free = decode(nano, "Hello", stop=(), new_tokens=6)
    assert (free.attrs["ended"], len(free.token_id)) == ("new_tokens", 6)
    vocabulary = nano.tokenizer.convert_ids_to_tokens(free.token_id.values.tolist())
    stopped = decode(nano, "Hello", stop=[vocabulary[2]], new_tokens=6)
    wanted = vocabulary.index(vocabulary[2]) + 1
    assert (stopped.attrs["ended"], len(stopped.token_id)) == ("stop token", wanted)


def test_a_stop_token_that_the_model_lacks_is_named_with_the_nearest(nano: Any) -> None:
    with pytest.raises(ArgumentError) as raised:
        decode(nano, "Hello", stop=["<|end_turns|>"])
    assert str(raised.value).startswith(
        "stop holds '<|end_turns|>', which is no token of this model. Did you mean '<|end_turn|>'? Known: "
    )
    with pytest.raises(ArgumentError) as raised:
        decode(tiny_model(), stop=["x"])
    assert str(raised.value) == (
        "stop is ['x'], but this model's folder has no tokenizer, so no token has a name. Pass None."
    )


# While it runs


def test_text_is_handed_on_in_whole_characters(nano: Any) -> None:
    text = "Grüße 🐙 日本\n"
    pieces: list[str] = []
    with Progress(1, "", visible=False) as bar:
        stream = TextStream(nano.tokenizer, pieces.append, bar)
        ids = nano.tokenizer(text, add_special_tokens=False)["input_ids"]
        for token in ids:
            stream.add(token)
        stream.close()
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    assert 1 < len(pieces) <= len(ids)


def test_the_stream_tells_the_text_of_the_trace(nano: Any) -> None:
    pieces: list[str] = []
    trace = decode(nano, "Hello", stream=pieces.append, stop=())
    assert "".join(pieces) == nano.tokenizer.decode(trace.token_id.values.tolist())


def test_progress_shows_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(3, "counter", visible=True) as bar:
        stream = TextStream(None, None, bar)
        for token in (3, 5, 7):
            stream.add(token)
        bar._bar.refresh()
    assert "<3><5><7>" in capsys.readouterr().err
    decode(Counter(), [1])
    assert capsys.readouterr() == ("", "")


class Interrupted(Counter):
    """Counts, and is interrupted at the n-th step."""

    def __init__(self, step: int, *, by_signal: bool) -> None:
        super().__init__()
        self.left, self.by_signal = step, by_signal

    def step(self, state: Tensor, context: Any) -> Tensor:
        self.left -= 1
        if self.left == 0:
            if not self.by_signal:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)
        return super().step(state, context)


@pytest.mark.parametrize("by_signal", [True, False])
@pytest.mark.parametrize(("step", "done"), [(8, 2), (1, 0)])
def test_an_interrupt_keeps_the_tokens_decoded_so_far(
    tmp_path: Path, by_signal: bool, step: int, done: int
) -> None:
    with pytest.warns(UserWarning, match=f"Interrupted: the trace holds {done} of 5 tokens."):
        trace = decode(Interrupted(step, by_signal=by_signal), [1, 1], new_tokens=5, iterations=3, watch=[4])
    assert trace.token_id.values.tolist() == [4, 7][:done]
    assert (trace.attrs["interrupted"], trace.attrs["ended"]) == (1, "interrupt")
    assert set(trace.variables) == set(decode(Counter(), watch=[4]).variables)
    xr.testing.assert_identical(lk.open_trace(lk.save_trace(trace, tmp_path / "kept.nc")), trace)


@pytest.mark.parametrize("options", [{}, {"readout_top": 0}, {"exit": "kl", "watch": [1, 2]}])
def test_a_saved_decoding_opens_identical(tmp_path: Path, options: dict[str, Any]) -> None:
    trace = decode(tiny_model(), **options)
    xr.testing.assert_identical(lk.open_trace(lk.save_trace(trace, tmp_path / "a.nc")), trace)


def test_attributes_say_where_the_trace_comes_from() -> None:
    attrs = decode(tiny_model(), exit="kl", seed=3, temperature=0.5, cache="latest-m4").attrs
    wanted = {"model": "tiny", "seed": 3, "exit": "kl", "threshold": 1e-3, "temperature": 0.5}
    assert wanted.items() < attrs.items()
    assert (attrs["cache"], attrs["warm_start"], attrs["prompt_tokens"]) == ("latest-m4", "False", 5)
    assert json.loads(attrs["prompt"])["new_tokens"] == 4


# What is refused


def test_weights_that_are_not_numbers_are_named_with_the_position() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.module.transformer.core_block[0].norm_1.weight[0] = torch.nan
    for options in ({}, {"readout_top": 0}, {"exit": "kl"}, {"temperature": 1.0}):
        with pytest.raises(ModelError) as raised:
            decode(model, **options)
        assert str(raised.value) == (
            "The readout of tiny for position 5 is not finite after 6 iterations. The weights hold NaN or "
            "overflow in torch.float32: load the model again, or with dtype='float32'."
        )


_WHOLE = "pass a whole number"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"new_tokens": 0}, f"new_tokens is 0; {_WHOLE} of at least 1."),
        ({"iterations": 0}, f"iterations is 0; {_WHOLE} from 1 to 1000000."),
        ({"min_iterations": 7}, f"min_iterations is 7; {_WHOLE} from 1 to 6."),
        ({"seed": -1}, f"seed is -1; {_WHOLE} from 0 to 9223372036854775807, or None to start from zeros."),
        ({"readout_top": 65}, f"readout_top is 65; {_WHOLE} from 0 to 64."),
        ({"threshold": 0.1}, "threshold is 0.1, but exit names no criterion. Pass exit='kl', for example."),
        ({"temperature": -1}, "temperature is -1; pass a number of at least 0."),
        ({"temperature": float("nan")}, "temperature is nan; pass a number of at least 0."),
        ({"top_p": 0}, "top_p is 0; pass a number above 0 and at most 1."),
        ({"top_p": 1.5}, "top_p is 1.5; pass a number above 0 and at most 1."),
        ({"warm_start": "cold"}, "warm_start is 'cold'; pass False, True (the normalised state) or 'raw'."),
        ({"warm_start": True, "cache": None}, "warm_start sets the initial state of a new token only, and "
         "without a cache all positions are computed again for every token. Pass warm_start=False, or a "
         "model and an option with a cache."),
        ({"watch": 64}, "watch holds 64; pass texts, or ids from 0 to 63."),
        ({"watch": {}}, "watch is {}; pass tokens as texts or ids, such as [' the', 17]."),
        ({"watch": b"ab"}, "watch is b'ab'; pass tokens as texts or ids, such as [' the', 17]."),
        ({"stop": 5}, "stop is 5; pass names of tokens such as ['<|end_turn|>'], () for none, or None."),
        ({"stream": "print"}, "stream is 'print'; pass a function of one text, such as print, or None."),
        ({"exit": 5}, "No exit criterion named 5. Known: 'acceleration', 'argmax-stability', 'cosine', "
         "'entropy-diff', 'kl', 'latent-diff', 'minp-kl'."),
        ({"cache": 5}, "cache is 5; pass the name of a strategy such as 'full', or None."),
        ({"exit_in_prompt": 2}, "exit_in_prompt is 2; pass True or False."),
        ({"watch": [64]}, "watch holds 64; pass texts, or ids from 0 to 63."),
        ({"watch": [" 7"]}, "watch holds ' 7', but this model's folder has no tokenizer. Pass token ids."),
        ({"initial_state": np.zeros((5, 32))}, "initial_state has the shape (5, 32); pass finite numbers "
         "of the shape (8, 32) (token, hidden): one row for each token of the prompt and each new token but "
         "the last."),
    ],
)  # fmt: skip
def test_an_option_without_meaning_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        decode(tiny_model(), **options)
    assert str(raised.value) == message


def test_one_text_or_id_to_watch_is_a_list_of_one(nano: Any) -> None:
    wanted = decode(nano, "Hello", watch=[" the"])
    assert wanted.watched_text.values.tolist() == [" the"]
    xr.testing.assert_identical(decode(nano, "Hello", watch=" the"), wanted)
    xr.testing.assert_identical(decode(nano, "Hello", watch=wanted.watched.item()), wanted)
    lens = lk.run_lens(nano, "Hello", iterations=2, watch=" the", progress=False)
    assert lens.watched_text.values.tolist() == [" the"]


def test_one_name_to_stop_at_is_a_list_of_one(nano: Any) -> None:
    from latentkit.run.decoding.choices import stop_ids

    ids = stop_ids(nano.tokenizer, "<|end_turn|>")
    assert ids == stop_ids(nano.tokenizer, ["<|end_turn|>"])
    assert ids == {nano.tokenizer.convert_tokens_to_ids("<|end_turn|>")}


def test_numbers_of_numpy_are_numbers() -> None:
    half = np.float32(0.5)
    for options in ({"temperature": half, "top_p": half}, {"exit": "kl", "threshold": half}):
        plain = {name: 0.5 if value is half else value for name, value in options.items()}
        xr.testing.assert_identical(decode(tiny_model(), **options), decode(tiny_model(), **plain))
    kick = {"iteration": 1, "size": half}
    perturbed = lk.run_recurrence(tiny_model(), IDS, iterations=2, perturb=kick, progress=False)
    assert json.loads(perturbed.attrs["perturb"])["size"] == 0.5


def test_a_watched_text_must_be_one_token(nano: Any) -> None:
    with pytest.raises(ArgumentError) as raised:
        decode(nano, "Hello", watch=["12"])
    assert (
        str(raised.value)
        == "watch holds '12', which is 2 tokens of nano-untrained: '1', '2'. Pass one token."
    )


def test_a_strategy_of_the_cache_needs_a_cache() -> None:
    with pytest.raises(ArgumentError) as raised:
        decode(Counter(), [1], cache="skip")
    assert str(raised.value) == "cache is 'skip', but counter has no cache. Pass cache='full' or None."


def test_new_tokens_beyond_the_context_are_refused() -> None:
    with pytest.raises(PromptError) as raised:
        decode(tiny_model(), new_tokens=60)
    assert str(raised.value) == (
        "The prompt has 5 tokens and 60 new ones; tiny can hold 64. Pass a shorter prompt or ask for fewer "
        "new tokens."
    )


def test_a_run_that_would_not_fit_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2**20}))
    with pytest.raises(ArgumentError) as raised:
        decode(tiny_model(), iterations=10_000, cache="latest-m4")
    assert str(raised.value) == (
        "This run would need about 0.1 GiB (9 tokens × 10,000 iterations in the cache 'latest-m4'), but 0.0 "
        "GiB are free. Ask for fewer tokens or iterations, or for cache='latest-m4-compress-s16', which "
        "keeps fewer."
    )


_MEMORY = """
import resource, sys
sys.path.insert(0, "tests")
from models_for_tests import tiny_model
import latentkit as lk
model = tiny_model(vocab_size=32768)
def run(iterations):
    settings = dict(iterations=iterations, progress=False)
    {call}
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
run(2)
print(run(8), run(96))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        "lk.run_decoding(model, [1, 2], new_tokens=2, exit='kl', threshold=1e-30, **settings)",
        "lk.run_recurrence(model, [1] * 20, limit=iterations, **settings)",
    ],
)
def test_memory_does_not_grow_with_iterations_times_vocabulary(call: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY.format(call=call)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    few, many = map(int, done.stdout.split())
    assert many - few < 88 * 32768 * 4 / 2  # half of the logits of one position over the added iterations


# Lenses


def test_the_coda_lens_after_the_last_block_is_the_readout_of_the_iteration() -> None:
    model = tiny_model()
    lens = lk.run_lens(model, IDS, iterations=5, readout_top=3, watch=[7], progress=False)
    trace = lk.run_recurrence(model, IDS, iterations=5, limit=5, readout_top=3, progress=False)
    last = lens.sel(lens="coda").isel(block=-1)
    np.testing.assert_array_equal(last.readout_id, trace.readout_id[-1, 1:])
    np.testing.assert_allclose(last.kl, trace.kl[-1, 1:], atol=1e-5)
    np.testing.assert_allclose(last.entropy, trace.entropy[-1, 1:], atol=1e-5)
    assert dict(lens.sizes) == {"lens": 2, "iteration": 5, "block": 2, "rank": 3, "watched": 1}


def test_both_lenses_after_every_block_are_those_worked_out_by_hand() -> None:
    model = tiny_model()
    lens = lk.run_lens(model, IDS, iterations=3, readout_top=64, progress=False)
    context = model.embed(torch.tensor([IDS]))
    x = model.initial_state(context, 0)
    stacks = model.module.transformer
    for i in range(3):
        x = model.module.inject(x, context.embedding)
        for block, layer in enumerate(stacks.core_block):
            x = layer(x, context.rope)
            logit = model.module.lm_head(stacks.ln_f(x))[0, -1].softmax(-1)
            coda = model.module.lm_head(model.module.read_out(x, context.rope))[0, -1].softmax(-1)
            for name, wanted in (("logit", logit), ("coda", coda)):
                found = lens.sel(lens=name).isel(iteration=i, block=block)
                order = np.argsort(found.readout_id.values)
                np.testing.assert_allclose(
                    found.readout_probability.values[order], wanted.detach(), atol=1e-6
                )


def test_a_lens_on_an_earlier_token_sees_nothing_of_the_later_ones(tmp_path: Path) -> None:
    options = {"iterations": 3, "progress": False}
    inner, prefix = (
        lk.run_lens(tiny_model(), IDS, token=2, **options),
        lk.run_lens(tiny_model(), IDS[:3], **options),
    )
    xr.testing.assert_identical(inner.drop_attrs(), prefix.drop_attrs())
    assert (inner.attrs["token"], inner.attrs["token_text"]) == (2, "<4>")
    xr.testing.assert_identical(lk.open_trace(lk.save_trace(inner, tmp_path / "a.nc")), inner)


def test_a_lens_refuses_what_it_cannot_read() -> None:
    with pytest.raises(ArgumentError) as raised:
        lk.run_lens(Counter(), IDS)
    assert str(raised.value) == (
        "counter cannot be read out between its blocks: it lacks step_blocks, last_hidden, head. Use "
        "run_recurrence, which reads out after each iteration."
    )
    with pytest.raises(ArgumentError) as raised:
        lk.run_lens(tiny_model(), IDS, token=5)
    assert str(raised.value) == "token is 5; pass a whole number from -5 to 4."


# The published numbers

SETS = ("a_linear_121_fp32", "b_linear_242_fp32")


class Golden:
    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        self.model = lk.load_model(folder)
        self.tensors = load_file(folder / "expected.safetensors")
        self.facts = json.loads((folder / "expected.json").read_text())

    def decode(self, row: int = 0, **options: Any) -> xr.Dataset:
        prompt = self.tensors["kv.prompt_ids"][row].tolist()
        settings = {"new_tokens": 8, "iterations": 8, "seed": None, "readout_top": 20, **options}
        return decode(self.model, prompt, **settings)

    def check(self, trace: xr.Dataset, name: str, row: int = 0) -> None:
        assert trace.token_id.values.tolist() == self.tensors[f"{name}.sequences"][row, 10:].tolist()
        if f"{name}.last_logits" in self.tensors:
            best = self.tensors[f"{name}.last_logits"][:, row].softmax(-1).topk(20)
            np.testing.assert_allclose(trace.readout_probability[:, -1], best.values, atol=1e-4)
            np.testing.assert_array_equal(trace.readout_id[:, -1, 0], best.indices[:, 0])


@pytest.fixture(scope="module", params=SETS)
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(GOLDEN / request.param)


@pytest.fixture(scope="module")
def golden_b() -> Golden:
    return Golden(GOLDEN / SETS[1])


@pytest.mark.parametrize("cache", ["full", None])
def test_published_greedy_decoding_from_zeros(golden: Golden, cache: str | None) -> None:
    for row in range(len(golden.tensors["kv.prompt_ids"])):
        trace = golden.decode(row, cache=cache)
        golden.check(trace, "kv.zeros", row)
        np.testing.assert_array_equal(trace.iterations_used, 8)


def test_published_decoding_from_given_states(golden: Golden) -> None:
    for row in range(len(golden.tensors["kv.prompt_ids"])):
        prompt, steps = (golden.tensors[f"kv.given.{name}"][row] for name in ("prompt_state", "step_states"))
        golden.check(golden.decode(row, initial_state=torch.cat((prompt, steps))), "kv.given", row)


def test_published_warm_start(golden: Golden) -> None:
    golden.check(golden.decode(warm_start=True), "kv.warm_start")


_LOOKUPS = ("full", "m4", *(f"m4-compress-{kind}" for kind in ("s4", "s8", "s16", "r4", "anchor")))


@pytest.mark.parametrize("name", _LOOKUPS)
def test_published_cache_strategies(golden_b: Golden, name: str) -> None:
    strategy = name if name == "full" else golden_b.facts["kv"][f"lookup.{name}"]["lookup_strategy"]
    golden_b.check(golden_b.decode(iterations=16, cache=strategy), f"kv.lookup.{name}")


@pytest.mark.slow
def test_published_adaptive_runs(golden_b: Golden) -> None:
    """Tokens, exit steps and every number of the first and last values, for each criterion."""
    assert len(golden_b.facts["adaptive"]) >= 9
    for facts in golden_b.facts["adaptive"].values():
        name = None if facts["criterion"] == "none" else facts["criterion"]
        trace = decode(
            golden_b.model, facts["sequence"][:10], new_tokens=6, iterations=32, seed=None, cache="latest-m4",
            exit=name, threshold=facts["exit_threshold"] if name else None,
        )  # fmt: skip
        assert trace.token_id.values.tolist() == facts["sequence"][10:]
        assert trace.iterations_used.values.tolist() == facts["steps_per_token"]
        if name:
            values = trace.exit_value.sel(criterion=name).values
            last = [row[used] for row, used in zip(values, facts["steps_per_token"], strict=True)]
            np.testing.assert_allclose(last, facts["exit_values_last"], atol=1e-4)
            first = np.array(facts["exit_values_first_token"], dtype=float)  # None becomes NaN
            np.testing.assert_allclose(values[0, 1 : len(first) + 1], first, atol=1e-4)


def test_published_logit_lens(golden: Golden) -> None:
    ids = golden.tensors["input_ids"][0].tolist()
    context = golden.model.embed(torch.tensor([ids]))
    state = golden.tensors["initial_state"][:1]
    for wanted in golden.tensors["logit_lens_logits_lastpos"]:
        found = golden.model.head(golden.model.normalise(state))[0, -1]
        torch.testing.assert_close(found, wanted[0], atol=1e-4, rtol=1e-4)
        state = golden.model.step_blocks(state, context)[-1]

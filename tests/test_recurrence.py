"""`run_recurrence`: what a trace says is what the model did."""

from __future__ import annotations

import json
import signal
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from models_for_tests import Counter, plain_model, tiny_model
from torch import Tensor

import latentkit as lk
from latentkit.errors import ArgumentError, ModelError, PromptError
from latentkit.models.loading import NANO
from latentkit.models.verbs import HuginnModel
from latentkit.run import memory
from latentkit.testing import check_recurrent_model

IDS = [3, 1, 4, 1, 5, 9, 2, 6]


def run(model: Any, prompt: Any = IDS, **options: Any) -> xr.Dataset:
    return lk.run_recurrence(model, prompt, **{"progress": False, "iterations": 6, "limit": 12, **options})


def test_iteration_i_is_the_state_after_i_passes() -> None:
    trace = run(Counter(), [1, 2], iterations=3, keep_states=True)
    state = trace.state.isel(token=0, hidden=0, drop=True)
    np.testing.assert_array_equal(state, trace.iteration)


def test_distances_of_a_counter_are_how_far_it_has_to_count() -> None:
    trace = run(Counter(), [1], iterations=3, limit=5)
    np.testing.assert_allclose(trace.distance[0], np.sqrt(2) * np.array([5, 4, 3, 2]), rtol=1e-6)
    np.testing.assert_allclose(trace.step_size[0], [np.nan] + 3 * [np.sqrt(2)], rtol=1e-6)
    np.testing.assert_allclose(trace.step_cosine[0], [np.nan, np.nan, 1, 1], rtol=1e-6)


def test_the_readout_of_a_counter_counts() -> None:
    trace = run(Counter(), [0, 3], iterations=3, readout_top=2)
    np.testing.assert_array_equal(trace.readout_id.isel(rank=0), [[0, 1, 2, 3], [3, 4, 5, 6]])
    np.testing.assert_array_equal(
        trace.readout_text.isel(rank=0)[1], ["<3>", "<4>", "<5>", "<6>"]
    )  # a counter has no tokenizer
    likeliest = np.exp(5) / (np.exp(5) + 7)
    np.testing.assert_allclose(trace.readout_probability.isel(rank=0), likeliest, rtol=1e-6)


def test_entropy_and_divergence_of_a_counter_are_those_of_its_softmax() -> None:
    trace = run(Counter(), [0], iterations=8, limit=8)
    p, q = np.exp(5) / (np.exp(5) + 7), 1 / (np.exp(5) + 7)
    np.testing.assert_allclose(trace.entropy, -(p * np.log(p) + 7 * q * np.log(q)), rtol=1e-5)
    apart = (p - q) * 5  # every other count is equally far; count 8 is count 0 again
    np.testing.assert_allclose(trace.kl[0], [0, *7 * [apart], 0], rtol=1e-5, atol=1e-7)


def test_every_variable_has_the_fixed_dimensions_and_a_name_for_plots() -> None:
    trace = run(tiny_model(), keep_states=True)
    cell = ("token", "iteration")
    assert {name: variable.dims for name, variable in trace.data_vars.items()} == {
        **dict.fromkeys(("distance", "step_size", "step_cosine", "entropy", "kl"), cell),
        **dict.fromkeys(("readout_id", "readout_text", "readout_probability"), (*cell, "rank")),
        "state": (*cell, "hidden"),
    }
    assert dict(trace.sizes) == {"token": 8, "iteration": 7, "rank": 5, "hidden": 32}
    assert {"token_text", "token_id", "is_generated"} < set(trace.coords)
    assert all(variable.attrs["long_name"] for variable in trace.variables.values())
    assert trace.entropy.units == trace.kl.units == "nats"


def test_numbers_are_those_of_the_verbs_called_by_hand() -> None:
    model = tiny_model(injection_type="add")
    trace = run(model, keep_states=True)
    context = model.embed(torch.tensor([IDS]))
    states = [model.initial_state(context, 0)]
    for _ in range(12):
        states.append(model.step(states[-1], context))
    latents = torch.cat([model.normalise(state) for state in states])
    limit_probs = model.readout(states[12], context)[0].double().log_softmax(-1)
    for i in range(7):
        np.testing.assert_allclose(trace.state[:, i], latents[i], atol=1e-5)
        np.testing.assert_allclose(trace.distance[:, i], (latents[i] - latents[12]).norm(dim=-1), atol=1e-5)
        probs = model.readout(states[i], context)[0].double().log_softmax(-1)
        np.testing.assert_allclose(
            trace.kl[:, i], (limit_probs.exp() * (limit_probs - probs)).sum(-1), atol=1e-5
        )
        np.testing.assert_array_equal(trace.readout_id[:, i, 0], probs.argmax(-1))


def test_chunks_of_iterations_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tiny_model(), keep_states=True)
    monkeypatch.setattr("latentkit.run.recurrence.trajectory._CHUNK_BYTES", 1)
    xr.testing.assert_allclose(run(tiny_model(), keep_states=True), whole, atol=1e-6)


def test_the_same_inputs_and_seed_give_an_identical_dataset() -> None:
    xr.testing.assert_identical(run(tiny_model(), keep_states=True), run(tiny_model(), keep_states=True))


def test_another_seed_gives_another_trajectory() -> None:
    first, other = (run(tiny_model(), seed=seed) for seed in (0, 1))
    assert (first.distance.isel(iteration=0) != other.distance.isel(iteration=0)).all()


def test_several_seeds_are_the_runs_of_each_side_by_side() -> None:
    both = run(tiny_model(), seeds=[4, 1], keep_states=True)
    assert both.distance.dims == ("seed", "token", "iteration")
    assert both.readout_text.dims == ("seed", "token", "iteration", "rank")
    assert both.token_text.dims == ("token",)
    assert both.attrs["seed"] == "along the dimension seed"
    for seed in (4, 1):
        xr.testing.assert_identical(
            both.sel(seed=seed, drop=True).drop_attrs(),
            run(tiny_model(), seed=seed, keep_states=True).drop_attrs(),
        )


@pytest.mark.parametrize("part", [slice(None), 1])
def test_several_seeds_and_one_of_them_survive_the_file(tmp_path: Any, part: Any) -> None:
    trace = run(tiny_model(), seeds=[4, 1], keep_states=True).isel(seed=part)
    xr.testing.assert_identical(lk.open_trace(lk.save_trace(trace, tmp_path / "seeds.nc")), trace)


def test_new_tokens_are_those_of_the_first_seed() -> None:
    """A counter's next token is its count, which begins at the seed."""
    chosen: list[dict[str, Any]] = [{"seeds": [4, 1]}, {"seed": 4}, {"seed": 1}]
    traces = [run(Counter(), [1], new_tokens=2, **options) for options in chosen]
    tokens = [trace.token_id.values.tolist() for trace in traces]
    assert tokens[0] == tokens[1] != tokens[2]


def test_an_interrupt_keeps_the_seeds_that_are_finished() -> None:
    with pytest.warns(UserWarning, match=r"iterations 0 to 6, its limit is 12 \(seeds kept: \[5, 7\]\)"):
        trace = run(InterruptedModel("step", 30, by_signal=True), [1], seeds=[5, 7, 9])
    assert trace.seed.values.tolist() == [5, 7]
    assert trace.attrs["interrupted"] == 1
    with pytest.warns(UserWarning, match=r"iterations 0 to 3, its limit is 3 \(seeds kept: \[5\]\)"):
        trace = run(InterruptedModel("step", 3, by_signal=True), [1], seeds=[5, 7, 9])
    assert trace.distance.shape == (1, 1, 4)


def test_a_kick_moves_the_state_by_its_size_and_only_where_it_is_told() -> None:
    model = tiny_model()
    plain = run(model, keep_states=True)
    kicked = run(model, keep_states=True, perturb={"iteration": 3, "size": 0.5, "tokens": [2]})
    apart = lk.trace_distance(kicked, plain)
    assert (apart.isel(iteration=slice(3)) == 0).all()
    assert apart.sel(iteration=3).values.nonzero()[0].tolist() == [2]
    assert (apart.isel(token=slice(2), iteration=slice(4, None)) == 0).all(), "earlier tokens cannot know"
    assert (apart.isel(token=slice(3, None), iteration=4) > 0).all(), "later tokens attend to it"
    assert json.loads(kicked.attrs["perturb"]) == {"iteration": 3, "size": 0.5, "tokens": [2], "seed": 0}
    assert "perturb" not in plain.attrs


def test_the_size_of_a_kick_is_a_share_of_the_states_length() -> None:
    plain = run(Counter(), [0, 0], keep_states=True, iterations=4)
    for iteration in (0, 2):
        kick = {"iteration": iteration, "size": 0.25, "tokens": slice(1, None)}
        moved = lk.trace_distance(run(Counter(), [0, 0], keep_states=True, iterations=4, perturb=kick), plain)
        length = np.sqrt(2) * iteration
        np.testing.assert_allclose(moved[1, iteration:], 0.25 * length, rtol=1e-5)
        np.testing.assert_array_equal(moved[0], 0)


def test_a_kick_is_the_same_each_time_and_another_with_another_seed() -> None:
    kicks = [{"iteration": 2, "size": 1, "seed": seed} for seed in (0, 0, 1)]
    one, again, other = (run(tiny_model(), perturb=kick, keep_states=True) for kick in kicks)
    xr.testing.assert_identical(one, again)
    assert (lk.trace_distance(one, other).sel(iteration=2) > 0).all()


@pytest.mark.parametrize(
    ("perturb", "message"),
    [
        (3, "perturb is 3; pass a mapping such as {'iteration': 20, 'size': 0.5, 'tokens': None}, or None."),
        ({"iteration": 1, "sise": 1}, "perturb has no 'sise'. Did you mean 'size'? Known: 'iteration', "
         "'seed', "
         "'size', 'tokens'."),
        ({"iteration": 1}, "perturb lacks 'size'; pass a mapping such as {'iteration': 20, 'size': 0.5, "
         "'tokens': "
         "None}."),
        ({"iteration": 13, "size": 1}, "perturb['iteration'] is 13; pass a whole number from 0 to 12."),
        ({"iteration": 1, "size": -1}, "perturb['size'] is -1; pass a share of the state's length, such "
         "as 0.5."),
        ({"iteration": 1, "size": 1, "tokens": [8]}, "a position in perturb['tokens'] is 8; pass a whole "
         "number "
         "from 0 to 7."),
        ({"iteration": 1, "size": 1, "tokens": slice(9, 12)}, "perturb['tokens'] selects none of the 8 "
         "tokens: slice(9, 12, None). Pass a slice, a list of positions, or None."),
    ],
)  # fmt: skip
def test_a_kick_that_makes_no_sense_is_refused(perturb: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        run(tiny_model(), perturb=perturb)
    assert str(raised.value) == message


def test_no_seed_starts_from_zeros() -> None:
    trace = run(tiny_model(), seed=None, keep_states=True)
    assert (trace.state.isel(iteration=0) == 0).all()
    assert trace.attrs["seed"] == "zeros"


def test_the_trace_of_a_prefix_is_the_prefix_of_the_trace() -> None:
    whole, prefix = run(tiny_model(), IDS, keep_states=True), run(tiny_model(), IDS[:5], keep_states=True)
    xr.testing.assert_allclose(whole.isel(token=slice(5)).drop_attrs(), prefix.drop_attrs(), atol=1e-5)


def test_a_state_given_as_the_start_is_where_the_trace_starts() -> None:
    start = np.linspace(-1, 1, 8 * 32, dtype=np.float32).reshape(8, 32)
    model = plain_model()
    trace = run(model, initial_state=start, keep_states=True)
    np.testing.assert_allclose(trace.state[:, 0], model.normalise(torch.from_numpy(start)), atol=1e-6)
    assert trace.attrs["seed"] == "given"


def test_generated_tokens_are_those_of_decoding_without_a_cache() -> None:
    model, ids = tiny_model(), list(IDS)
    for _ in range(6):
        trace = run(model, ids, readout_top=1, iterations=6, limit=6)
        ids.append(int(trace.readout_id[-1, -1, 0]))
    trace = run(model, new_tokens=6)
    assert trace.token_id.values.tolist() == ids
    assert trace.is_generated.values.tolist() == 8 * [False] + 6 * [True]


def test_a_model_without_a_cache_generates_too() -> None:
    trace = run(Counter(), [1, 1], new_tokens=3, iterations=2)
    assert trace.token_id.values.tolist() == [1, 1, 3, 5, 7]


def test_no_readouts_means_no_readout_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HuginnModel, "readout", lambda *_: pytest.fail("a readout was computed"))
    trace = run(tiny_model(), readout_top=0)
    assert set(trace.data_vars) == {"distance", "step_size", "step_cosine"}


def test_the_limit_is_128_or_the_last_iteration_asked_for() -> None:
    assert run(Counter(), [1], limit=None).attrs["limit"] == 128
    assert run(Counter(), [1], limit=None, iterations=130).attrs["limit"] == 130


def test_attributes_say_where_the_trace_comes_from() -> None:
    attrs = run(tiny_model(), [1, 2], seed=3).attrs
    assert (attrs["model"], attrs["dtype"], attrs["seed"], attrs["limit"]) == ("tiny", "float32", 3, 12)
    assert json.loads(attrs["prompt"]) == {"prompt": [1, 2], "system": None, "chat": False, "new_tokens": 0}
    assert set(json.loads(attrs["versions"])) == {"latentkit", "torch", "transformers", "numpy", "xarray"}


def test_the_digest_changes_with_any_weight() -> None:
    model = tiny_model()
    digests = [run(model, [1]).attrs["weights_digest"]]
    for name in ("transformer.wte.weight", "transformer.coda.0.norm_2.weight"):
        weight = model.module.get_parameter(name)
        with torch.no_grad():
            weight.view(-1)[-1] += 1e-3
        digests.append(run(model, [1]).attrs["weights_digest"])
    assert len(set(digests)) == 3


def test_bfloat16_distances_are_computed_in_float32() -> None:
    model = tiny_model()
    model.module.bfloat16()
    trace = run(model, iterations=12)
    assert trace.attrs["dtype"] == "bfloat16"
    assert trace.distance.dtype == np.float32
    assert (trace.distance.isel(iteration=12) == 0).all()


class InterruptedModel(Counter):
    """A counter that somebody interrupts in the middle of a step, a readout, or while it generates."""

    def __init__(self, verb: str, call: int, *, by_signal: bool) -> None:
        super().__init__()
        self.verb, self.calls_left, self.by_signal = verb, call, by_signal

    def _count(self, verb: str) -> None:
        if verb == self.verb:
            self.calls_left -= 1
            if self.calls_left == 0:
                if not self.by_signal:
                    raise KeyboardInterrupt
                signal.raise_signal(signal.SIGINT)

    def step(self, state: Tensor, context: Any) -> Tensor:
        self._count("step")
        return super().step(state, context)

    def readout(self, state: Tensor, context: Any) -> Tensor:
        self._count("readout")
        return super().readout(state, context)


@pytest.mark.parametrize("by_signal", [True, False])
def test_an_interrupt_keeps_the_iterations_that_are_there(tmp_path: Any, by_signal: bool) -> None:
    model = InterruptedModel("step", 5, by_signal=by_signal)
    done = 5 if by_signal else 4  # a signal lets the iteration under way finish
    with pytest.warns(UserWarning, match=f"the trace holds iterations 0 to {done}, its limit is {done}"):
        trace = run(model, [1, 2], iterations=8)
    assert (trace.attrs["interrupted"], trace.attrs["limit"]) == (1, done)
    np.testing.assert_allclose(trace.distance[0], np.sqrt(2) * np.arange(done, -1, -1), rtol=1e-6)
    xr.testing.assert_identical(lk.open_trace(lk.save_trace(trace, tmp_path / "kept.nc")), trace)


def test_an_interrupt_past_the_iterations_asked_for_keeps_them_all() -> None:
    with pytest.warns(UserWarning, match="its limit is 9"):
        trace = run(InterruptedModel("step", 10, by_signal=False), [1], iterations=6)
    assert trace.sizes["iteration"] == 7


def test_an_interrupt_among_the_readouts_keeps_those_that_are_there(tmp_path: Any) -> None:
    with pytest.warns(UserWarning, match="Interrupted"):
        trace = run(InterruptedModel("readout", 4, by_signal=False), [1], iterations=4)
    np.testing.assert_array_equal(trace.readout_id[0, :, 0], [1, 2, -1, -1, -1])
    assert trace.readout_text[0, :, 0].values.tolist() == ["<1>", "<2>", "", "", ""]
    assert trace.entropy.isnull().values.tolist() == [[False, False, True, True, True]]
    xr.testing.assert_identical(lk.open_trace(lk.save_trace(trace, tmp_path / "kept.nc")), trace)


def test_an_interrupt_while_generating_keeps_the_tokens() -> None:
    with pytest.warns(UserWarning, match="iterations 0 to 0"):
        trace = run(InterruptedModel("readout", 3, by_signal=True), [1, 1], new_tokens=9, iterations=2)
    assert trace.token_id.values.tolist() == [1, 1, 3, 5, 7]


def test_a_second_interrupt_stops_at_once_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    class Impatient(Counter):
        def step(self, *_: Any) -> Tensor:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            return pytest.fail("the second interrupt was swallowed")

    with pytest.warns(UserWarning, match="iterations 0 to 0"):
        run(Impatient(), [1])
    assert signal.getsignal(signal.SIGINT) is before


def test_weights_that_are_not_numbers_are_named_at_the_first_iteration_that_shows_them() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.module.transformer.core_block[0].norm_1.weight[0] = torch.nan
    with pytest.raises(ModelError) as raised:
        run(model)
    assert str(raised.value) == (
        "The state of tiny is not finite from iteration 1 on. The weights hold NaN or overflow in "
        "torch.float32: load the model again, or with dtype='float32'."
    )


_COUNT = "pass a whole number from 1 to 1000000"
_SEED = "pass a whole number from 0 to 9223372036854775807"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, f"iterations is 0; {_COUNT}."),
        ({"iterations": -1}, f"iterations is -1; {_COUNT}."),
        ({"iterations": 1.5}, f"iterations is 1.5; {_COUNT}."),
        ({"iterations": "8"}, f"iterations is '8'; {_COUNT}."),
        ({"iterations": True}, f"iterations is True; {_COUNT}."),
        ({"iterations": 10**18}, f"iterations is 1000000000000000000; {_COUNT}."),
        ({"new_tokens": -1}, "new_tokens is -1; pass a whole number of at least 0."),
        ({"seed": -1}, f"seed is -1; {_SEED}, or None to start from zeros."),
        ({"seed": 2**64}, f"seed is 18446744073709551616; {_SEED}, or None to start from zeros."),
        ({"seed": [0, 1]}, "seed is [0, 1]; pass one whole number, or a list as seeds=."),
        ({"seeds": [0, -1]}, f"a number in seeds is -1; {_SEED}."),
        ({"seeds": [0, 0]}, "seeds is [0, 0]; pass a list of different whole numbers, such as [0, 1, 2]."),
        ({"seeds": []}, "seeds is []; pass a list of different whole numbers, such as [0, 1, 2]."),
        ({"seeds": 3}, "seeds is 3; pass a list of different whole numbers, such as [0, 1, 2]."),
        ({"seeds": [0, 1], "seed": 2}, "seed is 2 and seeds is [0, 1]. Pass one of them."),
        ({"seeds": [0, 1], "initial_state": np.zeros((8, 32))}, "initial_state= is one start and seeds= are "
         "several. Pass one of them."),
        ({"keep_states": "yes"}, "keep_states is 'yes'; pass True or False."),
        ({"progress": None}, "progress is None; pass True or False."),
        ({"initial_state": "zeros"}, "initial_state is 'zeros'; pass numbers of the shape (8, 32) (token, "
         "hidden): one row for each token of the sequence."),
        ({"limit": 0}, f"limit is 0; {_COUNT}, or None for max(128, iterations)."),
        ({"limit": 5}, "limit is 5 and iterations is 6: states after the limit would be compared with one "
         "before them. Pass limit >= 6, or None."),
        ({"readout_top": 65}, "readout_top is 65; pass a whole number from 0 to 64."),
        ({"initial_state": np.zeros((8, 31))}, "initial_state has the shape (8, 31); pass finite numbers "
         "of the shape (8, 32) (token, hidden): one row for each token of the sequence."),
        ({"initial_state": np.full((8, 32), np.inf)}, "initial_state has the shape (8, 32); pass finite "
         "numbers of the shape (8, 32) (token, hidden): one row for each token of the sequence."),
        ({"initial_state": np.zeros((8, 32)), "new_tokens": 2}, "initial_state= fixes the sequence's length "
         "and new_tokens= extends it. Pass one of them."),
    ],
)  # fmt: skip
def test_a_wrong_number_is_refused_with_what_would_be_right(options: dict, message: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        run(tiny_model(), **options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ([*range(64), 0], {}, "The prompt has 65 tokens; tiny can hold 64. Pass a shorter prompt or ask "
         "for fewer new tokens."),
        ([1] * 60, {"new_tokens": 5}, "The prompt has 60 tokens and 5 new ones; tiny can hold 64. Pass a "
         "shorter prompt or ask for fewer new tokens."),
        ([64], {}, "The prompt holds the token id 64; tiny has the ids 0 to 63."),
    ],
)  # fmt: skip
def test_a_prompt_that_the_model_cannot_hold_is_refused(prompt: Any, options: dict, message: str) -> None:
    with pytest.raises(PromptError) as raised:
        run(tiny_model(), prompt, **options)
    assert str(raised.value) == message


def test_a_model_without_iterations_is_refused_and_told_what_it_is_good_for() -> None:
    class Ordinary:
        name = "ordinary"

    for runs in (lk.run_recurrence, lk.run_decoding, lk.run_lens, lk.run_local_contraction):
        with pytest.raises(ArgumentError) as raised:
            runs(Ordinary(), [1], **({"new_tokens": 1} if runs is lk.run_decoding else {}))
        assert str(raised.value) == (
            "ordinary does not repeat a block, so it has no iterations to watch. Pass a recurrent-depth "
            "model such as load_model('nano'), or compare this model's layers with run_layer_effect."
        )


class ContractOnly(Counter):
    """A model with the verbs of the contract and no others."""

    name = "contract"

    def __init__(self, model: Any) -> None:
        self.model, self.module, self.tokenizer = model, model.module, model.tokenizer
        self.vocab_size, self.hidden_size = model.vocab_size, model.hidden_size
        self.context_length = model.context_length
        for verb in ("initial_state", "step", "normalise", "readout"):
            setattr(self, verb, getattr(model, verb))

    def embed(self, token_ids: Tensor, *, cache: Any = None) -> Any:
        return self.model.embed(token_ids)


def test_a_model_of_the_contract_alone_works_in_every_run_that_its_verbs_allow() -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(NANO)
    model: Any = ContractOnly(tiny_model(tokenizer, vocab_size=4096))
    check_recurrent_model(model)
    trace = run(model, "Hello", new_tokens=2, perturb={"iteration": 2, "size": 0.1})
    assert trace.sizes["iteration"] == 7
    trace = lk.run_decoding(model, "Hello", new_tokens=2, iterations=3, exit="kl", progress=False)
    assert trace.sizes["generated_token"] == 2
    trace = lk.run_local_contraction(model, [1, 2], iterations=4, power_iterations=8, progress=False)
    assert trace.spectral_radius.dims == ("token",)
    trace = lk.run_path_independence(model, [1, 2], seeds=[0, 1], iterations=4, progress=False)
    assert trace.cosine.shape == (2, 2, 2)
    found = lk.run_problems(model, {"lookup": 1, "addition": 1}, problems=2, iterations=1, progress=False)
    assert found.problems.values.tolist() == [2, 2]
    with pytest.raises(ArgumentError) as raised:
        lk.run_lens(model, [1, 2], progress=False)
    assert str(raised.value) == (
        "contract cannot be read out between its blocks: it lacks step_blocks, last_hidden, head. Use "
        "run_recurrence, which reads out after each iteration."
    )


def test_a_step_without_a_forward_derivative_is_named() -> None:
    class NoDerivative(Counter):
        def step(self, state: Tensor, context: Any) -> Tensor:
            if torch._C._functorch.peek_interpreter_stack() is not None:
                raise NotImplementedError("no formula")
            return state

    with pytest.raises(ArgumentError) as raised:
        lk.run_local_contraction(NoDerivative(), [1, 2], iterations=1, progress=False)
    assert str(raised.value).startswith("The step of counter has no forward derivative (no formula).")


def test_a_model_that_is_not_causal_is_not_decoded() -> None:
    class Both(Counter):
        causal = False

    assert run(Both(), [1, 2]).sizes["token"] == 2
    why = "counter is not causal: its states depend on later tokens, so "
    generate = "it cannot generate text token by token"
    for call, end in (
        (lambda: run(Both(), [1], new_tokens=1), f"{generate}. Pass new_tokens=0."),
        (lambda: lk.run_decoding(Both(), [1], new_tokens=1), f"{generate}."),
        (lambda: lk.run_problems(Both(), {"sums": 1}), "answers cannot be graded token by token."),
    ):
        with pytest.raises(ArgumentError) as raised:
            call()
        assert str(raised.value) == why + end


def test_an_interrupt_after_the_last_iteration_does_not_lose_the_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from latentkit.run.recurrence import tracing

    def interrupted_label(*arguments: Any, **options: Any) -> xr.Dataset:
        signal.raise_signal(signal.SIGINT)
        return label(*arguments, **options)

    label = tracing.label
    whole = run(Counter(), [1, 2])
    monkeypatch.setattr(tracing, "label", interrupted_label)
    xr.testing.assert_identical(run(Counter(), [1, 2]), whole)


def test_the_bar_is_made_and_closed_while_interrupts_are_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    from latentkit.run import progress

    class Bar(progress.tqdm):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            signal.raise_signal(signal.SIGINT)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(progress, "tqdm", Bar)
    with pytest.warns(UserWarning, match="iterations 0 to 0"):
        run(Counter(), [1])


def test_a_run_that_would_not_fit_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2**20}))
    monkeypatch.setattr(HuginnModel, "embed", lambda *_: pytest.fail("the run started"))
    with pytest.raises(ArgumentError) as raised:
        run(tiny_model(), iterations=100_000, limit=None)
    assert str(raised.value) == (
        "This run would need about 0.4 GiB (8 tokens × 100,001 iterations × 32 channels), but 0.0 GiB are "
        "free. Ask for fewer iterations, a shorter prompt, readout_top=0 or keep_states=False."
    )


def test_states_beyond_the_trace_are_not_kept() -> None:
    """Only the iterations of the trace are held, however far away the limit is."""
    shapes: list[int] = []

    class Watched(Counter):
        def normalise(self, state: Tensor) -> Tensor:
            shapes.append(state.shape[0])
            return state

    run(Watched(), [1], iterations=4, limit=500)
    assert max(shapes) == 5


def test_nothing_is_printed_without_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(tiny_model())
    assert capsys.readouterr() == ("", "")


def test_progress_counts_every_iteration_and_readout(capsys: pytest.CaptureFixture[str]) -> None:
    lk.run_recurrence(Counter(), [1], iterations=6, limit=12)
    assert "/19" in capsys.readouterr().err  # 12 iterations and 7 readouts

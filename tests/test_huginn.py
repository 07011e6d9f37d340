"""The architecture against the published implementation's numbers, and against our own small ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from golden_for_tests import GOLDEN
from models_for_tests import plain_model, tiny_config
from safetensors.torch import load_file

from latentkit.errors import ArgumentError, ModelError
from latentkit.models.huginn import Huginn, HuginnConfig, init_weights, random_state
from latentkit.models.stored.checkpoint import read_module
from latentkit.models.verbs import HuginnModel

SETS_WITH_LENS = ("a_linear_121_fp32", "b_linear_242_fp32")
SETS = (*SETS_WITH_LENS, "f_inject_add_121_fp32")


class Golden:
    """One set of reference numbers, its model, and the model's states from the given start."""

    def __init__(self, folder: Path) -> None:
        self.model = HuginnModel(read_module(folder, None, "cpu"))
        self.expected = load_file(folder / "expected.safetensors")
        self.facts = json.loads((folder / "expected.json").read_text())
        self.context = self.model.embed(self.expected["input_ids"])
        self.states = [self.expected["initial_state"]]
        for _ in range(self.facts["num_steps"]):
            self.states.append(self.model.step(self.states[-1], self.context))


@pytest.fixture(scope="module", params=SETS)
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(GOLDEN / request.param)


def _close(found: torch.Tensor, wanted: torch.Tensor, atol: float = 1e-4) -> None:
    torch.testing.assert_close(found, wanted, atol=atol, rtol=0)


def test_the_prelude_gives_the_published_embedding(golden: Golden) -> None:
    _close(golden.context.embedding, golden.expected["input_embeds"])


def test_every_state_is_the_published_one(golden: Golden) -> None:
    _close(torch.stack(golden.states), golden.expected["states_raw"])


def test_every_normalised_state_is_the_published_one(golden: Golden) -> None:
    _close(golden.model.normalise(torch.stack(golden.states)), golden.expected["states_normed"])


def test_the_readout_of_every_iteration_is_the_published_one(golden: Golden) -> None:
    last = golden.facts["readout_positions"]
    found = torch.stack([golden.model.readout(state, golden.context) for state in golden.states])
    _close(found[:, :, -last:], golden.expected["coda_lens_logits"])
    _close(found[-1, :, -last:], golden.expected["final_logits"])


@pytest.mark.parametrize("golden", SETS_WITH_LENS, indirect=True)
def test_the_logit_lens_is_the_published_one(golden: Golden) -> None:
    latents = golden.model.normalise(torch.stack(golden.states))[:, :, -1]
    _close(golden.model.module.lm_head(latents), golden.expected["logit_lens_logits_lastpos"])


def test_forward_gives_the_published_logits(golden: Golden) -> None:
    last = golden.facts["readout_positions"]
    output = golden.model.module(
        golden.expected["input_ids"],
        iterations=golden.facts["num_steps"],
        initial_state=golden.expected["initial_state"],
    )
    _close(output.logits[:, -last:], golden.expected["final_logits"])


@pytest.mark.parametrize("limit", [64, 128])
def test_distances_to_the_limit_are_the_published_ones(limit: int) -> None:
    from latentkit.run import run_recurrence

    golden = Golden(GOLDEN / "b_linear_242_fp32")
    wanted = golden.expected[f"convergence_dist_ref{limit}"]  # [iteration, batch, token]
    for row, ids in enumerate(golden.expected["input_ids"].tolist()):
        start = golden.expected["initial_state"][row]
        trace = run_recurrence(golden.model, ids, limit=limit, initial_state=start, progress=False)
        _close(torch.from_numpy(trace.distance.values.T.copy()), wanted[:, row], atol=1e-3)


@pytest.mark.parametrize("name", SETS_WITH_LENS)
def test_losses_and_gradients_of_truncated_backpropagation_are_the_published_ones(name: str) -> None:
    golden = Golden(GOLDEN / name)
    module = golden.model.module.requires_grad_(True)
    for key, wanted in golden.facts["train"].items():
        without, with_gradient = wanted["num_steps_pair"]
        module.zero_grad()
        output = module(
            golden.expected["input_ids"],
            iterations=without + with_gradient,
            grad_iterations=with_gradient,
            initial_state=golden.expected["initial_state"],
            labels=golden.expected["train.labels"],
        )
        output.loss.backward()
        assert output.loss.item() == pytest.approx(wanted["loss"], abs=1e-4)
        norms = {name: weight.grad.norm().item() for name, weight in module.named_parameters()}
        assert norms == pytest.approx(wanted["grad_l2_norm"], rel=1e-4)
        _close(module.transformer.adapter.weight.grad, golden.expected[f"train.{key}.adapter_grad"])


# Our own numbers: weights from a formula, from an implementation that met the published ones to the bit.
PLAIN = json.loads((GOLDEN / "plain_model.json").read_text())


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: str(case["changes"]))
def test_a_model_with_weights_from_a_formula_gives_our_recorded_numbers(case: dict) -> None:
    model = plain_model(**case["changes"])
    context = model.embed(torch.tensor([case["token_ids"]]))
    state = torch.cos(torch.arange(len(case["token_ids"]) * 32.0)).view(1, -1, 32)
    for _ in range(case["iterations"]):
        state = model.step(state, context)
    _close(model.normalise(state)[0, -1, :6], torch.tensor(case["latent"]))
    _close(model.readout(state, context)[0, -1, :6], torch.tensor(case["logits"]))


def test_a_prefix_starts_where_the_whole_starts() -> None:
    model = plain_model()
    whole = model.initial_state(model.embed(torch.arange(9)[None]), 3)
    prefix = model.initial_state(model.embed(torch.arange(4)[None]), 3)
    assert torch.equal(whole[:, :4], prefix)


def test_the_initial_state_has_the_published_spread() -> None:
    state = random_state(HuginnConfig(), torch.empty(64, 5280), torch.Generator().manual_seed(0))
    assert state.std().item() == pytest.approx(0.6238, abs=0.002)
    assert state.abs().max().item() <= 3 * (2 / 5) ** 0.5


def test_fresh_weights_follow_the_published_scheme() -> None:
    config = tiny_config(n_embd=128, intermediate_size=512, mean_recurrence=16)
    module = init_weights(Huginn(config), torch.Generator().manual_seed(0))
    std, cut = (2 / (5 * 128)) ** 0.5, 0.9866  # what cutting at three deviations leaves of the deviation
    block = module.transformer.core_block[0]
    assert block.attn.Wqkv.weight.std().item() == pytest.approx(std * cut, rel=0.02)
    assert block.mlp.proj.weight.std().item() == pytest.approx(
        std * cut / (2 * (1 + 32 + 1)) ** 0.5, rel=0.02
    )
    assert (block.norm_1.weight == 1).all()
    assert (block.attn.qk_bias == 0).all()


def test_gradient_flows_through_the_last_iterations_only() -> None:
    module = plain_model().module
    start = torch.ones(1, 3, 32, requires_grad=True)
    module(
        torch.tensor([[1, 2, 3]]), iterations=2, grad_iterations=1, initial_state=start
    ).logits.sum().backward()
    assert start.grad is None
    module(
        torch.tensor([[1, 2, 3]]), iterations=2, grad_iterations=2, initial_state=start
    ).logits.sum().backward()
    assert start.grad.abs().sum() > 0


def test_more_iterations_with_gradient_than_there_are_is_refused() -> None:
    with pytest.raises(ArgumentError) as raised:
        plain_model().module(torch.tensor([[1]]), iterations=1, grad_iterations=2)
    assert str(raised.value) == (
        "grad_iterations is 2 and iterations is 1; pass 0 <= grad_iterations <= iterations."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 5}, "The config says n_embd = 32 and n_heads = 5; the first must be divisible by the "
         "second, with an even quotient (rotary embeddings turn pairs)."),
        ({"vocab_size": 0}, "The config says vocab_size = 0; it must be a whole number of at least 1."),
        ({"injection_type": "adds"}, "The config says injection_type = 'adds'. Did you mean 'add'? "
         "Known: 'add', 'ffn', 'gate', 'linear'."),
    ],
)  # fmt: skip
def test_a_config_that_makes_no_sense_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ModelError) as raised:
        tiny_config(**changes)
    assert str(raised.value) == message

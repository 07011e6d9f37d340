"""Any causal language model of transformers is found by its structure, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from causal_for_tests import ASKED_FOR, FAMILIES, causal_model, transformers_model
from torch import nn
from transformers import AutoModelForCausalLM, CpmAntConfig, OpenAIGPTConfig

import latentkit as lk
from latentkit.errors import ModelError
from latentkit.models.layered.causal import CausalModel
from latentkit.models.layered.unrolled import BlockCall, plain_run
from latentkit.models.registry import LOOPED

IDS = [3, 1, 4, 1, 5, 9, 2, 6]


def own_logits(model: CausalModel, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_last_state_read_out_gives_the_models_logits(name: str) -> None:
    model = causal_model(name)
    kept: dict[int, torch.Tensor] = {}

    def keep(call: BlockCall) -> torch.Tensor:
        kept[call.index] = call.run()[0]
        return kept[call.index][None]

    final = model.run(IDS, keep)
    last = len(model.layers) - 1
    read = model.read({last: kept[last]}, IDS, slice(2, 5))[0]
    torch.testing.assert_close(read, final[2:5])
    torch.testing.assert_close(model.head.logits(read), own_logits(model, IDS)[2:5])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_linear_head_is_known_as_such_and_gives_the_same_logits(name: str) -> None:
    model = causal_model(name)
    head = model.head
    assert (head.weight is None) == (name == "gemma2")  # the one with a soft-cap
    if head.weight is not None:
        x = model.run(IDS, plain_run)
        by_hand = head.scale * nn.functional.linear(x, head.weight, head.bias)
        torch.testing.assert_close(by_hand, own_logits(model, IDS))


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_are_those_of_the_whole_sequence_read_again_each_time(name: str) -> None:
    model = causal_model(name)
    ids = list(IDS)
    for _ in range(4):
        ids.append(int(own_logits(model, ids)[-1].argmax()))
    assert model.greedy(IDS, 4) == ids[len(IDS) :]


def test_ordinary_layers_are_numbered_blocks() -> None:
    layers = causal_model("llama").layers
    assert [(x.index, x.stack, x.iteration, x.block, x.lens) for x in layers] == [
        (i, "layers", 0, i, "logit") for i in range(3)
    ]


def test_every_call_of_every_block_of_a_looped_model_is_a_layer() -> None:
    model = causal_model("hrm_text")  # two stacks of two blocks; L runs 2 × 3 times, H twice
    wanted = [
        (stack, iteration, block)
        for cycle in range(2)
        for stack, iterations in (
            ("L_module", range(3 * cycle + 1, 3 * cycle + 4)),
            ("H_module", [cycle + 1]),
        )
        for iteration in iterations
        for block in range(2)
    ]
    assert [(x.stack, x.iteration, x.block) for x in model.layers] == wanted
    assert [x.index for x in model.layers] == list(range(16))


def test_states_of_a_looped_model_are_those_of_its_own_calls() -> None:
    model = causal_model("hrm_text")
    seen: list[torch.Tensor] = []
    blocks = [*model.module.model.L_module.layers, *model.module.model.H_module.layers]
    hooks = [block.register_forward_hook(lambda _m, _a, out: seen.append(out)) for block in blocks]
    own_logits(model, IDS)
    for hook in hooks:
        hook.remove()
    caught: list[torch.Tensor] = []

    def keep(call: BlockCall) -> torch.Tensor:
        caught.append(call.run())
        return caught[-1]

    model.run(IDS, keep)
    assert len(caught) == len(seen) == 16
    for a, b in zip(caught, seen, strict=True):
        torch.testing.assert_close(a, b)


def test_looking_leaves_the_model_as_it_was() -> None:
    model = causal_model("gemma2")
    before = own_logits(model, IDS)
    model.run(IDS, lambda call: call.state)
    assert all("forward" not in part.__dict__ for part in model.module.modules())
    torch.testing.assert_close(own_logits(model, IDS), before)


def test_an_error_inside_a_run_leaves_the_model_as_it_was() -> None:
    model = causal_model("llama")
    before = own_logits(model, IDS)
    with pytest.raises(ZeroDivisionError):
        model.run(IDS, lambda call: 1 / 0)  # type: ignore[return-value]
    torch.testing.assert_close(own_logits(model, IDS), before)


def test_a_model_whose_logits_need_more_than_the_last_state_is_refused() -> None:
    module = transformers_model("llama")
    norm, embedding = module.model.norm, module.model.embed_tokens
    module.model.norm = SkipConnection(norm, embedding)
    with pytest.raises(ModelError) as caught:
        CausalModel(module, name="skipping")
    message = str(caught.value)
    assert message.startswith(
        "Reading out the last block's state of skipping does not give its own logits: they differ by up to "
    )
    assert message.endswith(
        "The logits depend on more than the last state, so its layers cannot be compared."
    )


class SkipConnection(nn.Module):
    """A final norm that adds the embeddings of the tokens read last."""

    def __init__(self, norm: nn.Module, embedding: nn.Module) -> None:
        super().__init__()
        self.norm, self.last = norm, None
        embedding.register_forward_hook(self.remember)

    def remember(self, _module: nn.Module, _args: object, out: torch.Tensor) -> None:
        self.last = out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert self.last is not None
        return self.norm(x) + self.last


class NoCache(nn.Module):
    """A network whose cache works in `generate` only."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.inner = module

    def forward(self, *, use_cache: bool = False, **rest: object) -> object:
        if use_cache:
            raise ValueError("`get_seq_length` can only be called on Attention layers")
        return self.inner(use_cache=False, **rest)

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


def test_a_model_whose_cache_fails_reads_the_whole_sequence_for_each_token() -> None:
    plain = causal_model("llama")
    model = CausalModel(NoCache(transformers_model("llama")), name="no cache")
    assert model.greedy(IDS, 4) == plain.greedy(IDS, 4)


def test_a_block_that_returns_a_list_is_a_block() -> None:
    config = OpenAIGPTConfig(vocab_size=96, n_positions=64, n_embd=32, n_layer=3, n_head=4)
    model = CausalModel(AutoModelForCausalLM.from_config(config), name="openai-gpt")
    assert [layer.stack for layer in model.layers] == ["h"] * 3
    states: dict[int, torch.Tensor] = {}

    def keep(call: BlockCall) -> torch.Tensor:
        states[call.index] = call.run()
        return states[call.index]

    final = model.run(IDS, keep)
    torch.testing.assert_close(model.read({2: states[2][0]}, IDS, slice(2, 5))[0], final[2:5])
    torch.testing.assert_close(model.head.logits(final), own_logits(model, IDS))


def test_a_model_whose_states_are_not_those_of_its_tokens_is_refused() -> None:
    config = CpmAntConfig(
        vocab_size=96, hidden_size=32, num_attention_heads=4, dim_head=8, dim_ff=48, num_hidden_layers=2,
        prompt_types=4, prompt_length=8, segment_types=4,
    )  # fmt: skip
    with pytest.raises(ModelError) as caught:
        CausalModel(AutoModelForCausalLM.from_config(config), name="cpmant")
    assert str(caught.value) == (
        "The blocks of cpmant (CpmAntForCausalLM) map states of shape [1, 12, 32] for 4 tokens, so their "
        "positions are not those of the tokens. Its layers cannot be compared."
    )


def test_a_model_that_needs_more_than_tokens_is_refused() -> None:
    module = transformers_model("llama")
    module.forward = lambda **_: (_ for _ in ()).throw(TypeError("missing 'pixel_values'"))
    with pytest.raises(ModelError) as caught:
        CausalModel(module, name="seeing")
    assert str(caught.value) == (
        "seeing (LlamaForCausalLM) does not run on token ids alone (TypeError: missing 'pixel_values'). Its "
        "layers cannot be compared."
    )


def test_a_model_without_a_stack_of_blocks_is_refused() -> None:
    module = transformers_model("llama")
    module.model.layers = nn.ModuleList()
    module.config.num_hidden_layers = 0
    with pytest.raises(ModelError) as caught:
        CausalModel(module, name="empty")
    assert str(caught.value) == (
        "No stack of blocks was found in empty (LlamaForCausalLM): no member of a list of modules maps a "
        "state [batch, token, hidden] to another. Its layers cannot be compared."
    )


@pytest.mark.parametrize("name", [name for name in ASKED_FOR if name not in LOOPED])
def test_a_folder_is_loaded_in_its_stored_dtype(name: str, tmp_path: Path) -> None:
    module = transformers_model(name, dtype=torch.bfloat16)
    module.save_pretrained(tmp_path)
    model = lk.load_model(tmp_path)
    assert isinstance(model, CausalModel)
    assert model.dtype == torch.bfloat16
    assert (model.hidden_size, model.vocab_size, model.tokenizer) == (32, 96, None)
    stored, loaded = module.state_dict(), model.module.state_dict()
    assert stored.keys() == loaded.keys()
    assert all(torch.equal(stored[key], loaded[key]) for key in stored)
    assert lk.load_model(tmp_path, dtype="float32").dtype == torch.float32


def test_a_checkpoint_that_lacks_a_weight_is_refused_not_filled_with_random_numbers(tmp_path: Path) -> None:
    module = transformers_model("llama")
    weights = module.state_dict()
    del weights["model.layers.1.mlp.up_proj.weight"]
    module.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(ModelError) as caught:
        lk.load_model(tmp_path)
    assert str(caught.value) == (
        f"The checkpoint in {tmp_path} lacks model.layers.1.mlp.up_proj.weight, or has it in another shape. "
        "Check that config.json and the weights belong together."
    )


def test_no_code_of_a_folder_is_run(tmp_path: Path) -> None:
    module = transformers_model("llama")
    module.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    evil = '{"auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},'
    (tmp_path / "config.json").write_text(config.replace("{", evil, 1))
    (tmp_path / "evil.py").write_text("raise SystemExit('code of a checkpoint was run')")
    assert isinstance(lk.load_model(tmp_path), CausalModel)


def test_the_families_are_those_of_transformers() -> None:
    kinds = {type(transformers_model(name).config) for name in FAMILIES}
    assert kinds <= set(AutoModelForCausalLM._model_mapping)

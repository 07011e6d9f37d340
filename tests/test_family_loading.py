"""Checkpoints of the families: what is not whole, or of another architecture, is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families_for_tests import FOLDER, SETS, model
from safetensors.torch import load_file, save_file
from torch import Tensor

import latentkit as lk
from latentkit.errors import ModelError
from latentkit.testing import check_recurrent_model

CHECK = "Check that config.json and the weights belong together."


def _copy(name: str, tmp_path: Path, change: Callable[[dict[str, Tensor]], Any]) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    shutil.copyfile(FOLDER / name / "config.json", folder / "config.json")
    tensors = load_file(FOLDER / name / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def _message(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        lk.load_model(folder)
    return str(raised.value).replace(str(folder), "FOLDER")


def _core_matrix(name: str) -> str:
    """Return a matrix inside the loop."""
    names = load_file(FOLDER / name / "model.safetensors")
    inside = [
        each
        for each in names
        if ("layers.0." in each or "core_block.0." in each or "group" in each) and names[each].dim() == 2
    ]
    return sorted(inside)[0]


@pytest.mark.parametrize("name", SETS)
def test_a_missing_tensor_is_named(name: str, tmp_path: Path) -> None:
    gone = _core_matrix(name)
    folder = _copy(name, tmp_path, lambda tensors: tensors.pop(gone))
    assert _message(folder) == f"The checkpoint in FOLDER lacks {gone}. {CHECK}"


@pytest.mark.parametrize("name", SETS)
def test_an_extra_tensor_is_named(name: str, tmp_path: Path) -> None:
    folder = _copy(name, tmp_path, lambda tensors: tensors.update({"model.extra.weight": torch.ones(2)}))
    wanted = "The checkpoint in FOLDER holds model.extra.weight, which this architecture does not have. "
    assert _message(folder) == wanted + CHECK


@pytest.mark.parametrize("name", SETS)
def test_a_wrong_shape_is_named(name: str, tmp_path: Path) -> None:
    wrong = _core_matrix(name)
    right: list[int] = []

    def shorten(tensors: dict[str, Tensor]) -> None:
        right[:] = tensors[wrong].shape
        tensors[wrong] = tensors[wrong][:-1].contiguous()

    folder = _copy(name, tmp_path, shorten)
    wide = [right[0] - 1, *right[1:]]
    assert (
        _message(folder)
        == f"The checkpoint in FOLDER has {wrong} of shape {wide} instead of {right}. {CHECK}"
    )


@pytest.mark.parametrize("name", SETS)
def test_shards_with_an_index_in_bfloat16_hold_the_same_model(name: str, tmp_path: Path) -> None:
    tensors = {
        each: value.bfloat16() for each, value in load_file(FOLDER / name / "model.safetensors").items()
    }
    shutil.copyfile(FOLDER / name / "config.json", tmp_path / "config.json")
    names, weight_map = sorted(tensors), {}
    for part in (0, 1):
        file = f"model-0000{part + 1}-of-00002.safetensors"
        save_file({each: tensors[each] for each in names[part::2]}, tmp_path / file)
        weight_map |= dict.fromkeys(names[part::2], file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = lk.load_model(tmp_path)
    assert found.dtype == torch.bfloat16
    assert type(found) is type(model(name))
    own = dict(model(name).module.named_parameters())
    for each, weight in found.module.named_parameters():
        assert torch.equal(weight, own[each].bfloat16()), each
    context = found.embed(torch.tensor([[3, 1, 4, 1, 5]]))
    state = found.step(found.initial_state(context, 0), context)
    assert state.dtype == torch.bfloat16
    assert found.readout(state, context).isfinite().all()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("ouro/golden_a", {"total_ut_steps": 0}, "The config says total_ut_steps = 0; it must be a whole"),
        ("ouro/golden_a", {"num_key_value_heads": 3}, "num_attention_heads = 4 and num_key_value_heads = 3"),
        ("ouro/golden_a", {"tie_word_embeddings": True}, "the adapter for Ouro covers False."),
        ("nanbeige/golden_a", {"enable_depth_attention": True}, "covers False or None or 0 or []."),
        ("nanbeige/golden_a", {"rope_scaling": {"rope_type": "yarn"}}, "rope_scaling of type 'yarn'"),
        ("parcae/golden_a", {"injection_type": "linear"}, "the adapter for Parcae covers 'diagonal'."),
        ("parcae/golden_a", {"recurrent_embedding_dimension": 96}, "the adapter for Parcae covers 48."),
        ("retrofit/golden_a_llama", {"initial_state_mode": "embed-init"}, "covers 'random'."),
        ("retrofit/golden_a_llama", {"init_values": {}}, "The config lacks std, embed_scale"),
        ("hrm_text/golden_a", {"H_cycles": "2"}, "The config says H_cycles = '2'"),
        ("albert/golden_a", {"num_hidden_groups": 2}, "the adapter for ALBERT covers 1."),
        ("albert/golden_a", {"hidden_act": "swish"}, "covers gelu, gelu_new, relu."),
    ],
)
def test_a_config_of_another_architecture_is_refused_by_its_field(
    name: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = _copy(name, tmp_path, lambda _: None)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    assert message in _message(folder)


def test_a_rotary_table_of_another_base_is_refused(tmp_path: Path) -> None:
    folder = _copy("parcae/golden_a", tmp_path, lambda tensors: tensors["freqs_cis"].mul_(0.5))
    assert _message(folder).startswith(
        "freqs_cis in FOLDER/model.safetensors does not follow from config.json."
    )


def test_a_norm_that_only_huginn_has_tells_its_layout_from_a_retrofitted_one(tmp_path: Path) -> None:
    def add_norms(tensors: dict[str, Tensor]) -> None:
        for stack in ("prelude.0", "prelude.1", "core_block.0", "core_block.1", "coda.0"):
            tensors[f"transformer.{stack}.norm_3.weight"] = torch.ones(64)
            tensors[f"transformer.{stack}.norm_4.weight"] = torch.ones(64)

    message = _message(_copy("retrofit/golden_a_llama", tmp_path, add_norms))
    assert "transformer.coda.0.attn.Wqkv.weight of shape [128, 64] instead of [192, 64]" in message


def test_nanbeige_with_the_raw_state_fed_back_norms_before_the_head_alone(tmp_path: Path) -> None:
    folder = _copy("nanbeige/golden_a", tmp_path, lambda _: None)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "skip_loop_final_norm": True}))
    raw, normed = lk.load_model(folder), model("nanbeige/golden_a")
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    context = raw.embed(ids)
    once = raw.step(raw.initial_state(context, 0), context)
    own = normed.step(normed.initial_state(context, 0), context)
    torch.testing.assert_close(raw.normalise(once), own)
    torch.testing.assert_close(raw.readout(once, context), normed.readout(own, context))
    assert float((raw.step(once, context) - normed.step(own, context)).abs().max()) > 0.1
    check_recurrent_model(raw)


def test_a_folder_gives_the_model_its_name_and_not_its_place(tmp_path: Path) -> None:
    folder = _copy("ouro/golden_a", tmp_path, lambda _: None)
    assert lk.load_model(folder).name == "copy"

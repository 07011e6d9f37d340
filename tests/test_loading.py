"""Reading checkpoints in the released layout, and what is said of those that are not whole."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from models_for_tests import plain_model, tiny_config
from safetensors.torch import load_file, save_file

import latentkit as lk
from latentkit.errors import ArgumentError, ModelError
from latentkit.models.blocks import rope_table
from latentkit.models.huginn import Huginn
from latentkit.models.registry import LOOPED, loader_of
from latentkit.models.stored.checkpoint import write_module
from latentkit.models.verbs import HuginnModel

IDS = torch.tensor([[3, 1, 4, 1, 5]])


def _logits(model: HuginnModel) -> torch.Tensor:
    context = model.embed(IDS)
    state = model.initial_state(context, 0)
    for _ in range(3):
        state = model.step(state, context)
    return model.readout(state, context)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint as the release lays it out: two shards with an index, bfloat16, no ``lm_head.weight``."""
    write_module(plain_model().module, tmp_path, torch.bfloat16)
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, tmp_path / file)
    weight_map = {name: file for file, part in parts.items() for name in part}
    index = {"metadata": {}, "weight_map": weight_map}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


def _change_shard(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the tensors of the first shard and keep the index in step."""
    shard = folder / "model-00001-of-00002.safetensors"
    tensors = load_file(shard)
    change(tensors)
    save_file(tensors, shard)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    others = {name: file for name, file in index["weight_map"].items() if file != shard.name}
    index["weight_map"] = {**others, **dict.fromkeys(tensors, shard.name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _message(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        lk.load_model(folder)
    return str(raised.value).replace(str(folder), "FOLDER")


def test_a_sharded_bfloat16_checkpoint_without_a_head_gives_the_same_logits(folder: Path) -> None:
    model = lk.load_model(folder)
    assert model.dtype == torch.bfloat16
    torch.testing.assert_close(_logits(model), _logits(HuginnModel(plain_model().module.bfloat16())))
    assert model.module.lm_head.weight is model.module.transformer.wte.weight
    assert model.tokenizer is None


def test_the_dtype_asked_for_is_the_dtype_given(folder: Path) -> None:
    wide = lk.load_model(folder, dtype="float32")
    assert {weight.dtype for weight in wide.module.parameters()} == {torch.float32}
    torch.testing.assert_close(_logits(wide), _logits(plain_model()), atol=0.1, rtol=0.1)


def test_a_duplicate_head_and_the_rotary_table_change_nothing(folder: Path) -> None:
    wanted = _logits(lk.load_model(folder))

    def add_what_the_release_adds(tensors: dict[str, torch.Tensor]) -> None:
        config = plain_model().config
        tensors["lm_head.weight"] = plain_model().module.transformer.wte.weight.detach().bfloat16()
        table = rope_table(config, torch.arange(config.block_size))
        tensors["freqs_cis"] = table[None, :, None].contiguous()

    _change_shard(folder, add_what_the_release_adds)
    torch.testing.assert_close(_logits(lk.load_model(folder)), wanted, atol=0, rtol=0)


def test_a_rotary_table_of_another_base_is_refused(folder: Path) -> None:
    config = plain_model(rope_base=10_000).config
    table = rope_table(config, torch.arange(config.block_size))[None, :, None].contiguous()
    _change_shard(folder, lambda tensors: tensors.update(freqs_cis=table))
    assert _message(folder) == (
        "freqs_cis in FOLDER/model-00001-of-00002.safetensors does not follow from rope_base = 50000 in "
        "config.json. Check that config.json and the weights belong together."
    )


def test_a_missing_tensor_is_named(folder: Path) -> None:
    _change_shard(folder, lambda tensors: tensors.pop("transformer.coda.0.attn.proj.weight"))
    assert _message(folder) == (
        "The checkpoint in FOLDER lacks transformer.coda.0.attn.proj.weight. "
        "Check that config.json and the weights belong together."
    )


def test_an_extra_tensor_is_named(folder: Path) -> None:
    _change_shard(folder, lambda tensors: tensors.update({"transformer.extra.weight": torch.ones(2)}))
    assert _message(folder) == (
        "The checkpoint in FOLDER holds transformer.extra.weight, which this architecture does not have. "
        "Check that config.json and the weights belong together."
    )


def test_a_wrong_shape_is_named(folder: Path) -> None:
    _change_shard(folder, lambda tensors: tensors.update({"transformer.adapter.weight": torch.ones(32, 32)}))
    assert _message(folder) == (
        "The checkpoint in FOLDER has transformer.adapter.weight of shape [32, 32] instead of [32, 64]. "
        "Check that config.json and the weights belong together."
    )


@pytest.mark.parametrize("length", [5, 400, -7])
def test_a_truncated_file_is_named(folder: Path, length: int) -> None:
    shard = folder / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:length])
    message = _message(folder)
    assert message.startswith(
        "The weight file FOLDER/model-00002-of-00002.safetensors is damaged or cut short ("
    )
    assert message.endswith("). Copy or download it again.")


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert _message(folder) == (
        "The weight file FOLDER/model-00002-of-00002.safetensors is missing. Copy the model folder again."
    )


def test_an_index_that_names_what_no_shard_holds_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["transformer.ghost"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    assert _message(folder) == (
        "FOLDER/model-00001-of-00002.safetensors and model.safetensors.index.json disagree about "
        "transformer.ghost. Copy the model folder again."
    )


def test_code_named_by_a_config_is_neither_run_nor_asked_about(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('code of a checkpoint was run')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("loading asked a question"))
    assert lk.load_model(folder).hidden_size == 32


@pytest.mark.parametrize(
    ("config", "what", "own"),
    [
        ({"model_type": "nobody_knows"}, "has the model_type 'nobody_knows'", ""),
        ({"n_embd": 32}, "names no model_type", ""),
        (
            {"model_type": "mine", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}},
            "has the model_type 'mine'",
            " The folder brings its own code (auto_map in config.json), which latentkit does not run.",
        ),
    ],
)
def test_an_unknown_type_is_refused_by_its_name_and_no_question_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], what: str, own: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("raise SystemExit('code of a checkpoint was run')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("loading asked a question"))
    looped = ", ".join(map(repr, sorted(LOOPED)))
    assert _message(tmp_path) == (
        f"The config.json in FOLDER {what}, for which neither latentkit ({looped}) nor transformers has "
        f"code.{own} Load another model, or add this one as CONTRIBUTING describes."
    )


def test_a_type_that_is_not_causal_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert _message(tmp_path).startswith("FOLDER holds a model of type 'vit', which is not a looped model (")


@pytest.mark.parametrize("kind", sorted(LOOPED))
def test_every_registered_type_has_a_loader(kind: str) -> None:
    names = set(inspect.signature(loader_of(kind)).parameters)
    assert names == {"folder", "tokenizer", "name", "revision", "dtype", "device"}


def test_one_line_in_the_registry_adds_a_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def toy(folder: Path, **rest: Any) -> dict[str, Any]:
        return {"folder": folder, **rest}

    (tmp_path / "config.json").write_text('{"_class_name": "Toy"}')
    monkeypatch.setitem(LOOPED, "Toy", f"{__name__}:toy_loader")
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(toy_loader=toy))  # type: ignore[arg-type]
    found = lk.load_model(tmp_path, device="cpu", dtype="float32")
    assert found == {
        "folder": tmp_path, "tokenizer": None, "name": tmp_path.name, "revision": None,
        "dtype": torch.float32, "device": torch.device("cpu"),
    }  # fmt: skip


def test_a_folder_gives_its_model_the_last_part_of_its_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lk.load_model(folder).name == lk.load_model(str(folder)).name == folder.name
    monkeypatch.chdir(folder)
    assert lk.load_model(".").name == folder.name


def test_a_path_means_a_folder_and_a_string_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as raised:
        lk.load_model(Path("nano"))
    assert str(raised.value) == (
        "There is no folder nano. A Path always means a folder; pass a string for the name of a model or a "
        "hub id."
    )
    write_module(plain_model().module, tmp_path / "nano")
    assert lk.load_model(Path("nano")).hidden_size == lk.load_model("./nano").hidden_size == 32
    assert lk.load_model("nano").hidden_size != 32


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nano", "nano is shipped with the package"),
        ("nano-untrained", "nano-untrained is made from a fixed seed"),
        (None, "FOLDER is a folder"),
    ],
)
def test_a_revision_of_what_is_not_on_the_hub_is_refused(folder: Path, name: str | None, why: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        lk.load_model(name or folder, revision="main")
    assert str(raised.value).replace(str(folder), "FOLDER") == (
        f"revision is 'main', but {why}; only models of the hub have revisions. Leave it out."
    )


def test_a_folder_that_is_no_model_says_what_it_lacks(tmp_path: Path) -> None:
    assert _message(tmp_path) == (
        "FOLDER has no config.json, so it is not a model folder. Pass the folder that holds one."
    )
    (tmp_path / "config.json").write_text('{"model_type": "huginn_raven", "n_embd": 32}')
    assert _message(tmp_path) == (
        "FOLDER holds neither model.safetensors nor model.safetensors.index.json. Copy the weights there."
    )
    save_file({"lm_head.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert _message(tmp_path) == (
        "The config lacks n_heads, n_layers_in_prelude, n_layers_in_recurrent_block, n_layers_in_coda, "
        "vocab_size. A recurrent-depth model in the released layout has them; is this config.json that of "
        "another kind of model?"
    )
    (tmp_path / "config.json").write_text("{")
    assert _message(tmp_path).startswith("FOLDER/config.json is not readable JSON (")


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    with pytest.raises(ModelError) as raised:
        lk.load_model("nona")
    assert str(raised.value) == (
        "No model named 'nona'. Did you mean 'nano'? Known: 'albert-untrained', 'hrm-text-untrained', "
        "'huginn', 'nanbeige-untrained', 'nano', 'nano-untrained', 'ouro-untrained', 'parcae-untrained', "
        "'retrofit-untrained', 'smollm2'. A folder or a hub id (owner/name) works too."
    )


@pytest.mark.usefixtures("hub_online")
@pytest.mark.filterwarnings("ignore")  # the hub client warns in its own way while it tries again
def test_without_a_network_a_hub_name_says_so_and_what_works() -> None:
    with pytest.raises(ModelError) as raised:
        lk.load_model("huginn")
    message = str(raised.value)
    assert message.startswith(
        "'tomg-group-umd/huginn-0125' is not a folder here, and the hub did not give it ("
    )
    assert message.endswith(
        "Check the name and the network, or pass a folder that holds the model. load_model('nano') needs no "
        "network."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"dtype": "int8"},
            "dtype is 'int8'; pass a floating dtype such as 'float32' or 'bfloat16', or None.",
        ),
        ({"dtype": "nn"}, "dtype is 'nn'; pass a floating dtype such as 'float32' or 'bfloat16', or None."),
        ({"device": "gpu"}, "device is 'gpu'; pass 'cpu', 'cuda', a torch.device, or None."),
    ],
)
def test_a_wrong_dtype_or_device_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        lk.load_model("nano", **arguments)
    assert str(raised.value) == message


def test_weights_stay_in_the_file_until_they_are_used(
    tmp_path: Path, run_python: Callable[[str], str]
) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("reads the memory of a process from /proc, which this system lacks")
    module = Huginn(tiny_config(n_embd=1024, intermediate_size=4096, vocab_size=8192))
    for weight in module.parameters():
        weight.data.zero_()
    write_module(module, tmp_path)
    del module
    size = (tmp_path / "model.safetensors").stat().st_size
    own = int(
        run_python(f"""
import re
import latentkit as lk
def own_memory():
    return 1024 * int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1])
import latentkit.models.loading
before = own_memory()
model = lk.load_model({str(tmp_path)!r})
model.module.transformer.wte.weight.sum()
print(own_memory() - before)
""")
    )
    assert size > 200e6
    assert own < 0.2 * size


def test_nano_untrained_is_the_same_every_time_and_fits_nano() -> None:
    first, again = lk.load_model("nano-untrained"), lk.load_model("nano-untrained")
    trained = lk.load_model("nano")
    assert torch.equal(first.module.transformer.wte.weight, again.module.transformer.wte.weight)
    assert first.config == trained.config
    assert not torch.equal(first.module.transformer.wte.weight, trained.module.transformer.wte.weight)
    assert trained.dtype == torch.float32


def test_a_saved_module_reads_back_to_the_bit(tmp_path: Path) -> None:
    model = plain_model(tie_embeddings=False, injection_type="ffn")
    write_module(model.module, tmp_path)
    back = lk.load_model(tmp_path)
    for (name, a), (_, b) in zip(
        model.module.named_parameters(), back.module.named_parameters(), strict=True
    ):
        assert torch.equal(a, b), name
    assert back.config == model.config


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rope_base", [], "The config says rope_base = []; it must be a number above 0."),
        ("norm_eps", -1, "The config says norm_eps = -1; it must be a number above 0."),
        ("qk_bias", "yes", "The config says qk_bias = 'yes'; it must be true or false."),
    ],
)
def test_a_config_value_without_meaning_is_named(
    folder: Path, name: str, value: object, message: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, name: value}))
    with pytest.raises(ModelError) as caught:
        lk.load_model(folder)
    assert str(caught.value) == message


def test_more_layers_than_tensors_are_refused_before_they_are_built(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_layers_in_coda": 10**9}))
    with pytest.raises(ModelError, match=r"says n_layers_in_coda = 1,000,000,000, and the checkpoint holds"):
        lk.load_model(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model": 1}'])
def test_a_damaged_tokenizer_is_named(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"The tokenizer files in .* cannot be read"):
        lk.load_model(folder)

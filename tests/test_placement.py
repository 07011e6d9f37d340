"""Large models: weights that accelerate places, on the disk too, and weights in fewer bits."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from causal_for_tests import transformers_model

import latentkit as lk
from latentkit.errors import ArgumentError, ModelError
from latentkit.models.stored import placement
from latentkit.run.provenance import provenance

PROMPT = [1, 2, 3, 4, 5]
ON_DISK = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "disk",
    "model.layers.1": "cpu",
    "model.layers.2": "disk",
    "model.norm": "cpu",
    "lm_head": "disk",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("placed") / "llama"
    transformers_model("llama", tie_word_embeddings=False).save_pretrained(path)
    return path


@pytest.mark.parametrize("device_map", ["auto", "cpu", ON_DISK], ids=["auto", "cpu", "disk"])
def test_placed_weights_give_the_same_results(folder: Path, device_map: object) -> None:
    plain, placed = lk.load_model(folder, device="cpu"), lk.load_model(folder, device_map=device_map)
    assert any(weight.is_meta for weight in placed.module.parameters()) == (device_map is ON_DISK)
    assert provenance(placed)["weights_digest"] == provenance(plain)["weights_digest"]
    for run in (lk.run_layer_effect, lk.run_layer_lens):
        one, two = (run(each, PROMPT, new_tokens=2, progress=False) for each in (plain, placed))
        assert one.token_id.values.tolist() == two.token_id.values.tolist()
        np.testing.assert_allclose(one.kl, two.kl, rtol=1e-4, atol=1e-6)


def test_bfloat16_weights_are_loaded_as_asked(folder: Path) -> None:
    model = lk.load_model(folder, dtype="bfloat16", device_map="cpu")
    assert model.dtype == torch.bfloat16


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.05), (4, 0.5)])
def test_weights_of_few_bits_change_little(folder: Path, bits: int, tolerance: float) -> None:
    if not any(importlib.util.find_spec(name) for name in placement.QUANTISING[bits]):
        pytest.skip(f"{' or '.join(placement.QUANTISING[bits])} is not installed")
    plain, small = (lk.load_model(folder, device="cpu", bits=each) for each in (None, bits))
    assert provenance(small)["quantised"] == f"{bits} bits"
    one, two = (
        lk.run_layer_lens(each, PROMPT, continuation=[6, 7], progress=False) for each in (plain, small)
    )
    assert not np.array_equal(one.kl, two.kl)
    np.testing.assert_allclose(one.kl, two.kl, atol=tolerance)


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_installed", lambda _: False)
    with pytest.raises(ModelError) as raised:
        lk.load_model(folder, bits=8)
    assert str(raised.value) == ("bits=8 needs torchao or bitsandbytes. Install it with: pip install torchao")
    with pytest.raises(
        ModelError, match=r"^device_map= needs accelerate\. Install it with: pip install accel"
    ):
        lk.load_model(folder, device_map="auto")


def test_models_that_cannot_be_placed_say_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as raised:
        lk.load_model("nano", device_map="auto")
    assert str(raised.value) == (
        "device_map is given, but 'nano' is a model with a short name; only causal language models of "
        "transformers, from a folder or the hub, are placed or quantised. Pass device= and dtype=."
    )
    from latentkit.models.loading import NANO

    with pytest.raises(ArgumentError, match="is a looped model; only causal"):
        lk.load_model(NANO, device_map="cpu")
    with pytest.raises(ArgumentError, match="bits is 3; pass 8 or 4"):
        lk.load_model(folder, bits=3)
    with pytest.raises(ArgumentError, match=r"device_map and device are given\. Pass one of them\."):
        lk.load_model(folder, device="cpu", device_map="auto")

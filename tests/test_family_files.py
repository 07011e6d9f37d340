"""Files of published models: torch's own format, the hub's layout, and names that do not show a place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from causal_for_tests import transformers_model
from families_for_tests import FOLDER, model
from matplotlib import pyplot as plt
from safetensors.torch import load_file

import latentkit as lk
from latentkit.errors import ModelError
from latentkit.models import loading

NANO = Path(lk.__file__).parent / "models" / "nano"
IDS = torch.tensor([[3, 1, 4, 1, 5]])


def _parcae(folder: Path, tensors: Any = None) -> Path:
    """Write the golden Parcae in the published format."""
    folder.mkdir(exist_ok=True)
    source = FOLDER / "parcae/golden_a"
    shutil.copyfile(source / "config.json", folder / "config.json")
    torch.save(
        load_file(source / "model.safetensors") if tensors is None else tensors, folder / "pytorch_model.bin"
    )
    return folder


def test_parcae_in_torchs_format_is_the_same_model(tmp_path: Path) -> None:
    found, own = lk.load_model(_parcae(tmp_path)), model("parcae/golden_a")
    weights = dict(own.module.named_parameters())
    for name, weight in found.module.named_parameters():
        assert torch.equal(weight, weights[name]), name


def test_shards_in_torchs_format_are_read_by_their_index(tmp_path: Path) -> None:
    folder = _parcae(tmp_path)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    (folder / "pytorch_model.bin").unlink()
    names, weight_map = sorted(tensors), {}
    for part in (0, 1):
        torch.save({each: tensors[each] for each in names[part::2]}, folder / f"pytorch_model-{part}.bin")
        weight_map |= dict.fromkeys(names[part::2], f"pytorch_model-{part}.bin")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    context = (found := lk.load_model(folder)).embed(IDS)
    own = model("parcae/golden_a")
    assert torch.equal(
        found.step(found.initial_state(context, 0), context),
        own.step(own.initial_state(own.embed(IDS), 0), own.embed(IDS)),
    )


class _RunsCode:
    """An object whose unpickling would call a function."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ("code of a checkpoint was run",)


def test_a_file_in_torchs_format_with_more_than_tensors_is_refused_and_not_run(tmp_path: Path) -> None:
    tensors = {**load_file(FOLDER / "parcae/golden_a/model.safetensors"), "extra": _RunsCode()}
    folder = _parcae(tmp_path, tensors)
    with pytest.raises(ModelError) as raised:
        lk.load_model(folder)
    assert str(raised.value) == (
        f"The weight file {folder / 'pytorch_model.bin'} holds more than tensors, which latentkit does not "
        "load: it could run code. Convert it to safetensors on a machine where you trust it."
    )


def test_a_file_in_torchs_format_of_other_values_or_cut_short_is_refused(tmp_path: Path) -> None:
    path = _parcae(tmp_path, {"a": 5}) / "pytorch_model.bin"
    with pytest.raises(ModelError, match="is no dictionary of tensors"):
        lk.load_model(tmp_path)
    _parcae(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="is damaged, cut short or in an old format"):
        lk.load_model(tmp_path)


def test_a_missing_tensor_in_torchs_format_is_named(tmp_path: Path) -> None:
    tensors = load_file(FOLDER / "parcae/golden_a/model.safetensors")
    del tensors["transformer.C.weight"]
    with pytest.raises(ModelError, match=r"lacks transformer\.C\.weight\."):
        lk.load_model(_parcae(tmp_path, tensors))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's layout on disk, which the hub's client reads without a network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def _in_cache(hub: Path, name: str) -> Path:
    """Return a snapshot folder of a model in the hub's layout."""
    place = hub / f"models--{name.replace('/', '--')}"
    folder = place / "snapshots" / "abc123"
    folder.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc123")
    return folder


def test_smollm2_comes_from_the_hub_where_the_package_is_missing(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "packaged_smollm2", lambda: None)
    folder = _in_cache(hub, loading.SMOLLM2)
    network = transformers_model("llama", vocab_size=4096, tie_word_embeddings=True)
    network.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(NANO / name, folder / name)
    found = lk.load_model("smollm2")
    assert (found.name, found.revision) == (loading.SMOLLM2, "abc123")
    assert found.quantised is None
    effect = lk.run_layer_effect(found, "Hello", new_tokens=2, progress=False)
    assert dict(effect.sizes) == {"layer": 3, "generated_token": 2}
    assert effect.attrs["model"] == loading.SMOLLM2
    assert "quantised" not in effect.attrs


def test_weights_in_torchs_format_come_from_the_hub_where_it_has_no_others(hub: Path) -> None:
    _parcae(_in_cache(hub, "owner/parcae"))
    assert lk.load_model("owner/parcae").name == "owner/parcae"


def test_chatml_turns_end_an_answer() -> None:
    from latentkit.run.decoding.choices import stop_ids

    class Vocabulary:
        """A tokenizer whose end of text is not its end of a turn."""

        eos_token_id = 1

        def get_vocab(self) -> dict[str, int]:
            return {"<|endoftext|>": 1, "<|im_start|>": 2, "<|im_end|>": 3}

    assert stop_ids(Vocabulary()) == {1, 3}


@pytest.mark.slow
def test_what_is_made_with_a_local_model_does_not_show_where_it_lies(tmp_path: Path) -> None:
    place = tmp_path / "private-place"
    folder = place / "my-model"
    folder.mkdir(parents=True)
    for path in NANO.iterdir():
        if path.suffix in {".json", ".safetensors"}:
            shutil.copyfile(path, folder / path.name)
    found = lk.load_model(folder)
    layers = lk.run_layer_effect(found, "Hello", new_tokens=2, layers=[0, 3], progress=False)
    trace = lk.run_recurrence(found, "Hello", iterations=2, limit=2, progress=False)
    assert trace.attrs["model"] == layers.attrs["model"] == "my-model"
    for name, result, draw in (("a", trace, lk.plot_convergence), ("b", layers, lk.plot_layer_kl)):
        lk.save_trace(result, tmp_path / f"{name}.nc")
        lk.explore(result).save_html(tmp_path / f"{name}.html")
        figure = draw(result).figure
        for form in ("svg", "pdf", "png"):
            figure.savefig(tmp_path / f"{name}.{form}")
        plt.close(figure)
    for path in tmp_path.glob("?.*"):
        assert b"private-place" not in _unpacked(path), path.name
    assert b"my-model" in (tmp_path / "a.nc").read_bytes()
    lk.explore(trace).close()


def _unpacked(path: Path) -> bytes:
    """Return a file's bytes; for netCDF the text of all attributes, which may be compressed."""
    written = path.read_bytes()
    if path.suffix == ".nc":
        written += str(lk.open_trace(path).attrs).encode()
    return written

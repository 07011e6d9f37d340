"""A start from a model with another tokenizer: which row of the embedding an entry gets."""

from __future__ import annotations

import shutil

import pytest
import torch

from latentkit.models import load_model
from latentkit.models.huginn import Huginn, init_weights
from latentkit.models.stored.checkpoint import write_module
from latentkit.training.cli import NANO
from latentkit.training.settings import Settings
from latentkit.training.tokenizer import FILES, load_tokenizer, train_tokenizer
from latentkit.training.transplant import embedding_for, with_tokenizer

TEXT = "The quagga and the quokka quarrel. " * 50
NEW = "Ġquagga"
SIZE = 280


@pytest.fixture(scope="module")
def new():
    return train_tokenizer([TEXT], vocab_size=SIZE)


@pytest.fixture
def old_model(tmp_path):
    folder = tmp_path / "old"
    module = init_weights(Huginn(Settings(size="micro", tokens=1).config), torch.Generator().manual_seed(0))
    write_module(module, folder)
    for name in FILES:
        shutil.copy(NANO / name, folder)
    return folder


def test_an_entry_of_both_keeps_its_row_and_a_new_one_gets_the_mean_of_its_pieces(new):
    old = load_tokenizer(NANO)
    rows = torch.randn(old.get_vocab_size(), 8)
    found = embedding_for(rows, old, new)
    assert found.shape == (SIZE, 8)
    for shared in ("Ġthe", "Q", "<|begin_text|>"):
        assert torch.equal(found[new.token_to_id(shared)], rows[old.token_to_id(shared)])
    pieces = old.encode(" quagga", add_special_tokens=False).ids
    assert old.token_to_id(NEW) is None
    assert len(pieces) > 1
    torch.testing.assert_close(found[new.token_to_id(NEW)], rows[pieces].mean(0))


def test_the_new_folder_holds_the_same_network_with_the_new_tokenizer(new, old_model, tmp_path):
    assert with_tokenizer(old_model, new, tmp_path / "new") == tmp_path / "new"
    one, two = (load_model(folder, dtype="float32") for folder in (old_model, tmp_path / "new"))
    assert two.vocab_size == SIZE
    assert two.tokenizer.tokenize(" quagga") == [NEW]
    ours, theirs = two.module.state_dict(), one.module.state_dict()
    differ = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert differ == {"transformer.wte.weight", "lm_head.weight"}
    torch.testing.assert_close(
        two.module.transformer.wte.weight,
        embedding_for(one.module.transformer.wte.weight, load_tokenizer(NANO), new),
    )


def test_the_same_tokenizer_needs_no_new_folder(old_model, tmp_path):
    assert with_tokenizer(old_model, load_tokenizer(NANO), tmp_path / "new") == old_model
    assert not (tmp_path / "new").exists()

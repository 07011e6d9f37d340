"""Start from a model with another tokenizer: a new entry's row is the mean of its old pieces' rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from latentkit.models.huginn import Huginn
from latentkit.models.stored.checkpoint import read_module, write_module
from latentkit.training.tokenizer import load_tokenizer, save_tokenizer

__all__ = ["embedding_for", "with_tokenizer"]


def with_tokenizer(folder: Path, tokenizer: Tokenizer, target: Path) -> Path:
    """Return a model folder with the weights of ``folder``, for this tokenizer.

    Parameters
    ----------
    folder : Path
        A model folder; if its head is not tied to its embedding, the head's rows are made in the same way.
    tokenizer : Tokenizer
        Byte-level BPE, as the tokenizer of ``folder``.
    target : Path
        Where the new model folder is written if the two tokenizers differ.

    Returns
    -------
    Path
        ``folder`` if its tokenizer has the same vocabulary, otherwise ``target``.
    """
    theirs = load_tokenizer(folder)
    if theirs.get_vocab() == tokenizer.get_vocab():
        return folder
    source = read_module(folder, torch.float32, "cpu")
    weights = source.state_dict()
    for name in ("transformer.wte.weight", "lm_head.weight"):
        weights[name] = embedding_for(weights[name], theirs, tokenizer)
    module = Huginn(replace(source.config, vocab_size=tokenizer.get_vocab_size()))
    module.load_state_dict(weights)
    write_module(module, target)
    save_tokenizer(tokenizer, target, context_length=module.config.block_size)
    return target


def embedding_for(rows: Tensor, theirs: Tokenizer, ours: Tokenizer) -> Tensor:
    """Return an embedding for the entries of ``ours``, made from the rows for the entries of ``theirs``.

    An entry that both have keeps its row. Any other entry gets the mean of the rows of the pieces into which
    ``theirs`` splits it.
    """
    known = theirs.get_vocab()
    found = rows.new_empty(ours.get_vocab_size(), rows.shape[1])
    for entry, index in ours.get_vocab().items():
        pieces = [known[entry]] if entry in known else [piece.id for piece in theirs.model.tokenize(entry)]
        found[index] = rows[pieces].mean(dim=0)
    return found

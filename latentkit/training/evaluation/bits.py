"""Bits per byte of held-out text, by number of iterations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from latentkit.errors import ArgumentError
from latentkit.problems import grading

__all__ = ["bits_of_documents", "bits_per_byte"]

ITERATIONS = (1, 2, 4, 8, 16, 32, 64)
EXCERPT_SIZE = 4000  # characters; the first 256 tokens are read
BOOK_STARTS = range(20_000, 900_001, 44_000)  # positions of the excerpts, in characters
DOCUMENT_EXCERPTS = 42


def bits_per_byte(
    model: Any,
    text: str,
    *,
    starts: Sequence[int] = BOOK_STARTS,
    iterations: Sequence[int] = ITERATIONS,
    seed: int = 0,
) -> dict[int, float]:
    """Return the bits per byte of a text after each number of iterations.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    text : str
        The model reads the first 256 tokens of the 4,000 characters after each start, without begin token.
    starts : sequence of int
        Positions in the text, in characters; the default is for the held-out books: from 20,000 to 900,000
        in steps of 44,000.
    iterations : sequence of int
        Numbers of iterations.
    seed : int
        Seed of the initial state, which depends on seed and position.

    Returns
    -------
    dict of int to float
        Bits per byte of the text of all tokens but the first, by number of iterations.

    Raises
    ------
    ArgumentError
        If the text is too short.
    """
    if len(text) < starts[-1] + EXCERPT_SIZE:
        raise ArgumentError(
            f"The text has {len(text):,} characters; this measure reads up to {starts[-1] + EXCERPT_SIZE:,}. "
            "Pass the whole of the held-out text."
        )
    ids = torch.tensor([_first_tokens(model.tokenizer, text[i : i + EXCERPT_SIZE]) for i in starts])
    size = sum(len(model.tokenizer.decode(row[1:].tolist()).encode()) for row in ids)
    result = {}
    for i, logits in grading.logits_at(model, ids, iterations, seed):
        nats = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten().to(logits.device), reduction="sum")
        result[i] = float(nats) / math.log(2) / size
    return result


def bits_of_documents(model: Any, documents: str) -> dict[int, float]:
    """Return the bits per byte of the held-out documentation, read at evenly spaced positions."""
    step = (len(documents) - EXCERPT_SIZE) // DOCUMENT_EXCERPTS
    starts = range(0, step * DOCUMENT_EXCERPTS, max(1, step))
    return bits_per_byte(model, documents, starts=starts)


def _first_tokens(tokenizer: Any, text: str, count: int = 256) -> list[int]:
    # The tokenizer truncates; otherwise it warns about a text longer than the model's context.
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, truncation=True, max_length=count)
    return ids

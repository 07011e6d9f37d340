"""Tokens on disk, and batches that depend only on the seed and the step."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from latentkit.errors import ArgumentError
from latentkit.models.chat import BEGIN_TEXT, END_TEXT, END_TURN, render_chat
from latentkit.problems.generator import Sheet, sheets
from latentkit.problems.kinds import TRAINED_KINDS
from latentkit.training.corpus import HELD_OUT_ONE_IN, find_files, read_documents

__all__ = ["Batch", "Mixture", "Source", "TaskSource", "TokenSource", "encode_file", "open_source"]

IGNORED = -100
_GOLDEN = (5**0.5 - 1) / 2
LONG_SHARE = 0.1  # share of the tokens that comes in longer rows
LONG_LENGTHS = (512, 1024)


class Batch(NamedTuple):
    """Batch of one training step; ``labels`` are already shifted, and the loss ignores labels of -100."""

    token_ids: Int[Tensor, "batch token"]
    labels: Int[Tensor, "batch token"]


class Source(Protocol):
    """Protocol of a source of training rows."""

    def row(self, index: int, length: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return token ids and labels [length] of row ``index``; the same arguments give the same row."""
        ...


@dataclass(frozen=True)
class TokenSource:
    """Windows of one long sequence of tokens, in which documents follow one another.

    The starts of rows form a golden-ratio sequence: each start is 0.618 of the whole length after the
    previous one, modulo that length. So rows hardly overlap until most of the text has been read, whichever
    rows are drawn.
    """

    tokens: NDArray[np.uint16]

    def row(self, index: int, length: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the window ``index`` and, as labels, the window that starts one token later."""
        first = random.Random(f"window/{seed}").random()
        span = len(self.tokens) - length
        start = int((first + index * _GOLDEN) % 1.0 * span)
        window = np.asarray(self.tokens[start : start + length + 1], dtype=np.int64)
        return window[:-1], window[1:]


@dataclass(frozen=True)
class TaskSource:
    """Rows filled with graded problems; only the answers enter the loss, not the tables.

    Parameters
    ----------
    tokenizer : Tokenizer
        Tokenizer that encodes the text.
    kinds : tuple of str
        Kinds of problems, drawn with equal probability; a kind named twice is drawn twice as often.
    harder_every : int
        Length of a curriculum stage in rows. The first stage has problems of one step, the second of up to
        two, and so on. 0 draws from all difficulties from the start.
    """

    tokenizer: Tokenizer
    kinds: tuple[str, ...] = TRAINED_KINDS
    harder_every: int = 0

    def row(self, index: int, length: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return a row of sheets, truncated to ``length`` tokens."""
        ids: list[int] = []
        asked: list[bool] = []
        most = 1 + index // self.harder_every if self.harder_every else None
        for sheet in sheets(seed=f"{seed}/{index}", kinds=self.kinds, most_steps=most):
            for part, is_answer in sheet_parts(sheet):
                piece = self.tokenizer.encode(part, add_special_tokens=False).ids
                ids += piece
                asked += [is_answer] * len(piece)
            if len(ids) > length:
                break
        row = np.array(ids[: length + 1], dtype=np.int64)
        labels = np.where(asked[1 : length + 1], row[1:], IGNORED)
        return row[:-1], labels


def sheet_parts(sheet: Sheet) -> Iterator[tuple[str, bool]]:
    """Split a sheet's text into parts; the flag is True for answers and False for given text."""
    if sheet.chat:
        for question in sheet.questions:
            yield render_chat([{"role": "user", "content": question.text}], add_generation_prompt=True), False
            yield question.answer + END_TURN + END_TEXT, True
        return
    yield BEGIN_TEXT + sheet.table, False
    for question in sheet.questions:
        yield question.text, False
        yield question.answer, True
    yield END_TEXT, False


@dataclass(frozen=True)
class Mixture:
    """Batches of rows from several sources, each with a share of the rows.

    Parameters
    ----------
    sources : sequence of (Source, float)
        Sources and their shares, which need not sum to one.
    rows, length : int
        Number of rows of an ordinary batch, and their length in tokens. A tenth of the tokens comes in longer
        rows of 512 and 1,024 tokens (up to ``longest``); such a batch has fewer rows and about the same size.
    seed : int
        Seed; a batch depends only on the seed and the step.
    longest : int
        Context length of the model, in tokens.
    """

    sources: Sequence[tuple[Source, float]]
    rows: int = 16
    length: int = 256
    seed: int = 0
    longest: int = 1024

    def batch(self, step: int) -> Batch:
        """Return the batch of one step, as tensors on the CPU."""
        rng = random.Random(f"batch/{self.seed}/{step}")
        length = self._length(rng)
        rows = max(1, self.rows * self.length // length)
        edges = np.cumsum([share for _, share in self.sources])
        drawn = []
        for i in range(rows):
            # Stratified sampling: one draw per row, so every batch is close to the shares.
            point = (i + rng.random()) / rows * edges[-1]
            source, _ = self.sources[int(np.searchsorted(edges, point, side="right"))]
            drawn.append(source.row(step * self.rows + i, length, self.seed))
        ids, labels = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        return Batch(ids, labels)

    def _length(self, rng: random.Random) -> int:
        longer = [n for n in LONG_LENGTHS if self.length < n <= self.longest]
        # Batches have nearly equal sizes, so a share of the batches is a share of the tokens.
        return rng.choice(longer) if longer and rng.random() < LONG_SHARE else self.length


def open_source(
    source: str | Path, tokenizer: Tokenizer, cache: Path, *, share_alike: bool = False
) -> TokenSource:
    """Return a file, a folder or a named dataset as tokens; files that are not in the cache are encoded.

    Raises
    ------
    ArgumentError
        As for `find_files` and `read_documents`, and if there is too little text.
    """
    parts = [
        np.memmap(encode_file(file, tokenizer, cache, share_alike=share_alike), dtype=np.uint16, mode="r")
        for file in find_files(source) or (source,)
    ]
    tokens: NDArray[np.uint16] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(tokens) < 2 * max(LONG_LENGTHS):
        raise ArgumentError(
            f"'{source}' has only {len(tokens)} tokens. Pass at least {2 * max(LONG_LENGTHS)} of them."
        )
    return TokenSource(tokens)


def encode_file(source: str | Path, tokenizer: Tokenizer, cache: Path, *, share_alike: bool = False) -> Path:
    """Encode every document of a source into one file of uint16 token ids and return its path.

    The file name contains a digest of the source, the tokenizer and the option, so a change of the text, the
    tokenizer or the held-out part gives a new file.
    """
    path = Path(source)
    stat = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else ()
    key = (str(source), stat, tokenizer.to_str(), share_alike, HELD_OUT_ONE_IN)
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).hexdigest()
    target = cache / f"{path.name.split('.')[0]}-{digest}.u16"
    if target.is_file():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    documents = _pieces(read_documents(source, share_alike=share_alike))
    with unfinished.open("wb") as file:
        while some := list(islice(documents, 512)):
            for encoding in tokenizer.encode_batch(some, add_special_tokens=False):
                file.write(np.array(encoding.ids, dtype=np.uint16).tobytes())
    return unfinished.replace(target)


def _pieces(documents: Iterator[str], size: int = 20_000) -> Iterator[str]:
    """Split long documents at blank lines, so that a whole book is not encoded at once."""
    for document in documents:
        start = 0
        while len(document) - start > size:
            cut = document.find("\n\n", start + size)
            if cut < 0:
                break
            # Line breaks stay with the previous piece, so a piece never starts inside a token of line breaks.
            while document[cut] == "\n":
                cut += 1
            yield document[start:cut]
            start = cut
        yield document[start:]

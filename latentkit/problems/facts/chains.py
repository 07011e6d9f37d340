"""Questions about chains of one to five facts, and the choice of the held-out ones."""

from __future__ import annotations

import hashlib
import math
import random
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from latentkit.problems.facts.table import Relation, relations
from latentkit.problems.facts.wording import PHRASES, wordings, write

__all__ = ["MOST_STEPS", "Chain", "Question", "chains", "draw_question", "is_held_out_pair"]

MOST_STEPS = 5
PAIRS_HELD_OUT_ONE_IN = 10


class Chain(NamedTuple):
    """First name of a chain, the relations followed from it, and the resulting names."""

    first: str
    path: tuple[Relation, ...]
    last: str

    @property
    def is_held_out(self) -> bool:
        """Whether this chain is held out of training; a single fact never is."""
        return len(self.path) > 1 and is_held_out_pair(self.first, self.last)


class Question(NamedTuple):
    """Question and answer; the question ends where the answer begins."""

    text: str
    answer: str


def is_held_out_pair(first: str, last: str) -> bool:
    """Return whether all chains from one name to the other are held out: one pair in ten.

    Examples
    --------
    >>> is_held_out_pair("Hamlet", "pound"), is_held_out_pair("Hamlet", "London")
    (False, False)
    """
    digest = hashlib.blake2b(f"{first}>{last}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % PAIRS_HELD_OUT_ONE_IN == 0


@cache
def chains(steps: int) -> dict[tuple[str, ...], tuple[Chain, ...]]:
    """Return all chains of this many different relations, by the names of the relations.

    Each relation and each name occurs at most once in a chain.
    """
    found: dict[tuple[str, ...], list[Chain]] = {}
    for path in _paths(steps):
        for first in path[0].pairs:
            passed = _follow(first, path)
            if len(passed) == steps + 1 == len(set(passed)):
                names = tuple(relation.name for relation in path)
                found.setdefault(names, []).append(Chain(first, path, passed[-1]))
    return {names: tuple(several) for names, several in found.items()}


def draw_question(rng: random.Random, *, steps: int, chat: bool, held_out: bool) -> Question:
    """Draw a question about this many facts; with ``held_out``, one that does not occur in training.

    Parameters
    ----------
    rng : Random
        Random generator for all draws.
    steps : int
        From 1 to `MOST_STEPS`.
    chat : bool
        Formulate the question as a chat message; the answer then has no leading space.
    held_out : bool
        With one step, draw a held-out wording; training contains the fact in other wordings. With more steps,
        draw a chain whose pair of ends is held out, in a wording that training uses.

    Returns
    -------
    Question
        The answer includes its final full stop, which marks it as complete.
    """
    chain = _draw_chain(rng, steps, held_out=held_out and steps > 1)
    wording = rng.choice(wordings(chain.path[-1], chat=chat, held_out=held_out and steps == 1))
    inner = [rng.randrange(len(PHRASES[relation.name])) for relation in chain.path[:-1]]
    return Question(write(chain.first, chain.path, wording, inner), f"{'' if chat else ' '}{chain.last}.")


def _draw_chain(rng: random.Random, steps: int, *, held_out: bool) -> Chain:
    several, weights = _by_path(steps, held_out=held_out)
    return rng.choice(rng.choices(several, cum_weights=weights)[0])


@cache
def _by_path(steps: int, *, held_out: bool) -> tuple[list[list[Chain]], list[float]]:
    """Return the chains of each path, and the weight of the path: the square root of their number.

    So a path with few chains is drawn often enough, and each of its chains not too often.
    """
    several = [[chain for chain in path if chain.is_held_out == held_out] for path in chains(steps).values()]
    several = [path for path in several if path]
    return several, list(accumulate(math.sqrt(len(path)) for path in several))


def _paths(steps: int) -> list[tuple[Relation, ...]]:
    paths: list[tuple[Relation, ...]] = [(relation,) for relation in relations()]
    for _ in range(steps - 1):
        paths = [
            (*path, relation)
            for path in paths
            for relation in relations()
            if relation.source == path[-1].target and relation not in path
        ]
    return paths


def _follow(first: str, path: tuple[Relation, ...]) -> list[str]:
    """Return the names along the path, up to the first missing fact."""
    passed = [first]
    for relation in path:
        if passed[-1] not in relation.pairs:
            break
        passed.append(relation.pairs[passed[-1]])
    return passed

"""Questions of one to five facts, one behind the other, and which of them training never shows."""

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
    """A name, the relations that are followed from it, and where they lead."""

    first: str
    path: tuple[Relation, ...]
    last: str

    @property
    def is_held_out(self) -> bool:
        """Whether training never asks for this chain; a single fact is always trained."""
        return len(self.path) > 1 and is_held_out_pair(self.first, self.last)


class Question(NamedTuple):
    """A question that ends where its answer begins."""

    text: str
    answer: str


def is_held_out_pair(first: str, last: str) -> bool:
    """Whether no chain from one name to the other is trained, by whatever way: one pair in ten.

    Examples
    --------
    >>> is_held_out_pair("Hamlet", "pound"), is_held_out_pair("Hamlet", "London")
    (False, False)
    """
    digest = hashlib.blake2b(f"{first}>{last}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % PAIRS_HELD_OUT_ONE_IN == 0


@cache
def chains(steps: int) -> dict[tuple[str, ...], tuple[Chain, ...]]:
    """Return all chains of so many different relations, by the names of the relations.

    A relation occurs once in a chain, and a chain never comes back to a name that it has passed.
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
    """Draw a question of so many facts; one that training never shows if ``held_out``.

    Parameters
    ----------
    rng : Random
        Decides about everything.
    steps : int
        From 1 to `MOST_STEPS`.
    chat : bool
        As a user would ask it in a chat, and the answer without a space in front.
    held_out : bool
        With one step, a wording that is held out: the fact itself is trained in others. With more, a chain
        whose ends are held out, in a wording that training uses.

    Returns
    -------
    Question
        The answer ends with a full stop: only then is it whole.
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
    """Return the chains of each path, and by which share a path comes: as the root of their number.

    So a path with few chains is seen often enough, and each of its chains not too often.
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
    """Return the names that are passed, as far as there are facts."""
    passed = [first]
    for relation in path:
        if passed[-1] not in relation.pairs:
            break
        passed.append(relation.pairs[passed[-1]])
    return passed

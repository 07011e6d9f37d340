"""Kinds of problems: functions that draw a table and questions about it.

A kind is a function of a random generator and a number of steps: the steps of the hardest question that the
table must support. It returns the table's text and a function ``ask(steps)`` that draws one question of that
difficulty. To add a kind, write such a function and add it to `MAKERS`, `MOST_STEPS` and `MEANINGS`. The kind
"facts" has no tables; `latentkit.problems.facts` draws its questions.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from latentkit.problems.facts import chains

__all__ = [
    "KINDS",
    "MAKERS",
    "MEANINGS",
    "MOST_STEPS",
    "SYMBOLS",
    "TRAINED_KINDS",
    "Question",
    "most_trained_steps",
]

SYMBOLS = "ABCDEFGH"


@dataclass(frozen=True)
class Question:
    """One question about a table.

    Attributes
    ----------
    text : str
        Text of the question; it ends where the answer begins.
    answer : str
        The only right answer.
    steps : int
        Number of sequential steps of a straightforward solution.
    """

    text: str
    answer: str
    steps: int


_Ask = Callable[[int], Question]


def _pairs(table: dict[str, str], rng: random.Random) -> str:
    items = list(table.items())
    rng.shuffle(items)
    return " ".join(a + b for a, b in items)


def _permutation(rng: random.Random, size: int) -> dict[str, str]:
    symbols = SYMBOLS[:size]
    return dict(zip(symbols, rng.sample(symbols, size), strict=True))


def _composition(rng: random.Random, _most: int) -> tuple[str, _Ask]:
    table = _permutation(rng, rng.randint(4, len(SYMBOLS)))

    def ask(steps: int) -> Question:
        start = rng.choice(list(table))
        return Question(f" {start}{steps}=", _follow([table] * steps, start), steps)

    return f"Map {_pairs(table, rng)}:", ask


def _floors(rng: random.Random, most: int) -> tuple[str, _Ask]:
    size = rng.randint(3, 6)
    tables = [_permutation(rng, size) for _ in range(most)]

    def ask(steps: int) -> Question:
        start = rng.choice(SYMBOLS[:size])
        return Question(f" {start}{steps}=", _follow(tables[:steps], start), steps)

    return "Maps " + "; ".join(_pairs(table, rng) for table in tables) + ":", ask


def _follow(tables: list[dict[str, str]], start: str) -> str:
    for table in tables:
        start = table[start]
    return start


def _path(rng: random.Random, most: int) -> tuple[str, _Ask]:
    nodes = rng.sample(SYMBOLS, rng.randint(min(most, len(SYMBOLS) - 1) + 1, len(SYMBOLS)))
    edges = dict(pairwise(nodes))

    def ask(steps: int) -> Question:
        start = rng.randrange(len(nodes) - steps)
        return Question(f" {nodes[start]}{steps}=", nodes[start + steps], steps)

    return f"Path {_pairs(edges, rng)}:", ask


def _sums(rng: random.Random, most: int, modulus: int = 0) -> tuple[str, _Ask]:
    modulus = modulus or rng.choice((3, 5, 7, 10))
    digits = [rng.randrange(modulus) for _ in range(rng.randint(max(most, 3), 10))]

    def ask(steps: int) -> Question:
        return Question(f" {steps}=", str(sum(digits[:steps]) % modulus), steps)

    name = "Parity" if modulus == 2 else f"Sums mod {modulus}"
    return f"{name} {''.join(map(str, digits))}:", ask


def _parity(rng: random.Random, most: int) -> tuple[str, _Ask]:
    return _sums(rng, most, modulus=2)


def _lookup(rng: random.Random, _most: int) -> tuple[str, _Ask]:
    items = [rng.choice(SYMBOLS) for _ in range(rng.randint(4, 9))]

    def ask(_steps: int) -> Question:
        place = rng.randint(1, len(items))
        return Question(f" {place}=", items[place - 1], 1)

    return f"List {' '.join(items)}:", ask


def _sorting(rng: random.Random, most: int) -> tuple[str, _Ask]:
    digits = [rng.randrange(10) for _ in range(rng.randint(min(most, 5) + 1, 6))]

    def ask(steps: int) -> Question:
        return Question(f" {steps}=", "".join(map(str, _bubble(digits, steps))), steps)

    return f"Passes {''.join(map(str, digits))}:", ask


def _bubble(digits: list[int], passes: int) -> list[int]:
    digits = list(digits)
    for _ in range(passes):
        for i in range(len(digits) - 1):
            if digits[i] > digits[i + 1]:
                digits[i], digits[i + 1] = digits[i + 1], digits[i]
    return digits


_FORMS = ("What is {a} + {b}?", "{a} + {b} =", "Add {a} and {b}.", "{a} plus {b}")


def _addition(rng: random.Random, most: int) -> tuple[str, _Ask]:
    width = rng.randint(1, min(most, 3))
    a, b = (rng.randrange(10 ** rng.randint(1, width)) for _ in range(2))

    def ask(_steps: int) -> Question:
        text = rng.choice(_FORMS).format(a=a, b=b)
        return Question(text, str(a + b), max(len(str(a)), len(str(b))))

    return f"{min(a, b)}+{max(a, b)}", ask


MAKERS: dict[str, Callable[[random.Random, int], tuple[str, _Ask]]] = {
    "composition": _composition,
    "floors": _floors,
    "path": _path,
    "sums": _sums,
    "parity": _parity,
    "lookup": _lookup,
    "sorting": _sorting,
    "addition": _addition,
}
#: Names of all kinds.
KINDS = (*MAKERS, "facts")

#: The largest number of steps that a question of each kind can take.
MOST_STEPS = {
    "composition": 16, "floors": 12, "path": 7, "sums": 10, "parity": 10,
    "lookup": 1, "sorting": 5, "addition": 3, "facts": chains.MOST_STEPS,
}  # fmt: skip

#: Task of each kind. Each text completes a sentence that begins with the name of the kind.
MEANINGS = {
    "composition": "apply the map that many times, starting at the given letter",
    "floors": "apply that many maps, one after another, starting at the given letter",
    "path": "follow that many edges of the path, starting at the given letter",
    "sums": "add that many of the digits and give the remainder",
    "parity": "say whether the number of ones among that many of the digits is even (0) or odd (1)",
    "lookup": "give the letter at that position of the list",
    "sorting": "give the digits after that many passes of bubble sort",
    "addition": "add two numbers",
    "facts": "follow that many facts, from a work, a maker, a place or a land to what is asked for",
}

#: Kinds to draw from in training; those that need many steps, and additions, are drawn more often.
TRAINED_KINDS = KINDS + ("composition",) * 2 + ("floors", "path") + ("addition",) * 2 + ("facts",)
_TRAINED_STEPS = {"composition": 9, "floors": 6, "sums": 8, "parity": 8}


def most_trained_steps(kind: str) -> int:
    """Return the largest number of steps that training uses for a kind."""
    return _TRAINED_STEPS.get(kind, MOST_STEPS[kind])

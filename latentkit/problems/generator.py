"""Problems of graded difficulty, written by rule, with answers known.

A *sheet* is one table and many questions about it; a *problem* is one question alone. Each names how many
steps, one after another, a plain way of solving it takes. The text is such that the tokenizer of nano cuts
an entry of a table into one token: ``Map AC BA CB: A2=B C1=B`` maps A to C, C to B, B to A, and asks where
two steps from A lead.

What is held out is decided by the problem itself: a table (for an addition, its two numbers) whose digest
falls into one of sixteen classes belongs to ``split="heldout"``, and ``split="train"`` never yields it.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from latentkit.errors import ArgumentError, nearest

Split = Literal["train", "heldout"]
SYMBOLS = "ABCDEFGH"
HELD_OUT_ONE_IN = 16


@dataclass(frozen=True)
class Question:
    """One question about a table: ``text`` ends where ``answer`` begins; ``steps`` is its difficulty."""

    text: str
    answer: str
    steps: int


@dataclass(frozen=True)
class Sheet:
    """A table and questions about it. With ``chat``, the question is a user message and there is no table."""

    kind: str
    table: str
    questions: tuple[Question, ...]
    chat: bool = False


@dataclass(frozen=True)
class Problem:
    """One question with everything needed to answer it.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    prompt : str
        Ends where the answer begins; a user message if ``chat``.
    answer : str
        The only right answer.
    steps : int
        Steps, one after another, that a plain way of solving it takes.
    chat : bool
        Whether the chat template is to be wrapped round ``prompt``.
    """

    kind: str
    prompt: str
    answer: str
    steps: int
    chat: bool = False


# A kind is a function of (generator, most steps) that draws a table and gives (table, ask), where
# ask(steps) draws one question of that difficulty.
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


_MAKERS: dict[str, Callable[[random.Random, int], tuple[str, _Ask]]] = {
    "composition": _composition,
    "floors": _floors,
    "path": _path,
    "sums": _sums,
    "parity": _parity,
    "lookup": _lookup,
    "sorting": _sorting,
    "addition": _addition,
}
KINDS = tuple(_MAKERS)
# Most steps that a kind can ask for.
MOST_STEPS = {
    "composition": 16, "floors": 12, "path": 7, "sums": 10, "parity": 10,
    "lookup": 1, "sorting": 5, "addition": 3,
}  # fmt: skip
# Training sees the kinds that need many steps, and additions, more often.
TRAINED_KINDS = KINDS + ("composition",) * 2 + ("floors", "path") + ("addition",) * 2
_TRAINED_STEPS = {"composition": 9, "floors": 6, "sums": 8, "parity": 8}


def is_held_out(kind: str, table: str) -> bool:
    """Whether problems with this table belong to the held-out split, by a digest of kind and entries.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    table : str
        As it stands in a problem, or ``"12+345"``, the smaller number first. The order of its entries does
        not count: the same map written in another order is the same problem.

    Examples
    --------
    >>> is_held_out("composition", "Map AB BC CA:") == is_held_out("composition", "Map CA AB BC:")
    True
    """
    entries = " ".join(sorted(table.replace(";", "").replace(":", "").split()))
    digest = hashlib.blake2b(f"{kind}:{entries}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0


_SUM = re.compile(r"(?<![\d.,])(\d{1,3}) ?(?:\+|plus|and) ?(\d{1,3})(?![\d.,]*\d)")


def shows_held_out_addition(text: str) -> bool:
    """Whether a text adds two numbers that are held out, one of them of two or three digits.

    Of two single digits every sum is in any text; they are not worth the loss.
    """
    pairs = (sorted(map(int, match.groups())) for match in _SUM.finditer(text))
    return any(b > 9 and is_held_out("addition", f"{a}+{b}") for a, b in pairs)


def make_sheet(
    kind: str,
    *,
    seed: int | str,
    split: Split = "train",
    questions: int = 12,
    most_steps: int | None = None,
    steps: int | None = None,
) -> Sheet:
    """Draw a table and questions about it.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int or str
        The same arguments give the same sheet.
    split : "train" or "heldout"
        Which tables to draw from; no table is in both.
    questions : int
        How many; an addition always has one.
    most_steps : int, optional
        Questions take 1 to this many steps; by default a number drawn from what training uses.
    steps : int, optional
        Exactly this many steps for every question.

    Returns
    -------
    Sheet

    Raises
    ------
    ArgumentError
        If the kind is unknown, the split is, or the kind has no problems of that many steps.
    """
    _check(kind, split, steps or most_steps)
    rng = random.Random(f"{kind}/{seed}/{split}")
    while True:
        most = steps or most_steps or rng.randint(1, _TRAINED_STEPS.get(kind, MOST_STEPS[kind]))
        table, ask = _MAKERS[kind](rng, most)
        if is_held_out(kind, table) != (split == "heldout"):
            continue
        asked = tuple(
            ask(steps or rng.randint(1, most)) for _ in range(1 if kind == "addition" else questions)
        )
        if steps is None or all(question.steps == steps for question in asked):
            return Sheet(kind, "" if kind == "addition" else table, asked, chat=kind == "addition")


def make_problem(
    kind: str, *, seed: int | str, steps: int | None = None, split: Split = "heldout"
) -> Problem:
    """Draw one problem; by default one that training never shows.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int or str
        The same arguments give the same problem.
    steps : int, optional
        Its difficulty; by default as in training.
    split : "heldout" or "train"
        Which tables to draw from; no table is in both.

    Returns
    -------
    Problem

    Raises
    ------
    ArgumentError
        As for `make_sheet`.

    Examples
    --------
    >>> problem = make_problem("composition", seed=0, steps=3)
    >>> problem.prompt, problem.answer, problem.steps
    ('Map CC DB AD BA: B3=', 'B', 3)
    """
    sheet = make_sheet(kind, seed=seed, split=split, questions=1, steps=steps)
    (question,) = sheet.questions
    return Problem(kind, sheet.table + question.text, question.answer, question.steps, sheet.chat)


def sheets(
    *,
    seed: int | str,
    kinds: tuple[str, ...] = TRAINED_KINDS,
    questions: int = 12,
    most_steps: int | None = None,
) -> Iterator[Sheet]:
    """Training sheets without end, kinds mixed; the same seed gives the same sheets.

    ``most_steps`` caps the difficulty at that or at what training uses at most, whichever is less.
    Every other sheet of additions is a plain one with many of them.
    """
    rng = random.Random(f"sheets/{seed}")
    while True:
        kind, sheet_seed = rng.choice(kinds), rng.getrandbits(62)
        if kind == "addition" and sheet_seed % 2:
            yield _plain_additions(sheet_seed, questions, min(most_steps or 3, 3))
            continue
        most = most_steps and min(most_steps, _TRAINED_STEPS.get(kind, MOST_STEPS[kind]))
        yield make_sheet(kind, seed=sheet_seed, questions=questions, most_steps=most)


def _plain_additions(seed: int, questions: int, most: int) -> Sheet:
    """Draw many additions on one sheet without the chat template, none of them held out."""
    rng, asked = random.Random(f"additions/{seed}"), list[Question]()
    while len(asked) < questions:
        a, b = (rng.randrange(10 ** rng.randint(1, most)) for _ in range(2))
        if not is_held_out("addition", f"{min(a, b)}+{max(a, b)}"):
            asked.append(Question(f" {a} + {b} =", str(a + b), max(len(str(a)), len(str(b)))))
    return Sheet("addition", "Add:", tuple(asked))


def every_pair() -> str:
    """Every entry a table can hold, once: repeated in a tokenizer's texts it makes each entry one token."""
    return "".join(f" {a}{b}" for a in SYMBOLS for b in SYMBOLS)


def _check(kind: str, split: str, steps: int | None) -> None:
    if kind not in _MAKERS:
        raise ArgumentError(f"No kind of problem named '{kind}'. {nearest(kind, KINDS)}")
    if split not in ("train", "heldout"):
        raise ArgumentError(f"No split named '{split}'. {nearest(split, ('train', 'heldout'))}")
    if steps is not None and not 1 <= steps <= MOST_STEPS[kind]:
        raise ArgumentError(
            f"'{kind}' has problems of 1 to {MOST_STEPS[kind]} steps, not {steps}. "
            f"Pass steps between 1 and {MOST_STEPS[kind]}."
        )

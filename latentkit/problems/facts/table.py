"""Table of facts: relations, each a function from names to names.

The tables are stored beside this file: ``lands.csv``, ``works.csv`` (with their makers), ``places.csv`` and
``small.csv``. An empty field means that there is no such fact, or that the fact is disputed: Belgium has
no language, Turkey no continent, Hermann Hesse no homeland. If several values would be true, the table
contains one of them (``neighbour``). Accents are left out, as in much of the corpus.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from latentkit.errors import LatentkitError

__all__ = ["Relation", "answers", "relations", "single_words"]

# craft of a work: the relation from the work to its maker
MAKERS = {
    "book": "author",
    "painting": "painter",
    "sculpture": "sculptor",
    "music": "composer",
    "invention": "inventor",
}
SORTS = ("city", "river", "landmark")
OF_LANDS = ("capital", "language", "continent", "currency", "neighbour")
SMALL = ("opposite", "young", "month", "day", "plural")


@dataclass(frozen=True)
class Relation:
    """A function on names.

    Attributes
    ----------
    name : str
        For example ``"capital"``.
    source, target : str
        Categories of its arguments and values, for example ``"land"``. A relation can follow another one if
        its source is the target of the other. The target is ``"end"`` if no relation can follow.
    pairs : mapping of str to str
        Value of the relation for each name.
    """

    name: str
    source: str
    target: str
    pairs: Mapping[str, str]


@cache
def relations() -> tuple[Relation, ...]:
    """Return all relations, in a fixed order.

    Raises
    ------
    LatentkitError
        If a table contains two values for one name.
    """
    lands, works, places, small = (_rows(name) for name in ("lands", "works", "places", "small"))
    capitals = [(row["capital"], row["name"]) for row in lands]
    found = [
        _relation(maker, "work", "maker", ((w["name"], w["maker"]) for w in works if w["craft"] == craft))
        for craft, maker in MAKERS.items()
    ]
    found += [
        _relation("birthplace", "maker", "city", ((w["maker"], w["birthplace"]) for w in works)),
        _relation("home", "maker", "land", ((w["maker"], w["land"]) for w in works)),
    ]
    for sort in SORTS:
        pairs = [(row["name"], row["land"]) for row in places if row["sort"] == sort]
        found += [_relation(f"land of a {sort}", sort, "land", pairs + capitals * (sort == "city"))]
    for name in OF_LANDS:
        target = "land" if name == "neighbour" else "end"
        found += [_relation(name, "land", target, ((row["name"], row[name]) for row in lands))]
    for name in SMALL:
        pairs = [(row["name"], row["answer"]) for row in small if row["relation"] == name]
        found += [_relation(name, name, "end", pairs)]
    return tuple(found)


def single_words() -> list[str]:
    """Return the values of relations with the target "end" or "land" and all lands, sorted and unique.

    The tokenizer has a token for each of their words, so most answers are a single token.
    """
    ends = {value for r in relations() if r.target in ("end", "land") for value in r.pairs.values()}
    lands = {name for r in relations() if r.source == "land" for name in r.pairs}
    return sorted(ends | lands)


def answers() -> list[str]:
    """Return short answers as they stand in plain text and, without the space, in a chat.

    First those of `single_words`, then the birthplaces, the most frequent first.
    """
    (born,) = (relation for relation in relations() if relation.name == "birthplace")
    places = sorted(Counter(born.pairs.values()).items(), key=lambda place: (-place[1], place[0]))
    return [space + word for word in (*single_words(), *(name for name, _ in places)) for space in (" ", "")]


def _relation(
    name: str, source: str, target: str, pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]
) -> Relation:
    known: dict[str, str] = {}
    for key, value in pairs:
        if value and known.setdefault(key, value) != value:
            raise LatentkitError(f"The facts give '{key}' two values of '{name}': {known[key]} and {value}.")
    return Relation(name, source, target, known)


def _rows(table: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

"""Wording of questions: phrases for each relation, sentences around them, and the held-out pairs of the two.

A chain is written as nested phrases: "the capital of {}" around "the land of {}" around "the Seine". A
sentence ends where the answer begins. A wording is a pair of a sentence and the outermost phrase. It is
either used in training or held out; each phrase and each sentence occurs in training, but a held-out pair
does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from latentkit.problems.facts.table import MAKERS, Relation, relations

__all__ = ["CHAT_SENTENCES", "PHRASES", "PLAIN_SENTENCES", "Wording", "wordings", "write"]

PLAIN_SENTENCES = (
    "{The phrase} is",
    "It is known that {the phrase} is",
    "Question: {What} is {the phrase}? Answer:",
    "{The phrase}:",
)
CHAT_SENTENCES = ("{What} is {the phrase}?", "Name {the phrase}.", "Tell me {the phrase}.")
_SENTENCES = PLAIN_SENTENCES + CHAT_SENTENCES

PHRASES: dict[str, tuple[str, str, str]] = {
    "author": ("the author of {}", "the writer of {}", "the one who wrote {}"),
    "painter": ("the painter of {}", "the artist who painted {}", "the one who painted {}"),
    "sculptor": ("the sculptor of {}", "the artist who made {}", "the one who made {}"),
    "composer": ("the composer of {}", "the musician who composed {}", "the one who composed {}"),
    "inventor": ("the inventor of {}", "the creator of {}", "the one who invented {}"),
    "birthplace": ("the birthplace of {}", "the place where {} was born", "the place of birth of {}"),
    "home": ("the homeland of {}", "the native land of {}", "the land that {} came from"),
    "land of a city": ("the land of {}", "the land where {} lies", "the land that holds {}"),
    "land of a river": ("the land of {}", "the land where {} flows", "the land that holds {}"),
    "land of a landmark": ("the land of {}", "the land where you find {}", "the land that holds {}"),
    "capital": ("the capital of {}", "the capital city of {}", "the city that is the capital of {}"),
    "language": (
        "the language of {}",
        "the main language of {}",
        "the language that most people speak in {}",
    ),
    "continent": ("the continent of {}", "the continent where {} lies", "the continent that holds {}"),
    "currency": ("the currency of {}", "the money of {}", "the money that people use in {}"),
    "neighbour": ("a neighbour of {}", "a land next to {}", "a land that borders {}"),
    "opposite": ("the opposite of {}", "the contrary of {}", "the word that means the opposite of {}"),
    "young": ("the word for a young {}", "the name of a young {}", "the word for the young of the {}"),
    "month": ("the month after {}", "the month that follows {}", "the month that comes after {}"),
    "day": ("the day after {}", "the day that follows {}", "the day that comes after {}"),
    "plural": ("the plural of {}", "the plural form of {}", "the word for more than one {}"),
}


class Wording(NamedTuple):
    """Indices of a sentence among all sentences and of the outermost phrase in `PHRASES`."""

    sentence: int
    phrase: int


def wordings(relation: Relation, *, chat: bool, held_out: bool) -> list[Wording]:
    """Return the wordings of questions whose last relation is this one, for training or held out.

    For each phrase one sentence in seven is held out, a different one for each phrase. The first sentence
    with the first phrase, "The capital of France is", is always used in training.
    """
    # Relations whose first phrase is the same have the same held-out sentences.
    place = [PHRASES[each.name][0] for each in relations()].index(PHRASES[relation.name][0])
    both = range(len(PLAIN_SENTENCES)), range(len(PLAIN_SENTENCES), len(_SENTENCES))
    return [
        Wording(sentence, phrase)
        for sentence in both[chat]
        for phrase in range(len(PHRASES[relation.name]))
        if ((sentence + 2 * phrase + place % 5 + 1) % len(_SENTENCES) == 0) == held_out
    ]


def write(first: str, path: Sequence[Relation], wording: Wording, inner: Sequence[int]) -> str:
    """Write the question for a chain; ``inner`` contains the phrase indices of all relations but the last."""
    phrase = first
    for relation, place in zip(path, (*inner, wording.phrase), strict=True):
        phrase = PHRASES[relation.name][place].format(phrase)
    parts = {
        "the phrase": phrase,
        "The phrase": phrase[0].upper() + phrase[1:],
        "What": "Who" if path[-1].name in MAKERS.values() else "What",
    }
    return _SENTENCES[wording.sentence].format(**parts)

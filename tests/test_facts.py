"""The world of facts: that its tables agree, that a chain's answer follows, and that the hold-out holds."""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from itertools import combinations, islice
from pathlib import Path

import pytest

from latentkit.errors import LatentkitError
from latentkit.models.chat import END_TURN
from latentkit.problems import generator
from latentkit.problems.facts import chains, table, wording
from latentkit.training.data import sheet_parts

FOLDER = Path(table.__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


LANDS, WORKS, PLACES, SMALL = (rows(name) for name in ("lands", "works", "places", "small"))
LAND_OF = {row["name"]: row["land"] for row in PLACES} | {row["capital"]: row["name"] for row in LANDS}
BY_NAME = {row["name"]: row for row in LANDS}


# A second reading of the questions, from the text and the tables alone

CRAFTS = {
    "book": r"the (?:author|writer) of (.+)|the one who wrote (.+)",
    "painting": r"the painter of (.+)|the \w+ who painted (.+)",
    "sculpture": r"the sculptor of (.+)|the \w+ who made (.+)",
    "music": r"the composer of (.+)|the \w+ who composed (.+)",
    "invention": r"the (?:inventor|creator) of (.+)|the one who invented (.+)",
}
OF_A_LAND = [
    (r"the capital(?: city)? of (.+)|the city that is the capital of (.+)", "capital"),
    (r"the (?:main )?language of (.+)|the language that most people speak in (.+)", "language"),
    (r"the continent of (.+)|the continent where (.+) lies|the continent that holds (.+)", "continent"),
    (r"the (?:currency|money) of (.+)|the money that people use in (.+)", "currency"),
    (r"a neighbour of (.+)|a land next to (.+)|a land that borders (.+)", "neighbour"),
]
OF_A_WORD = [
    (r"the opposite of (.+)|the contrary of (.+)|the word that means the opposite of (.+)", "opposite"),
    (r"the word for a young (.+)|the name of a young (.+)|the word for the young of the (.+)", "young"),
    (r"the month after (.+)|the month that (?:follows|comes after) (.+)", "month"),
    (r"the day after (.+)|the day that (?:follows|comes after) (.+)", "day"),
    (r"the plural(?: form)? of (.+)|the word for more than one (.+)", "plural"),
]
BORN = r"the birthplace of (.+)|the place where (.+) was born|the place of birth of (.+)"
HOME = r"the (?:homeland|native land) of (.+)|the land that (.+) came from"
AROUND = r"the land of (.+)|the land where (.+) (?:lies|flows)|the land (?:where you find|that holds) (.+)"


def resolve(phrase: str) -> list[str]:  # noqa: C901 - one branch for each sort of phrase
    """The names that a phrase passes, the first and the last among them, found in the tables."""
    if phrase in NAMES:
        return [phrase]
    for pattern, column in OF_A_LAND:
        if inner := inside(pattern, phrase):
            passed = resolve(inner)
            return [*passed, BY_NAME[passed[-1]][column]]
    for craft, pattern in CRAFTS.items():
        if inner := inside(pattern, phrase):
            return [
                inner,
                only(row["maker"] for row in WORKS if (row["name"], row["craft"]) == (inner, craft)),
            ]
    for pattern, column in ((BORN, "birthplace"), (HOME, "land")):
        if inner := inside(pattern, phrase):
            passed = resolve(inner)
            return [*passed, only(row[column] for row in WORKS if row["maker"] == passed[-1])]
    if inner := inside(AROUND, phrase):
        passed = resolve(inner)
        return [*passed, LAND_OF[passed[-1]]]
    for pattern, relation in OF_A_WORD:
        if inner := inside(pattern, phrase):
            return [
                inner,
                only(r["answer"] for r in SMALL if (r["relation"], r["name"]) == (relation, inner)),
            ]
    raise AssertionError(phrase)


NAMES = (
    {row["name"] for row in (*LANDS, *WORKS, *PLACES, *SMALL)}
    | {row["maker"] for row in WORKS}
    | set(LAND_OF)
)


def inside(pattern: str, phrase: str) -> str:
    match = re.fullmatch(pattern, phrase)
    return next(group for group in match.groups() if group) if match else ""


def only(values: object) -> str:
    (value,) = set(values)  # type: ignore[call-overload]
    return str(value)


SENTENCES = (
    r"(.+) is|Question: Wh(?:o|at) is (.+)\? Answer:|(.+):|Wh(?:o|at) is (.+)\?|Name (.+)\.|Tell me (.+)\."
)


def passed_by(prompt: str) -> list[str]:
    known = re.sub(r"^ ?It is known that ", "", prompt).strip()
    match = re.fullmatch(SENTENCES, known)
    assert match, prompt
    phrase = next(group for group in match.groups() if group)
    return resolve(phrase if phrase in NAMES else phrase[0].lower() + phrase[1:])


# The tables


def test_the_world_is_as_large_as_it_is_meant_to_be():
    assert len(LANDS) >= 60
    assert len({row["maker"] for row in WORKS}) >= 150
    assert len(WORKS) >= 200
    assert len(PLACES) >= 150


def test_every_land_that_is_mentioned_exists():
    mentioned = {row["land"] for row in (*WORKS, *PLACES)} | {row["neighbour"] for row in LANDS}
    assert mentioned - {""} <= set(BY_NAME)
    assert all(row["land"] for row in PLACES)


def test_no_name_stands_for_two_things():
    sorts = {
        "land": [row["name"] for row in LANDS],
        "work": [row["name"] for row in WORKS],
        "place": [row["name"] for row in PLACES],
        "capital": [row["capital"] for row in LANDS],
        "maker": sorted({row["maker"] for row in WORKS}),
    }
    for names in sorts.values():
        assert [name for name, count in Counter(names).items() if count > 1] == []
    for one, other in combinations(sorts, 2):
        assert set(sorts[one]) & set(sorts[other]) == set()


def test_who_was_born_in_a_place_comes_from_the_land_where_it_lies_or_from_none_alone():
    for row in WORKS:
        assert not row["birthplace"] or row["land"] in ("", LAND_OF[row["birthplace"]]), row


def test_a_land_is_no_neighbour_of_its_own_and_shares_a_continent_with_it_if_both_have_one():
    for row in LANDS:
        other = BY_NAME.get(row["neighbour"])
        assert other is not row
        borders = {("Africa", "Asia"), ("Asia", "Europe"), ("North America", "South America")}
        if other and row["continent"] and other["continent"] not in ("", row["continent"]):
            assert tuple(sorted((row["continent"], other["continent"]))) in borders, row


def test_every_craft_and_sort_is_one_that_has_a_relation():
    assert {row["craft"] for row in WORKS} == set(table.MAKERS)
    assert {row["sort"] for row in PLACES} == set(table.SORTS)
    assert {row["relation"] for row in SMALL} == set(table.SMALL)


def test_a_name_with_two_values_is_refused():
    with pytest.raises(LatentkitError) as error:
        table._relation("capital", "land", "end", [("Peru", "Lima"), ("Peru", "Cusco")])
    assert str(error.value) == "The facts give 'Peru' two values of 'capital': Lima and Cusco."


def test_nothing_in_the_tables_is_padded_or_has_a_letter_that_the_tokenizer_cuts_into_bytes():
    pairs = [pair for relation in table.relations() for pair in relation.pairs.items()]
    for name in {name for pair in pairs for name in pair}:
        assert name == name.strip()
        assert name.isascii()


# Chains


@pytest.mark.parametrize("steps", range(1, 6))
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_answer_follows_from_the_text_and_the_tables(steps, split):
    for seed in range(60):
        problem = generator.make_problem("facts", seed=seed, steps=steps, split=split)
        passed = passed_by(problem.prompt)
        assert len(passed) == steps + 1 == len(set(passed)), problem
        assert problem.answer == ("" if problem.chat else " ") + passed[-1] + ".", problem


def test_a_chain_follows_no_relation_twice():
    for steps in range(1, 6):
        for names in chains.chains(steps):
            assert len(set(names)) == len(names) == steps


def test_every_single_fact_is_trained_and_about_a_tenth_of_the_pairs_is_held_out():
    every = [chain for path in chains.chains(1).values() for chain in path]
    assert len(every) == sum(len(relation.pairs) for relation in table.relations())
    assert not any(chain.is_held_out for chain in every)
    pairs = {(c.first, c.last) for n in range(2, 6) for path in chains.chains(n).values() for c in path}
    share = sum(chains.is_held_out_pair(*pair) for pair in pairs) / len(pairs)
    assert 0.08 < share < 0.12


def test_training_never_asks_for_a_pair_that_is_held_out_whatever_leads_there():
    sheets = islice(generator.sheets(seed=1, kinds=("facts",)), 60)
    asked = [question for sheet in sheets for question in sheet.questions]
    assert {question.steps for question in asked} == {1, 2, 3, 4, 5}
    for question in asked:
        first, *_, last = passed_by(question.text)
        assert question.steps == 1 or not chains.is_held_out_pair(first, last)


@pytest.mark.parametrize("steps", range(2, 6))
def test_a_held_out_chain_is_asked_in_words_that_training_uses(steps):
    for seed in range(40):
        problem = generator.make_problem("facts", seed=seed, steps=steps)
        first, *_, last = passed_by(problem.prompt)
        assert chains.is_held_out_pair(first, last)
    for seed in range(50):
        rng = random.Random(seed)
        question = chains.draw_question(rng, steps=steps, chat=False, held_out=True)
        assert _outer(question.text) not in HELD_OUT_WORDINGS


def _outer(text: str) -> tuple[str, str]:
    """The sentence and the outermost phrase, names left out."""
    for relation in table.relations():
        for phrase in wording.PHRASES[relation.name]:
            for sentence in wording.PLAIN_SENTENCES + wording.CHAT_SENTENCES:
                filled = sentence.format(**{
                    "the phrase": phrase, "The phrase": phrase[0].upper() + phrase[1:],
                    "What": "Who" if relation.target == "maker" else "What",
                })  # fmt: skip
                if re.fullmatch(re.escape(filled).replace(r"\{\}", ".+"), text):
                    return sentence, phrase
    raise AssertionError(text)


HELD_OUT_WORDINGS = {
    ((wording.PLAIN_SENTENCES + wording.CHAT_SENTENCES)[w.sentence], wording.PHRASES[relation.name][w.phrase])
    for relation in table.relations()
    for chat in (False, True)
    for w in wording.wordings(relation, chat=chat, held_out=True)
}


def test_a_held_out_fact_is_asked_in_a_wording_that_training_never_uses():
    held_out = {generator.make_problem("facts", seed=seed, steps=1).prompt for seed in range(60)}
    trained = {
        question.text.strip()
        for sheet in islice(generator.sheets(seed=2, kinds=("facts",)), 200)
        for question in sheet.questions
    }
    assert held_out & trained == set()
    assert all(_outer(text) in HELD_OUT_WORDINGS for text in held_out)


def test_each_phrase_and_each_sentence_is_trained_and_the_plainest_wording_always():
    for relation in table.relations():
        trained = [w for chat in (False, True) for w in wording.wordings(relation, chat=chat, held_out=False)]
        held_out = [w for chat in (False, True) for w in wording.wordings(relation, chat=chat, held_out=True)]
        assert len(trained) == 18
        assert len(held_out) == 3
        assert not set(trained) & set(held_out)
        assert {w.phrase for w in trained} == {w.phrase for w in held_out} == {0, 1, 2}
        assert {w.sentence for w in trained} == set(range(7))
        assert (0, 0) in trained


def test_the_facts_of_a_reader_are_among_those():
    asked = {
        "The capital of France is": " Paris.",
        "The capital of the land of the Seine is": " Paris.",
        "The language of the homeland of the painter of the Mona Lisa is": " Italian.",
        "The opposite of hot is": " cold.",
    }
    for prompt, answer in asked.items():
        assert passed_by(prompt)[-1] == answer.strip(" .")


# Sheets


def test_a_sheet_is_plain_prose_or_so_many_chats():
    drawn = [generator.make_sheet("facts", seed=seed, questions=3) for seed in range(40)]
    assert 8 <= sum(sheet.chat for sheet in drawn) <= 24
    for sheet in drawn:
        text = "".join(part for part, _ in sheet_parts(sheet))
        answers = [part for part, is_answer in sheet_parts(sheet) if is_answer]
        assert len(answers) == 3
        if sheet.chat:
            assert text.count(f".{END_TURN}") >= 3
        else:
            assert re.search(r"[a-z]\. [A-Z]", text)
            assert not re.search(r"  |\.[A-Z][a-z]", text)


def test_the_same_seed_gives_the_same_question():
    one, again, other = (generator.make_problem("facts", seed=seed, steps=4) for seed in (1, 1, 2))
    assert one == again != other

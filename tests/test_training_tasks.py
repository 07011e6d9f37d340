import itertools
import re
from itertools import islice

import pytest
from tokenizers import Tokenizer

from latentkit.errors import ArgumentError
from latentkit.problems import generator as tasks
from latentkit.problems.held_out import is_held_out, shows_held_out_addition
from latentkit.problems.kinds import KINDS, SYMBOLS, most_trained_steps
from latentkit.training.cli import NANO
from latentkit.training.data import TaskSource
from latentkit.training.tokenizer import load_tokenizer

# The facts have no tables; test_facts.py says the same of them.
TABLES = tuple(kind for kind in KINDS if kind != "facts")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(NANO)


def _key(sheet: tasks.Sheet) -> str:
    """What the hold-out rule looks at, read back from the text."""
    if sheet.kind == "addition":
        a, b = sorted(map(int, re.findall(r"\d+", sheet.questions[0].text)))
        return f"{a}+{b}"
    return sheet.table


def _solve(kind: str, prompt: str) -> str:
    """Answer a question from its text alone, by another way than the generator's."""
    numbers = re.findall(r"\d+", prompt)
    if kind == "addition":
        return str(int(numbers[0]) + int(numbers[1]))
    table, question = prompt.rstrip("=").split(":")
    steps = int(re.findall(r"\d+", question)[0])
    if kind in ("composition", "floors", "path"):
        floors = [dict(re.findall(r"([A-H])([A-H])", part)) for part in table.split(";")]
        place = question.strip()[0]
        for i in range(steps):
            place = floors[i if kind == "floors" else 0][place]
        return place
    if kind == "lookup":
        return table.split()[steps]
    digits = [int(c) for c in table.split()[-1]]
    if kind == "sorting":  # after k passes the k largest stand sorted at the end
        for k in range(steps):
            end = len(digits) - k
            for i in range(1, end):
                digits[i - 1 : i + 1] = sorted(digits[i - 1 : i + 1])
        return "".join(map(str, digits))
    return str(sum(digits[:steps]) % (2 if kind == "parity" else int(numbers[0])))


@pytest.mark.parametrize("kind", TABLES)
def test_every_answer_follows_from_the_text_of_the_question(kind):
    for seed in range(60):
        problem = tasks.make_problem(kind, seed=seed)
        assert problem.answer == _solve(kind, problem.prompt), problem


@pytest.mark.parametrize("kind", TABLES)
def test_no_table_of_training_is_held_out_and_every_held_out_one_is(kind):
    for seed in range(80):
        assert not is_held_out(kind, _key(tasks.make_sheet(kind, seed=seed)))
        assert is_held_out(kind, _key(tasks.make_sheet(kind, seed=seed, split="heldout", most_steps=1)))


def test_the_endless_training_sheets_never_show_a_held_out_table():
    for sheet in itertools.islice(tasks.sheets(seed=3, kinds=TABLES), 400):
        assert not is_held_out(sheet.kind, _key(sheet))


def test_a_plain_sheet_of_additions_shows_none_that_is_held_out():
    sheets = islice(tasks.sheets(seed=3, kinds=("addition",)), 60)
    plain = [sheet for sheet in sheets if not sheet.chat]
    assert len(plain) > 10
    for question in (question for sheet in plain for question in sheet.questions):
        a, b = map(int, question.text.removesuffix(" =").split(" + "))
        assert question.answer == str(a + b)
        assert not is_held_out("addition", f"{min(a, b)}+{max(a, b)}")


def test_sheets_are_as_hard_as_allowed_and_never_harder_than_training_uses():
    for most in (1, 3, 50):
        drawn = list(islice(tasks.sheets(seed=0, most_steps=most), 300))
        hardest = {
            kind: max(q.steps for sheet in drawn if sheet.kind == kind for q in sheet.questions)
            for kind in KINDS
        }
        assert hardest == {kind: min(most, most_trained_steps(kind)) for kind in KINDS}


def test_a_table_written_in_another_order_is_in_the_same_split():
    for seed in range(60):
        table = tasks.make_sheet("composition", seed=seed, split="heldout").table
        entries = table.removesuffix(":").split()
        assert is_held_out("composition", " ".join([entries[0], *entries[:0:-1]]) + ":")


def test_a_text_that_adds_held_out_numbers_is_recognised():
    held = [b for b in range(10, 1000) if is_held_out("addition", f"7+{b}")]
    kept = [b for b in range(10, 1000) if b not in held]
    assert 30 < len(held) < 100
    for b in held:
        for text in (f"7 + {b} = {7 + b}", f"{b}+7.", f"Add 7 and {b}!", f"{b} plus 7"):
            assert shows_held_out_addition(f"So {text} it is.")
        assert not shows_held_out_addition(f"1{b}.7 + {b}")
    assert not any(shows_held_out_addition(f"7 + {b} = 1") for b in kept)


def test_about_one_table_in_sixteen_is_held_out():
    held = sum(is_held_out("parity", f"{i:012b}") for i in range(4096))
    assert 4096 / 16 * 0.8 < held < 4096 / 16 * 1.2


@pytest.mark.parametrize(
    ("kind", "steps"), [("composition", 16), ("floors", 12), ("path", 7), ("sorting", 5)]
)
def test_a_problem_has_as_many_steps_as_asked_for(kind, steps):
    assert {tasks.make_problem(kind, seed=seed, steps=steps).steps for seed in range(5)} == {steps}


def test_the_steps_of_an_addition_are_the_digits_of_its_longer_number():
    for seed in range(20):
        problem = tasks.make_problem("addition", seed=seed, steps=3)
        assert max(map(len, re.findall(r"\d+", problem.prompt))) == 3 == problem.steps


def test_the_same_arguments_give_the_same_sheet_and_another_seed_another():
    first, again, other = (tasks.make_sheet("floors", seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_drawn_problems_differ_and_a_smaller_count_is_the_beginning_of_a_larger():
    drawn = tasks.draw_problems("parity", 60, steps=1)
    assert len({problem.prompt for problem in drawn}) == len(drawn)
    assert drawn[:20] == tasks.draw_problems("parity", 20, steps=1)
    assert all(is_held_out("parity", problem.prompt.partition(":")[0] + ":") for problem in drawn)


def test_a_draw_finds_every_problem_of_a_small_kind():
    every = {
        f"Parity {i:0{width}b}: 1="
        for width in range(3, 11)
        for i in range(2**width)
        if is_held_out("parity", f"Parity {i:0{width}b}:")
    }
    found = {problem.prompt for problem in tasks.draw_problems("parity", 1000, steps=1)}
    assert found <= every
    assert len(found) > 0.95 * len(every)


def test_every_entry_of_a_table_is_one_token_of_nano(tokenizer):
    ids = tokenizer.encode(tasks.every_pair(), add_special_tokens=False).ids
    assert len(ids) == len(SYMBOLS) ** 2


def test_answers_and_nothing_else_are_asked_for(tokenizer):
    source = TaskSource(tokenizer, kinds=("composition",))
    ids, labels = source.row(0, 256, seed=0)
    after_equals = ids == tokenizer.token_to_id("=")
    assert ((labels >= 0) == after_equals).all()
    assert {tokenizer.decode([i]) for i in labels[after_equals]} <= set(SYMBOLS)


def test_a_sheet_cut_into_parts_gives_the_tokens_of_its_whole_text(tokenizer):
    from latentkit.training.data import sheet_parts

    for sheet in itertools.islice(tasks.sheets(seed=0), 100):
        parts = [part for part, _ in sheet_parts(sheet)]
        separately = [i for part in parts for i in tokenizer.encode(part, add_special_tokens=False).ids]
        assert separately == tokenizer.encode("".join(parts), add_special_tokens=False).ids


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "compositon"},
            "No kind of problem named 'compositon'. Did you mean 'composition'? Known: 'addition', "
            "'composition', 'facts', 'floors', 'lookup', 'parity', 'path', 'sorting', 'sums'.",
        ),
        (
            {"kind": "path", "steps": 8},
            "'path' has problems of 1 to 7 steps, not 8. Pass steps between 1 and 7.",
        ),
        (
            {"kind": "path", "split": "test"},
            "No split named 'test'. Known: 'heldout', 'train'.",
        ),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ArgumentError) as error:
        tasks.make_problem(**arguments, seed=0)
    assert str(error.value) == message

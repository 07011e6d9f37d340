import dataclasses
import functools

import numpy as np
import pytest
import torch

import latentkit as lk
from latentkit.errors import ArgumentError
from latentkit.models.chat import render_chat
from latentkit.models.verbs import HuginnModel
from latentkit.problems import generator as tasks
from latentkit.problems import grading as accuracy
from latentkit.problems.kinds import KINDS
from latentkit.training import recipe
from latentkit.training.cli import NANO
from latentkit.training.evaluation import bits, evaluate, overlap, report, settling
from latentkit.training.settings import Settings
from latentkit.training.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def model():
    from transformers import PreTrainedTokenizerFast

    settings = Settings(size="micro", tokens=1, context=1024)
    module = recipe.start(settings, device="cpu").module
    return HuginnModel(module, PreTrainedTokenizerFast.from_pretrained(NANO), name="micro")


@pytest.fixture(scope="module")
def text():
    words = [f"word{i % 97} flies {i % 89} over the sea, " for i in range(40_000)]
    return "".join(words)[:905_000]


def test_a_model_that_knows_nothing_pays_the_logarithm_of_its_vocabulary(model, text):
    with torch.no_grad():
        kept = model.module.lm_head.weight.clone()
        model.module.lm_head.weight.zero_()
        try:
            cost = bits.bits_per_byte(model, text, iterations=(1, 3))
        finally:
            model.module.lm_head.weight.copy_(kept)
    starts = range(20_000, 900_001, 44_000)
    ids = [model.tokenizer.encode(text[i : i + 4000], add_special_tokens=False)[:256] for i in starts]
    size = sum(len(model.tokenizer.decode(row[1:]).encode()) for row in ids)
    expected = np.log2(model.vocab_size) * 255 * len(starts) / size
    assert cost == pytest.approx({1: expected, 3: expected})


@pytest.mark.slow
def test_zeroing_one_weight_of_nano_changes_the_figures_of_its_card(text, monkeypatch):
    monkeypatch.setattr(accuracy, "STEPS", {"composition": (1, 2), "addition": (None,)})
    monkeypatch.setattr(evaluate, "EXCERPTS", range(20_000, 20_001))
    monkeypatch.setattr(evaluate, "HOP_PROBLEMS", 3)
    monkeypatch.setattr(evaluate, "settling", functools.partial(settling.settling, limit=24))
    monkeypatch.setattr(evaluate, "faust", lambda _: ("The cat sat on the mat.", 3))
    monkeypatch.setattr(evaluate, "kinds_of_unsettled", lambda *_: {})
    monkeypatch.setattr(bits, "DOCUMENT_EXCERPTS", 1)
    short = functools.partial(bits.bits_per_byte, iterations=(1, 2), starts=(20_000,))
    monkeypatch.setattr(evaluate, "bits_per_byte", short)
    monkeypatch.setattr(bits, "bits_per_byte", short)
    monkeypatch.setattr(evaluate, "HOPS", {"facts": (1, 2)})
    monkeypatch.setattr(evaluate, "first_iterations", lambda *_, **__: {})
    nano = lk.load_model("nano", device="cpu")
    before = evaluate.evaluate(nano, text[:100_000], documents=text[:100_000], problems=4)
    with torch.no_grad():
        nano.module.transformer.core_block[0].mlp.proj.weight.zero_()
    zeroed = evaluate.evaluate(nano, text[:100_000], documents=text[:100_000], problems=4)
    for name in (
        "bits_per_byte",
        "documentation",
        "settling_text",
        "settling_hops",
        "hops_correlation",
        "accuracy",
    ):
        assert getattr(zeroed, name) != getattr(before, name), name


def test_documentation_is_read_evenly_and_never_past_its_end(model, text, monkeypatch):
    seen = []
    monkeypatch.setattr(bits, "bits_per_byte", lambda model, text, starts: seen.extend(starts) or {1: 1.0})
    assert bits.bits_of_documents(model, text[:50_000]) == {1: 1.0}
    steps = np.diff(seen)
    assert len(seen) == bits.DOCUMENT_EXCERPTS
    assert set(steps.tolist()) == {steps[0]}
    assert seen[0] == 0
    assert 46_000 - 2 * steps[0] <= seen[-1] <= 46_000


def test_the_documents_that_are_measured_are_those_that_training_leaves_out(tmp_path):
    from latentkit.training import corpus

    pages = [f"Page {i}." for i in range(200)]
    file = tmp_path / "docs.txt"
    file.write_text("".join(f"{page}\n\n{corpus.DOCUMENT_END}\n\n" for page in pages))
    held_out = evaluate.held_out_documents(file).split("\n\n")
    assert held_out == [page for page in pages if corpus.is_held_out_document(page)] != []
    with pytest.raises(ArgumentError, match="No file 'nothing'"):
        evaluate.held_out_documents("nothing")


def test_the_first_iteration_is_that_with_nine_tenths_of_the_final_accuracy(model, monkeypatch):
    shares = {1: 0, 2: 8, 3: 9, 4: 10, 5: 9, 6: 10}
    counts = {
        1: shares, 2: dict.fromkeys(shares, 10),
        3: {**dict.fromkeys(shares, 0), 6: 10}, 4: dict.fromkeys(shares, 0),
    }  # fmt: skip
    asked = []

    def count_right(model, problems, *, iterations):
        asked.append(len(problems))
        return {i: counts[problems[0].steps][i] for i in iterations}

    monkeypatch.setattr(evaluate, "HOPS", {"facts": (1, 2, 3, 4)})
    monkeypatch.setattr(accuracy, "count_right", count_right)
    found = evaluate.first_iterations(model, problems=10, iterations=tuple(shares))
    assert found == {1: 3, 2: 1, 3: 6, 4: None}
    assert asked == [10] * 4


def _figures(books, **changed):
    figures = evaluate.Figures(
        bits_per_byte=books,
        documentation={1: 3.0, 8: 2.0},
        settling_text=(1, 2, 3),
        settling_faust=(1, 2, 3),
        faust_settled=1.0,
        unsettled=0.0,
        unsettled_kinds={},
        settling_hops={"facts": {1: 5.0, 2: 7.5}},
        hops_correlation={"facts": 0.5},
        first_iterations={1: 2, 2: None},
        accuracy={("facts", 1): {1: 0.25, 8: 0.5}, ("addition", None): {1: 0.0, 8: 1.0}},
    )
    return dataclasses.replace(figures, **changed)


def test_a_report_says_each_figure():
    said = report.report(_figures({1: 2.5, 8: 1.5}))
    for line in (
        "| bits per byte, books | 2.500 | 1.500 |",
        "| bits per byte, documentation | 3.000 | 2.000 |",
        "Settling iteration of an answer (median) by steps of facts: 5 at 1, 7.5 at 2; rank correlation 0.50",
        "First iteration with 90 % of the final accuracy, by steps of facts: 2 at 1, never at 2",
        "| facts | 1 | 0.25 | 0.50 |",
        "| addition | all | 0.00 | 1.00 |",
    ):
        assert line in said.splitlines()
    assert "documentation" not in report.report(_figures({1: 2.5, 8: 1.5}, documentation={}))


def test_two_models_stand_beside_each_other_each_at_its_best():
    control = _figures(
        {1: 1.75, 8: 9.0}, accuracy={("facts", 1): {1: 0.75, 8: 0.0}, ("addition", None): {1: 0.5}}
    )
    assert report.compare({"nano": _figures({1: 2.5, 8: 1.5}), "control": control}).splitlines() == [
        "| at the best number of iterations | nano | control |",
        "|---|---|---|",
        "| bits per byte, books | 1.500 (r = 8) | 1.750 (r = 1) |",
        "| bits per byte, documentation | 2.000 | 2.000 |",
        "| facts, 1 | 0.50 | 0.75 |",
        "| addition, all | 1.00 | 0.50 |",
    ]


def test_a_text_too_short_for_the_protocol_is_refused(model):
    with pytest.raises(ArgumentError) as error:
        bits.bits_per_byte(model, "short")
    assert str(error.value) == (
        "The text has 5 characters; this measure reads up to 904,000. Pass the whole of the held-out text."
    )


def test_settling_is_the_first_iteration_after_which_the_distance_stays_small(model, monkeypatch):
    distance = torch.tensor([[10.0, 0.05, 3.0, 0.05, 0.0], [10.0, 9.0, 0.05, 0.01, 0.0]]).numpy()
    monkeypatch.setattr(settling, "_distance", lambda *_, **__: distance)
    assert settling.settling(model, "x", limit=4).tolist() == [3, 2]


def test_an_answer_settles_where_a_trace_of_its_problem_says(model):
    found = settling.settling_by_steps(model, "floors", steps=(1, 3), problems=3)
    assert {steps: values.shape for steps, values in found.items()} == {1: (3,), 3: (3,)}
    problem = tasks.make_problem("floors", seed=2, steps=3)
    ids, _ = accuracy._encode(model.tokenizer, problem)
    assert settling.settling(model, ids)[-1] == found[3][2]


def test_rank_correlation_is_spearmans():
    rising = {1: np.array([3.0]), 2: np.array([5.0]), 9: np.array([700.0])}
    assert settling.rank_correlation(rising) == pytest.approx(1)
    # ranks 1.5 1.5 3.5 3.5 against 1 3 2 4
    assert settling.rank_correlation({1: np.array([3.0, 7.0]), 2: np.array([5.0, 9.0])}) == pytest.approx(
        2 / 20**0.5
    )


def test_tokens_that_never_settle_are_told_apart(model):
    found = settling.kinds_of_unsettled(model, ["the sea"], [np.array([3.0, 200.0])])
    assert sum(found.values()) == 1
    assert settling.kinds_of_unsettled(model, ["the sea"], [np.array([3.0, 4.0])]) == {}


def test_the_faust_answer_begins_after_the_reply_header(model):
    conversation, start = settling.faust(model)
    trace = lk.run_recurrence(model, conversation, iterations=1, limit=1, readout_top=0, progress=False)
    assert "".join(trace.token_text.values[start:].tolist()).startswith("Goethe's Faust is a complex")
    assert trace.token_text.values[start - 2 : start].tolist() == ["<|end_header|>", "\n\n"]


def test_a_model_that_gives_the_right_answer_is_right_and_one_token_wrong_is_wrong(model, monkeypatch):
    problems = [tasks.make_problem(kind, seed=i) for kind in ("sorting", "addition") for i in range(3)]
    right: dict[tuple[int, int], int] = {}
    for row, problem in enumerate(problems):
        prompt, answer = accuracy._encode(model.tokenizer, problem)
        right.update({(row, len(prompt) + i - 1): token for i, token in enumerate(answer)})

    def oracle(state, context):
        logits = torch.zeros(*state.shape[:2], model.vocab_size)
        for (row, place), token in right.items():
            logits[row, place, token] = 1.0
        return logits

    monkeypatch.setattr(model, "readout", oracle)
    assert accuracy.count_right(model, problems, iterations=(1, 2)) == {1: 6, 2: 6}
    right[max(right)] = 0  # the end of the last chat's turn
    assert accuracy.count_right(model, problems, iterations=(1,)) == {1: 5}


def test_a_chat_problem_is_the_chat_that_training_shows(model):
    problem = tasks.make_problem("addition", seed=0, steps=2)
    prompt, answer = accuracy._encode(model.tokenizer, problem)
    asked = [{"role": "user", "content": problem.prompt}, {"role": "assistant", "content": problem.answer}]
    assert model.tokenizer.decode(prompt + answer) + "<|end_text|>" == render_chat(asked)
    assert model.tokenizer.decode(answer) == problem.answer + "<|end_turn|>"


def test_no_problem_is_graded_twice(model, monkeypatch):
    monkeypatch.setattr(accuracy, "STEPS", {"parity": (1,)})
    graded = []

    def count_half(_model, problems, *, iterations, seed=0):
        graded.extend(problem.prompt for problem in problems)
        return dict.fromkeys(iterations, len(problems) / 2)

    monkeypatch.setattr(accuracy, "count_right", count_half)
    shares = accuracy.by_difficulty(model, problems=200)
    assert len(set(graded)) == len(graded) < 200  # there are not more of them
    assert set(shares["parity", 1].values()) == {0.5}


def test_accuracy_covers_every_kind_of_problem():
    assert set(accuracy.STEPS) == set(KINDS)


def test_the_prompt_of_a_problem_is_read_as_training_wrote_it():
    """Same tokens as the beginning of a training sheet, else the model is asked something it never saw."""
    from transformers import PreTrainedTokenizerFast

    from latentkit.training.data import sheet_parts

    tokenizer = load_tokenizer(NANO)
    sheet = tasks.make_sheet("floors", seed=1, questions=2)
    written = "".join(part for part, _ in sheet_parts(sheet))
    problem = tasks.make_problem("floors", seed=1, split="train", steps=1)
    problem = dataclasses.replace(problem, prompt=sheet.table + sheet.questions[0].text)
    prompt, _ = accuracy._encode(PreTrainedTokenizerFast.from_pretrained(NANO), problem)
    assert tokenizer.encode(written, add_special_tokens=False).ids[: len(prompt)] == prompt


def test_where_the_held_out_books_are_must_be_said(monkeypatch, tmp_path):
    monkeypatch.delenv("LATENTKIT_HELDOUT", raising=False)
    with pytest.raises(ArgumentError) as error:
        evaluate.main(["nano"])
    assert str(error.value) == (
        "The held-out books are not part of the package. Pass their path with --heldout "
        "PATH/heldout_books.txt.xz, or set LATENTKIT_HELDOUT to that path."
    )
    path = tmp_path / "heldout.txt"
    path.write_text("Persuasion")
    monkeypatch.setenv("LATENTKIT_HELDOUT", str(path))
    assert evaluate.read_held_out(None) == "Persuasion"


def test_thirteen_words_in_a_row_are_found_whatever_stands_between_them():
    held_out = " ".join(f"w{i}" for i in range(40))
    twelve, thirteen = (", ".join(f"W{i}" for i in range(5, 5 + n)) for n in (12, 13))
    assert overlap.shared_runs(held_out, [twelve, f"so\n{twelve}!"]) == []
    assert overlap.shared_runs(held_out, [f"so {thirteen}. And"]) == [thirteen.lower().replace(",", "")]


def test_the_overlap_command_fails_if_anything_is_shared(tmp_path, capsys):
    book = " ".join(f"w{i}" for i in range(40))
    for name, content in (("heldout_a.txt", book), ("same.txt", book), ("other.txt", "w1 w2 w3")):
        (tmp_path / name).write_text(content)
    options = ["--heldout", str(tmp_path / "heldout_a.txt"), "--data"]
    assert overlap.main([*options, str(tmp_path / "same.txt")]) == 1
    assert overlap.main([*options, str(tmp_path / "other.txt")]) == 0
    assert capsys.readouterr().out.endswith("0 sequences of 13 words occur in both.\n")

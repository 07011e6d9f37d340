import builtins
import json
import lzma
import re

import numpy as np
import pytest
from golden_for_tests import RecordedTokenizer

from latentkit.errors import ArgumentError
from latentkit.models.chat import CHAT_TEMPLATE, SPECIAL_TOKENS, render_chat
from latentkit.problems import generator as tasks
from latentkit.training import corpus
from latentkit.training.cli import NANO
from latentkit.training.data import Mixture, TaskSource, TokenSource, encode_file, open_source
from latentkit.training.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

CHATS = [
    [{"role": "user", "content": " Hi \n"}, {"role": "assistant", "content": "Hello.\n\nHow are you?"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}],
    [{"role": "user", "content": "Say <b>"}, {"role": "Huginn", "content": "Tübingen 12 😀"}],
]
SPLITS = ("train", "heldout")
RAVEN = "the raven flew over nine worlds and saw what no one had seen before it came home"
WORDS = RAVEN.split()
PROSE = "\n\n".join(" ".join(WORDS[i % 7 :] + WORDS[: i % 5]) for i in range(400))


@pytest.fixture(scope="module")
def transformers_tokenizer():
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(NANO)


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("reply", [True, False])
def test_our_rendering_of_a_chat_is_that_of_the_chat_template(transformers_tokenizer, chat, reply):
    theirs = transformers_tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=reply)
    assert render_chat(chat, add_generation_prompt=reply) == theirs


def test_our_chat_template_renders_as_the_released_one(transformers_tokenizer):
    released = RecordedTokenizer().chat_template
    assert released != CHAT_TEMPLATE  # else this test says nothing
    for chat in CHATS:
        for reply in (True, False):
            texts = {
                transformers_tokenizer.apply_chat_template(
                    chat, chat_template=template, tokenize=False, add_generation_prompt=reply
                )
                for template in (released, CHAT_TEMPLATE)
            }
            assert len(texts) == 1


def test_transformers_and_tokenizers_read_the_same_tokenizer(transformers_tokenizer):
    text = "Goethe's  Faust,\n\n\tTübingen 1234 日 <|end_turn|>x"
    ours = load_tokenizer(NANO)
    assert transformers_tokenizer.encode(text) == ours.encode(text).ids
    assert transformers_tokenizer.decode(ours.encode(text).ids) == "<|begin_text|>" + text


def test_decoding_gives_back_every_space_and_half_a_character(transformers_tokenizer):
    for text in ("a , b . c n't ' s", "  two", "tab\tand\r\nline", "日本 😀 שלום"):
        ids = transformers_tokenizer.encode(text, add_special_tokens=False)
        assert transformers_tokenizer.decode(ids) == text


def test_a_digit_is_a_token_and_a_word_takes_its_space_along():
    tokenizer = load_tokenizer(NANO)
    tokens = tokenizer.encode(" the 2026 the", add_special_tokens=False).ids
    assert [tokenizer.decode([i]) for i in tokens] == [" the", " ", "2", "0", "2", "6", " the"]
    assert not [
        t for t in tokenizer.get_vocab() if any(c.isdigit() and c.isascii() for c in t) and len(t) > 1
    ]


def test_special_tokens_are_the_last_of_4096_and_whole_words_follow(transformers_tokenizer):
    assert transformers_tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(4090, 4096))
    assert len(transformers_tokenizer) == 4096 + 640
    assert transformers_tokenizer.tokenize("in Paris") == ["in", "ĠParis"]
    names = (
        transformers_tokenizer.bos_token,
        transformers_tokenizer.eos_token,
        transformers_tokenizer.pad_token,
    )
    assert names == ("<|begin_text|>", "<|end_text|>", "<|pad|>")


def test_a_tokenizer_of_our_own_is_trained_saved_and_read(tmp_path):
    tokenizer = train_tokenizer([PROSE, "1984 " * 500], vocab_size=290)
    assert len(tokenizer.encode("1984", add_special_tokens=False).ids) == 4
    save_tokenizer(tokenizer, tmp_path, context_length=64)
    again = load_tokenizer(tmp_path)
    assert again.get_vocab_size() == 290
    assert again.encode("the raven").ids == tokenizer.encode("the raven").ids
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["model_max_length"] == 64


def test_too_little_text_for_a_vocabulary_is_said():
    with pytest.raises(ArgumentError) as error:
        train_tokenizer(["aaaa"], vocab_size=400)
    assert str(error.value).startswith("The texts yield only 26")
    assert str(error.value).endswith("of 400 vocabulary entries. Pass more text, or a smaller vocab_size.")


def _write(folder, name, text):
    path = folder / name
    path.write_bytes(lzma.compress(text.encode()) if name.endswith(".xz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.xz"])
def test_texts_are_cut_at_the_document_mark(tmp_path, name):
    path = _write(tmp_path, name, "One.\n\nStill one.\n\n<|endoftext|>\n\nTwo.\n")
    assert list(corpus.read_documents(path)) == [
        "<|begin_text|>One.\n\nStill one.<|end_text|>",
        "<|begin_text|>Two.<|end_text|>",
    ]


def test_share_alike_records_are_left_out_unless_asked_for(tmp_path):
    licences = ("MIT", "CC-BY-SA-4.0", "CC0-1.0")
    lines = [json.dumps({"messages": CHATS[0], "licence": licence}) for licence in licences]
    path = _write(tmp_path, "a.jsonl.xz", "\n".join(lines))
    assert len(list(corpus.read_documents(path))) == 2
    assert list(corpus.read_documents(path, share_alike=True)) == [render_chat(CHATS[0])] * 3


def test_a_chat_that_shows_a_held_out_addition_is_left_out(tmp_path):
    sums = [
        tasks.make_problem("addition", seed=i, steps=3, split=split) for i in range(20) for split in SPLITS
    ]
    lines = [json.dumps({"messages": [{"role": "user", "content": problem.prompt}]}) for problem in sums]
    path = _write(tmp_path, "a.jsonl", "\n".join(lines))
    kept = "".join(corpus.read_documents(path))
    assert [problem.prompt in kept for problem in sums] == [True, False] * 20


def test_one_document_in_forty_of_the_documentation_is_held_out_and_of_other_files_none(tmp_path):
    documents = [f"Page {i} of the manual." for i in range(400)]
    text = "".join(f"{page}\n\n{corpus.DOCUMENT_END}\n\n" for page in documents)
    docs, books = _write(tmp_path, "docs.txt", text), _write(tmp_path, "books.txt", text)
    bare = [
        page.removeprefix("<|begin_text|>").removesuffix("<|end_text|>")
        for page in corpus.read_documents(docs)
    ]
    held_out = list(corpus.read_held_out_documents(docs))
    assert len(held_out) == 10
    assert sorted(bare + held_out) == sorted(documents)
    assert len(list(corpus.read_documents(books))) == 400


def test_a_file_that_is_held_out_is_refused_and_in_a_folder_passed_over(tmp_path):
    kept = _write(tmp_path, "books.txt", "text")
    held_out = _write(tmp_path, "heldout_books.txt", "text")
    assert corpus.find_files(tmp_path) == [kept]
    with pytest.raises(ArgumentError) as error:
        corpus.find_files(held_out)
    assert str(error.value) == (
        "'heldout_books.txt' is held out: figures are measured on it, so it is never trained on. "
        "Pass other files."
    )


def test_without_the_datasets_package_a_name_is_explained(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ArgumentError) as error:
        list(corpus.read_documents("some/dataset"))
    assert str(error.value) == (
        "There is no file or folder 'some/dataset', and the package `datasets`, which would look for a "
        "dataset of that name, is not installed. Correct the path, or `pip install datasets`."
    )


def test_a_broken_line_is_named(tmp_path):
    path = _write(tmp_path, "a.jsonl", '{"text": "fine"}\n{oops\n')
    with pytest.raises(ArgumentError) as error:
        list(corpus.read_documents(path))
    assert str(error.value) == (
        "Line 2 of 'a.jsonl' is not a JSON record (Expecting property name enclosed in double quotes: line 1 "
        "column 2 (char 1)). Write one object per line."
    )


def test_tokens_on_disk_are_those_of_the_documents_and_are_made_once(tmp_path):
    tokenizer = load_tokenizer(NANO)
    path = _write(tmp_path, "a.txt", (PROSE + "\n\n<|endoftext|>\n\n") * 2)
    first = encode_file(path, tokenizer, tmp_path / "cache")
    tokens = np.fromfile(first, dtype=np.uint16)
    assert tokens.tolist() == [
        i for d in corpus.read_documents(path) for i in tokenizer.encode(d, add_special_tokens=False).ids
    ]
    made = first.stat().st_mtime_ns
    assert encode_file(path, tokenizer, tmp_path / "cache").stat().st_mtime_ns == made
    _write(tmp_path, "a.txt", PROSE + " More.")
    assert encode_file(path, tokenizer, tmp_path / "cache") != first


def test_a_long_document_is_cut_without_changing_its_tokens(tmp_path):
    tokenizer = load_tokenizer(NANO)
    path = _write(tmp_path, "a.txt", "\n\n\n".join([PROSE] * 4))
    tokens = np.fromfile(encode_file(path, tokenizer, tmp_path), dtype=np.uint16)
    (document,) = corpus.read_documents(path)
    assert len(document) > 40_000
    assert tokens.tolist() == tokenizer.encode(document, add_special_tokens=False).ids


def test_too_little_text_is_refused(tmp_path):
    path = _write(tmp_path, "a.txt", "The raven.")
    with pytest.raises(ArgumentError, match=r"has only \d+ tokens\. Pass at least 2048 of them\.$"):
        open_source(path, load_tokenizer(NANO), tmp_path)


def test_labels_are_the_tokens_one_place_on():
    ids, labels = TokenSource(np.arange(5000, dtype=np.uint16)).row(7, 64, seed=1)
    assert (labels == ids + 1).all()
    assert len(ids) == 64


def test_windows_hardly_overlap_before_the_text_is_read():
    source = TokenSource(np.arange(64_000 + 1, dtype=np.uint16))
    seen = np.concatenate([source.row(i, 64, seed=0)[0] for i in range(400)])
    assert len(np.unique(seen)) > 0.99 * len(seen)  # 40 % of the text; drawn at random it would be 82 %


def _mixture(seed=0):
    text = TokenSource(np.arange(60_000, dtype=np.uint16) % 4000)
    return Mixture([(text, 0.75), (TaskSource(load_tokenizer(NANO)), 0.25)], seed=seed)


def test_a_batch_depends_on_seed_and_step_alone():
    one, other = _mixture(), _mixture()
    other.batch(4)
    other.batch(2)
    assert all((a == b).all() for a, b in zip(one.batch(5), other.batch(5), strict=True))
    assert not (one.batch(5).token_ids[0] == one.batch(6).token_ids[0]).all()
    assert not (one.batch(5).token_ids[0] == _mixture(seed=1).batch(5).token_ids[0]).all()


def test_a_tenth_of_the_tokens_comes_in_long_rows_and_batches_are_equally_large():
    mixture = Mixture([(TokenSource(np.arange(60_000, dtype=np.uint16)), 1.0)])
    shapes = [tuple(mixture.batch(step).token_ids.shape) for step in range(1000)]
    assert {rows * length for rows, length in shapes} == {4096}
    assert set(shapes) == {(16, 256), (8, 512), (4, 1024)}
    assert 0.07 < sum(length > 256 for _, length in shapes) / 1000 < 0.13


def test_rows_of_problems_grow_harder_row_by_row():
    tokenizer = load_tokenizer(NANO)
    source = TaskSource(tokenizer, ("composition",), harder_every=10)

    def hardest(first):
        text = "".join(tokenizer.decode(source.row(i, 256, 0)[0].tolist()) for i in range(first, first + 10))
        return max(int(steps) for steps in re.findall(r" [A-H](\d+) ?=", text))

    assert [hardest(first) for first in (0, 10, 30, 500)] == [1, 2, 4, 9]


def test_every_batch_has_its_share_of_problems():
    for step in range(20):
        batch = _mixture().batch(step)
        with_problems = (batch.labels == -100).any(dim=1).float().mean()
        assert 0.1 < with_problems < 0.4

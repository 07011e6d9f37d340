"""Prompts into token ids, token ids into texts; checked with recorded answers of the released tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_for_tests import PUBLISHED, RecordedTokenizer
from models_for_tests import tiny_model

import latentkit as lk
from latentkit import prompts
from latentkit.errors import PromptError
from latentkit.models.loading import NANO
from latentkit.run.prompting import encode, token_texts


@pytest.fixture(scope="module")
def nano_tokenizer() -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(NANO)


@pytest.fixture(scope="module")
def released_tokenizer() -> RecordedTokenizer:
    return RecordedTokenizer()


def test_our_prompts_are_the_published_ones() -> None:
    ours = {
        "system": {"S": prompts.SYSTEM_S, "X": prompts.SYSTEM_X},
        "user": {
            "faust": prompts.FAUST,
            "omelet": prompts.OMELET,
            "safety": prompts.SAFETY,
            "faust_answer_in_figure": prompts.FAUST_ANSWER,
        },
    }
    assert ours == {key: PUBLISHED[key] for key in ours}


@pytest.mark.parametrize("name", ["F1", "F2", "F3"])
def test_the_rows_of_each_figure_are_the_published_ones(
    released_tokenizer: RecordedTokenizer, name: str
) -> None:
    figure = prompts.FIGURES[name]
    model = tiny_model(released_tokenizer, vocab_size=65536, block_size=512)
    trace = lk.run_recurrence(
        model, prompts.messages(figure), iterations=1, limit=1, readout_top=0, progress=False
    )
    rows = trace.isel(token=figure.tokens)
    assert rows.token_text.values.tolist() == PUBLISHED["rows_with_the_released_tokenizer"][name]
    assert rows.token.values[0] == figure.tokens.start
    ax = lk.plot_convergence(trace, tokens=figure.tokens)
    assert ax.get_title() == "Latent State Convergence ||x - x*||"


def test_the_question_about_faust_ends_where_the_published_rows_begin(
    released_tokenizer: RecordedTokenizer,
) -> None:
    ids = encode(released_tokenizer, prompts.FAUST, system=prompts.SYSTEM_S)
    assert len(ids) == 182
    answered = encode(released_tokenizer, prompts.messages(prompts.FIGURES["F1"]))
    assert answered[:182] == ids


@pytest.mark.parametrize("tokenizer", ["nano_tokenizer", "released_tokenizer"])
def test_harmless_counterparts_have_the_shape_and_length_of_the_safety_prompt(
    tokenizer: str, request: pytest.FixtureRequest
) -> None:
    cut = request.getfixturevalue(tokenizer)
    texts = {
        text: token_texts(cut, encode(cut, text, system=prompts.SYSTEM_X))
        for text in [prompts.SAFETY, *prompts.HARMLESS.values()]
    }
    safety = texts.pop(prompts.SAFETY)
    for pieces in texts.values():
        assert len(pieces) == len(safety)
        differ = [i for i, both in enumerate(zip(pieces, safety, strict=True)) if both[0] != both[1]]
        first, last = "".join(safety).index(" bomb"), "".join(safety).index(" wronged") + len(" wronged")
        begins = np.cumsum([0, *map(len, safety)])
        assert all(first <= begins[i] < last for i in differ)


def test_harmless_counterparts_differ_in_two_words() -> None:
    for text in prompts.HARMLESS.values():
        pairs = list(zip(text.split(), prompts.SAFETY.split(), strict=True))
        assert [theirs for ours, theirs in pairs if ours != theirs] == ["bomb", "wronged"]


def test_the_ways_to_write_a_chat_agree(nano_tokenizer: Any) -> None:
    ids = encode(nano_tokenizer, "Hello", system="Be kind.")
    assert ids == encode(nano_tokenizer, [("system", "Be kind."), ("user", "Hello")])
    assert ids == encode(
        nano_tokenizer, [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    )
    text = nano_tokenizer.decode(ids)
    assert text == (
        "<|begin_text|><|begin_header|>system<|end_header|>\n\nBe kind.<|end_turn|>"
        "<|begin_header|>user<|end_header|>\n\nHello<|end_turn|><|begin_header|>Huginn<|end_header|>\n\n"
    )
    assert encode(nano_tokenizer, "Hello", chat=True) == encode(nano_tokenizer, [("user", "Hello")])


def test_a_last_assistant_message_is_the_beginning_of_the_answer(nano_tokenizer: Any) -> None:
    begun = encode(nano_tokenizer, [("user", "Hello"), ("assistant", "Good")])
    assert nano_tokenizer.decode(begun).endswith("<|begin_header|>Huginn<|end_header|>\n\nGood")
    assert encode(nano_tokenizer, [("user", "Hello"), ("assistant", "")]) == encode(
        nano_tokenizer, [("user", "Hello")]
    )


def test_plain_text_gets_the_begin_token_once(nano_tokenizer: Any) -> None:
    ids = encode(nano_tokenizer, "Once upon a time")
    assert ids[0] == nano_tokenizer.bos_token_id
    assert nano_tokenizer.bos_token_id not in ids[1:]


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ("Hello", {}),
        ("<|begin_text|>Hello", {}),
        ("Hello", {"chat": True}),
        ("Hello", {"system": "Be kind."}),
        ([("user", "Hello")], {}),
        ([("system", "Be kind."), ("user", "Hello"), ("assistant", "Good")], {}),
    ],
)
def test_every_prompt_has_one_begin_token_and_it_is_the_first(
    nano_tokenizer: Any, prompt: Any, options: dict[str, Any]
) -> None:
    ids = encode(nano_tokenizer, prompt, **options)
    assert [i for i, token in enumerate(ids) if token == nano_tokenizer.bos_token_id] == [0]


def test_token_ids_are_used_as_given_whatever_kind_of_integers_they_are(nano_tokenizer: Any) -> None:
    assert encode(nano_tokenizer, [5, 6]) == encode(None, np.array([5, 6])) == encode(None, (5, 6)) == [5, 6]


def test_texts_of_tokens_join_to_the_text_and_halves_of_characters_show_their_bytes(
    nano_tokenizer: Any,
) -> None:
    text = "A caf\u00e9, 12\n\n\u2019 \U0001f419"
    texts = token_texts(nano_tokenizer, encode(nano_tokenizer, text)[1:])
    assert "".join(texts).startswith("A caf")
    assert "\ufffd" not in "".join(texts)
    octopus = "".join(f"<0x{byte:02X}>" for byte in "\U0001f419".encode())
    assert "".join(texts).endswith(octopus) or "".join(texts).endswith("\U0001f419")
    assert "\n\n" in "".join(texts)


def test_half_a_character_is_written_as_its_bytes(released_tokenizer: RecordedTokenizer) -> None:
    texts = token_texts(released_tokenizer, encode(released_tokenizer, "日本 \U0001f419")[1:])
    assert texts == ["日", "本", " <0xF0><0x9F>", "<0x90>", "<0x99>"]


def test_without_a_tokenizer_texts_are_numbers() -> None:
    assert token_texts(None, [17, 0]) == ["<17>", "<0>"]


_PASS = "Pass a string, a list of chat messages, or a list of token ids."


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ("", {}, "The prompt is empty (''). Pass some text, chat messages, or token ids."),
        (" \n", {}, "The prompt is empty (' \\n'). Pass some text, chat messages, or token ids."),
        ([], {}, "The prompt is an empty list. " + _PASS),
        (7, {}, "The prompt is of type int. " + _PASS),
        (None, {}, "The prompt is of type NoneType. " + _PASS),
        (b"Hi", {}, "The prompt is of type bytes. " + _PASS),
        ({1: 2}, {}, "The prompt is of type dict. " + _PASS),
        ("Hi", {"system": 5}, "system is 5; pass a string, or None."),
        ("Hi", {"chat": "yes"}, "chat is 'yes'; pass True or False."),
        ([-1], {}, "The prompt holds the token id -1; token ids are counted from 0."),
        ([1], {"chat": True}, "system= and chat= go with a string, not with a list. "
         "Put a ('system', …) message first instead."),
        (["hi"], {}, "Message 0 of the prompt is 'hi'; pass {'role': …, 'content': …} or (role, content) "
         "with role 'system', 'user' or 'assistant' and content a string."),
        ([("user", "a"), ("robot", "b")], {}, "Message 1 of the prompt is ('robot', 'b'); pass {'role': …, "
         "'content': …} or (role, content) with role 'system', 'user' or 'assistant' and content a string."),
        ([("assistant", " ")], {}, "The prompt holds one empty assistant message. Pass a user message too."),
        ("a\ud800", {}, "The prompt holds an unpaired surrogate ('\\ud800' at position 1), which cannot "
         "be encoded. Remove it, or pass token ids."),
    ],
)  # fmt: skip
def test_a_prompt_that_makes_no_sense_is_refused(
    nano_tokenizer: Any, prompt: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(PromptError) as raised:
        encode(nano_tokenizer, prompt, **options)
    assert str(raised.value) == message


def test_text_without_a_tokenizer_and_chat_without_a_template_are_refused(nano_tokenizer: Any) -> None:
    with pytest.raises(PromptError) as raised:
        encode(None, "Hello")
    assert str(raised.value) == (
        "This model's folder has no tokenizer, so texts cannot be encoded. Pass the prompt as token ids."
    )
    plain = nano_tokenizer.__class__(tokenizer_object=nano_tokenizer.backend_tokenizer)
    with pytest.raises(PromptError) as raised:
        encode(plain, "Hello", chat=True)
    assert str(raised.value) == (
        "This model's tokenizer has no chat template. Pass plain text or token ids instead of messages."
    )

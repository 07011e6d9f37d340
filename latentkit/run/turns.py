"""Chat messages as token ids; the content of a message can neither end its turn nor begin another one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["encode_turns"]


def encode_turns(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, begun: bool) -> list[int]:
    """Encode messages in the tokenizer's chat template.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        With a chat template.
    messages : sequence of mappings with ``role`` and ``content``
        At least one. A special token that is spelled out in a content, such as ``<|end_turn|>``, is encoded
        as the characters it is spelled with.
    begun : bool
        Whether the last message is left open, to be continued, instead of adding the header of a reply.

    Returns
    -------
    list of int
    """
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    contents = "".join(message["content"] for message in messages)
    stand_ins = dict(zip(_spelled_out(special, contents), _unused(contents), strict=False))
    text = tokenizer.apply_chat_template(
        [{**message, "content": _replaced(message["content"], stand_ins)} for message in messages],
        tokenize=False,
        add_generation_prompt=not begun,
        continue_final_message=begun,
    )
    if not stand_ins:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
    return list(_by_parts(tokenizer, text, special, stand_ins))


def _by_parts(tokenizer: Any, text: str, special: set[str], stand_ins: Mapping[str, str]) -> Iterator[int]:
    """Encode the template's special tokens as such and all text between them as plain characters."""
    spelled = {stand_in: token for token, stand_in in stand_ins.items()}
    for part in re.split(f"({_any_of(special)})", text):
        if part in special:
            yield tokenizer.convert_tokens_to_ids(part)
        elif part:
            plain = _replaced(part, spelled)
            yield from tokenizer(plain, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def _spelled_out(special: set[str], text: str) -> list[str]:
    return sorted(token for token in special if token in text)


def _unused(text: str) -> Iterator[str]:
    """Yield private-use characters that do not occur in the text."""
    return (character for character in map(chr, range(0xE000, 0xF900)) if character not in text)


def _replaced(text: str, by: Mapping[str, str]) -> str:
    return re.sub(_any_of(by), lambda found: by[found.group()], text) if by else text


def _any_of(texts: set[str] | Mapping[str, str]) -> str:
    """Return a pattern for any of the texts, longer ones first."""
    return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))

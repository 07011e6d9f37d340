"""Encoding of prompts to token ids, and decoding of single tokens to texts."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latentkit.arguments import is_whole
from latentkit.errors import PromptError
from latentkit.run.turns import encode_turns

__all__ = ["encode", "prompt_json", "token_texts"]

Prompt = str | Sequence[int] | Sequence[Mapping[str, str] | tuple[str, str]]


def encode(tokenizer: Any, prompt: Prompt, *, system: str | None = None, chat: bool = False) -> list[int]:
    """Return the token ids of a prompt.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast or None
        None allows token ids only.
    prompt : str, list of messages, or list of int
        A string; chat messages (role, content), where a last assistant message is the given beginning of
        the answer and otherwise the reply header is appended; or token ids, used as given. Plain text and
        ids may hold special tokens; in the contents of messages these are ordinary characters.
    system : str, optional
        System message before a string, which is then the user's.
    chat : bool
        Whether a string is the user's message rather than plain text.

    Returns
    -------
    list of int
        At least one.

    Raises
    ------
    PromptError
        If the prompt is empty, of a wrong type, or cannot be encoded, or the model has no tokenizer for it.
    """
    _check_options(system, chat)
    prompt = _as_list(prompt)
    messages = _messages(prompt, system, chat=chat)
    if messages is None and not isinstance(prompt, str):
        return _checked_ids(prompt)
    if tokenizer is None:
        msg = (
            "This model's folder has no tokenizer, so texts cannot be encoded. Pass the prompt as token ids."
        )
        raise PromptError(msg)
    if messages is not None:
        _refuse_surrogates(message["content"] for message in messages)
        return _render(tokenizer, messages)
    assert isinstance(prompt, str)
    _refuse_surrogates([prompt])
    ids: list[int] = tokenizer(prompt)["input_ids"]
    begin = tokenizer.bos_token_id
    if begin is None:
        return ids
    given = 2 if ids[:2] == [begin, begin] else int(ids[:1] == [begin])  # a text may spell it out itself
    return [begin, *ids[given:]]


def prompt_json(prompt: Prompt, *, system: str | None, chat: bool, new_tokens: int) -> str:
    """Return a prompt and its options as JSON, for the attributes of a trace."""
    asked = {"prompt": prompt, "system": system, "chat": chat, "new_tokens": new_tokens}
    return json.dumps(asked, default=_plain)


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Decode each token separately; line breaks stay, an incomplete character is written ``<0xE2>``.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast or None
        Without one the texts are ``<17>``.
    ids : sequence of int

    Returns
    -------
    list of str
    """
    if tokenizer is None:
        return [f"<{i}>" for i in ids]
    distinct = sorted(set(ids))
    texts = {i: _token_text(tokenizer, i) for i in distinct}
    return [texts[i] for i in ids]


def _check_options(system: object, chat: object) -> None:
    if system is not None and not isinstance(system, str):
        msg = f"system is {system!r}; pass a string, or None."
        raise PromptError(msg)
    if not isinstance(chat, (bool, np.bool_)):
        msg = f"chat is {chat!r}; pass True or False."
        raise PromptError(msg)


def _as_list(prompt: Any) -> Any:
    """Return a string unchanged and any other prompt as a list."""
    if isinstance(prompt, str):
        return prompt
    if hasattr(prompt, "tolist") and getattr(prompt, "ndim", 0) == 1:
        prompt = prompt.tolist()
    if not isinstance(prompt, Sequence) or isinstance(prompt, (bytes, bytearray, memoryview)) or not prompt:
        empty = isinstance(prompt, (list, tuple)) and not prompt
        what = "is an empty list" if empty else f"is of type {type(prompt).__name__}"
        msg = f"The prompt {what}. Pass a string, a list of chat messages, or a list of token ids."
        raise PromptError(msg)
    return list(prompt)


def _messages(prompt: Prompt, system: str | None, *, chat: bool) -> list[dict[str, str]] | None:
    """Return chat messages, or None where the prompt is plain text or token ids."""
    if isinstance(prompt, str):
        if not prompt.strip():
            msg = f"The prompt is empty ({prompt!r}). Pass some text, chat messages, or token ids."
            raise PromptError(msg)
        if system is None and not chat:
            return None
        first = [] if system is None else [{"role": "system", "content": system}]
        return [*first, {"role": "user", "content": prompt}]
    if system is not None or chat:
        msg = (
            "system= and chat= go with a string, not with a list. Put a ('system', …) message first instead."
        )
        raise PromptError(msg)
    if all(is_whole(part) for part in prompt):
        return None
    return [_message(part, i) for i, part in enumerate(prompt)]


def _message(part: Any, index: int) -> dict[str, str]:
    if isinstance(part, Mapping) and {"role", "content"} <= part.keys():
        role, content = part["role"], part["content"]
    elif isinstance(part, (tuple, list)) and len(part) == 2:
        role, content = part
    else:
        role = content = None
    if (
        not isinstance(role, str)
        or not isinstance(content, str)
        or role not in {"system", "user", "assistant"}
    ):
        msg = (
            f"Message {index} of the prompt is {part!r}; pass {{'role': …, 'content': …}} or (role, content) "
            "with role 'system', 'user' or 'assistant' and content a string."
        )
        raise PromptError(msg)
    return {"role": role, "content": content}


def _render(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    if not tokenizer.chat_template:
        msg = "This model's tokenizer has no chat template. Pass plain text or token ids instead of messages."
        raise PromptError(msg)
    begun = messages[-1]["role"] == "assistant"  # the beginning of the answer
    if begun and not messages[-1]["content"].strip():
        messages, begun = messages[:-1], False
    if not messages:
        msg = "The prompt holds one empty assistant message. Pass a user message too."
        raise PromptError(msg)
    return encode_turns(tokenizer, messages, begun=begun)


def _checked_ids(prompt: Any) -> list[int]:
    ids = [int(part) for part in prompt]
    if min(ids) < 0:
        msg = f"The prompt holds the token id {min(ids)}; token ids are counted from 0."
        raise PromptError(msg)
    return ids


def _plain(part: Any) -> Any:
    """Convert arrays, mappings and sequences to types that JSON supports."""
    return (
        part.tolist() if hasattr(part, "tolist") else dict(part) if isinstance(part, Mapping) else list(part)
    )


def _refuse_surrogates(texts: Any) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            msg = (
                f"The prompt holds an unpaired surrogate ({text[error.start]!r} at position {error.start}), "
                "which cannot be encoded. Remove it, or pass token ids."
            )
            raise PromptError(msg) from error


def _token_text(tokenizer: Any, token_id: int) -> str:
    text: str = tokenizer.decode([token_id], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if "\ufffd" not in text:
        return text
    raw = bytes(_byte_of().get(symbol, 0x3F) for symbol in tokenizer.convert_ids_to_tokens(token_id))
    return raw.decode("utf-8", errors="surrogateescape").translate(_ESCAPED_BYTES)


#: How bytes of incomplete characters, which Python marks as surrogates, are written.
_ESCAPED_BYTES = {0xDC00 + byte: f"<0x{byte:02X}>" for byte in range(0x80, 0x100)}


@functools.cache
def _byte_of() -> dict[str, int]:
    """Return the byte of each symbol of the byte-level alphabet of GPT-2's tokenizer.

    Printable Latin-1 characters stand for themselves; the other bytes follow from U+0100 on, in order
    (Radford et al. 2019, ``encoder.py``).
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(0x100) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + i): byte for i, byte in enumerate(rest)}

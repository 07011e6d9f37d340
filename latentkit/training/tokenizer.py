"""The tokenizer of nano: byte-level BPE, one token per digit, the chat template's special tokens."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from latentkit.errors import ArgumentError, ModelError
from latentkit.files import write_file
from latentkit.models.chat import BEGIN_TEXT, CHAT_TEMPLATE, END_TEXT, PAD, SPECIAL_TOKENS

# A word includes the space before it. A digit is separate, without a space. Punctuation marks stay together
# and include the line breaks after them. Contractions are split as in GPT-4.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)(?![\p{L}\p{M}])| ?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 4096) -> Tokenizer:
    """Train a BPE tokenizer on texts.

    Parameters
    ----------
    texts : iterable of str
        Pieces of any length; merges never cross words, so the boundaries of pieces have little effect.
    vocab_size : int
        Size of the vocabulary: 256 bytes, the merges, and the six special tokens, which come last.

    Returns
    -------
    tokenizers.Tokenizer
        Tokenizer that puts ``<|begin_text|>`` before a text, unless it is called with
        ``add_special_tokens=False``.

    Raises
    ------
    ArgumentError
        If `vocab_size` is too small for bytes and special tokens, or too large for the texts.
    """
    least = 256 + len(SPECIAL_TOKENS)
    if vocab_size < least:
        raise ArgumentError(
            f"A vocabulary of {vocab_size} entries is too small: 256 bytes and {len(SPECIAL_TOKENS)} "
            f"special tokens need {least}. Pass vocab_size={least} or more."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    if tokenizer.get_vocab_size() != vocab_size:
        raise ArgumentError(
            f"The texts yield only {tokenizer.get_vocab_size()} of {vocab_size} vocabulary entries. "
            "Pass more text, or a smaller vocab_size."
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN_TEXT} $A",
        pair="$A $B",
        special_tokens=[(BEGIN_TEXT, tokenizer.token_to_id(BEGIN_TEXT))],
    )
    return tokenizer


def with_words(tokenizer: Tokenizer, words: Iterable[str], *, most: int) -> Tokenizer:
    """Return a tokenizer with further words as tokens; all other text keeps its token ids.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        From `train_tokenizer`.
    words : iterable of str
        Each word of each text becomes a token, together with the space before it.
    most : int
        Size of the vocabulary at which further words are left out.

    Returns
    -------
    tokenizers.Tokenizer
        The new entries follow the special tokens. They are found by comparison with whole words
        (``ignore_merges``), so they need no merges, and words that only contain them stay as they were.

    Examples
    --------
    >>> short = train_tokenizer(["aaaa bbbb " * 9], vocab_size=266)
    >>> longer = with_words(short, [" Paris"], most=300)
    >>> longer.encode(" Paris", add_special_tokens=False).ids == [short.get_vocab_size()]
    True
    >>> longer.encode(" Parisian").ids == short.encode(" Parisian").ids
    True
    """
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    content["model"]["ignore_merges"] = True
    entries: dict[str, int] = content["model"]["vocab"]
    entries |= {token["content"]: token["id"] for token in content["added_tokens"]}
    for text in words:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text):
            if len(entries) < most:
                entries.setdefault(word, len(entries))
    return Tokenizer.from_str(json.dumps(content))


def save_tokenizer(tokenizer: Tokenizer, folder: str | Path, *, context_length: int = 1024) -> None:
    """Write the three files that transformers' ``PreTrainedTokenizerFast`` reads.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        From `train_tokenizer`.
    folder : path
        Created if it does not exist.
    context_length : int
        Longest text in tokens, written as ``model_max_length``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = {"bos_token": BEGIN_TEXT, "eos_token": END_TEXT, "pad_token": PAD}
    config = {
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): _added_token(token) for token in SPECIAL_TOKENS
        },
        **names,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids"],
        "model_max_length": context_length,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    tokenizer.save(str(folder / FILES[0]), pretty=False)
    for name, content in ((FILES[1], config), (FILES[2], names)):
        write_file(folder / name, json.dumps(content, indent=2) + "\n")


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read ``tokenizer.json`` from a folder (or that file itself).

    Raises
    ------
    ModelError
        If the file does not exist.
    """
    path = Path(path)
    file = path / FILES[0] if path.is_dir() else path
    if not file.is_file():
        raise ModelError(
            f"No tokenizer at '{file}'. Train one with `latentkit train --tokenizer new`, "
            "or pass a folder that holds tokenizer.json."
        )
    return Tokenizer.from_file(str(file))


def _added_token(token: str) -> dict[str, object]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {"content": token, **flags, "special": True}

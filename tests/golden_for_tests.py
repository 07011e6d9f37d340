"""Where the reference numbers lie, and a tokenizer that answers from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
PUBLISHED = json.loads((GOLDEN / "prompts.json").read_text(encoding="utf-8"))


class RecordedTokenizer:
    """The released tokenizer, reduced to the texts of golden/released_tokenizer.json.

    A text that was not recorded raises KeyError: the rendered prompt differs from the published one.
    """

    def __init__(self) -> None:
        from transformers import PreTrainedTokenizerFast

        from latentkit.models.loading import NANO

        recorded = json.loads((GOLDEN / "released_tokenizer.json").read_text(encoding="utf-8"))
        self.chat_template: str = recorded["chat_template"]
        self.bos_token_id: int = recorded["bos_token_id"]
        self.eos_token_id: int = recorded["eos_token_id"]
        self._ids = {entry["text"]: entry["token_ids"] for entry in recorded["texts"]}
        self._tokens = {int(token_id): token for token_id, token in recorded["tokens"].items()}
        # Renders templates and joins byte-level tokens; its vocabulary is not used.
        self._renderer = PreTrainedTokenizerFast.from_pretrained(NANO)
        self.added_tokens_decoder = self._renderer.added_tokens_decoder

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": list(self._ids[text])}

    def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> Any:
        return self._renderer.apply_chat_template(messages, chat_template=self.chat_template, **options)

    def get_vocab(self) -> dict[str, int]:
        return {token: token_id for token_id, token in self._tokens.items()}

    def convert_ids_to_tokens(self, token_id: int) -> str:
        return self._tokens[token_id]

    def decode(self, token_ids: list[int], **_: Any) -> str:
        return self._renderer.backend_tokenizer.decoder.decode([self._tokens[i] for i in token_ids])

"""The prompts of a sweep: their labels, their token ids, and the batches in which they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentkit.arguments import shown_value
from latentkit.errors import ArgumentError, LatentkitError
from latentkit.run.prompting import encode, prompt_json

__all__ = ["PromptTable", "batches", "read_prompts", "token_counts"]

_OPTIONS = ("prompt", "system", "chat")  # columns that belong to the run; all others are labels
_COLUMN = (list, tuple, range, np.ndarray)
_BATCH_TOKENS = 512
_BATCH_PROMPTS = 32


@dataclass(frozen=True)
class PromptTable:
    """Prompts and their labels.

    Attributes
    ----------
    prompts : list of dict
        ``prompt``, ``system`` and ``chat`` of each, as the ``run_*`` functions take them.
    labels : dict of str to array
        The other columns, one value for each prompt.
    """

    prompts: list[dict[str, Any]]
    labels: dict[str, np.ndarray[Any, Any]]

    @property
    def texts(self) -> list[str]:
        """Each prompt with its options, as JSON."""
        return [prompt_json(**each, new_tokens=0) for each in self.prompts]


def read_prompts(given: Any) -> PromptTable:
    """Return the prompts of a list, of a table of columns, or of a pandas DataFrame.

    Raises
    ------
    ArgumentError
        If there are no prompts, the table has no column ``prompt``, or its columns differ in length.
    """
    columns = _columns(given)
    if "prompt" not in columns:
        names = ", ".join(map(repr, columns))
        msg = f"The table of prompts has the columns {names}; name one of them 'prompt'."
        raise ArgumentError(msg)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1 or not lengths["prompt"]:
        msg = f"The columns of the prompts have the lengths {lengths}; pass at least one prompt, all equal."
        raise ArgumentError(msg)
    systems = columns.get("system", [None] * lengths["prompt"])
    chats = columns.get("chat", [False] * lengths["prompt"])
    prompts = [
        {"prompt": prompt, "system": _given(system), "chat": bool(chat)}
        for prompt, system, chat in zip(columns["prompt"], systems, chats, strict=True)
    ]
    labels = {name: _label(name, values) for name, values in columns.items() if name not in _OPTIONS}
    return PromptTable(prompts, labels)


def _columns(given: Any) -> dict[str, list[Any]]:
    if hasattr(given, "to_dict") and hasattr(given, "columns"):  # a pandas DataFrame
        return {str(name): list(given[name]) for name in given.columns}
    if isinstance(given, Mapping) and all(isinstance(column, _COLUMN) for column in given.values()):
        return {str(name): list(values) for name, values in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, (str, bytes)):
        return {"prompt": list(given)}
    msg = (
        f"prompts is {shown_value(given)}; pass a list of prompts, or a table (a mapping of columns or a "
        "pandas DataFrame) with a column 'prompt'."
    )
    raise ArgumentError(msg)


def _given(value: Any) -> Any:
    """Return None for an empty cell of a table."""
    empty = value is None or value == "" or (isinstance(value, float) and np.isnan(value))
    return None if empty else value


def _label(name: str, values: list[Any]) -> np.ndarray[Any, Any]:
    if not name.isidentifier():
        msg = f"The column {name!r} cannot name a coordinate; use letters, digits and underscores."
        raise ArgumentError(msg)
    found = np.asarray(values)
    if found.dtype.kind in "biuf":
        return found
    return np.array([str(value) for value in values], dtype=object)


def token_counts(tokenizer: Any, table: PromptTable) -> list[int | None]:
    """Return the number of tokens of each prompt; None where it cannot be encoded."""

    def count(each: dict[str, Any]) -> int | None:
        try:
            return len(encode(tokenizer, **each))
        except LatentkitError:  # recorded when the prompt runs
            return None

    return [count(each) for each in table.prompts]


def batches(counts: Sequence[int | None], *, batched: bool) -> list[tuple[int, ...]]:
    """Group the numbers of the prompts; a group has one length and depends only on all the lengths.

    Parameters
    ----------
    counts : sequence of int or None
        Number of tokens of each prompt.
    batched : bool
        Whether prompts of equal length run together.

    Returns
    -------
    list of tuple of int
        In the order of their first prompts.
    """
    groups: list[list[int]] = []
    unfinished: dict[int, list[int]] = {}
    for number, count in enumerate(counts):
        if not batched or count is None:
            groups.append([number])
            continue
        group = unfinished.get(count)
        if group is None or (len(group) + 1) * count > _BATCH_TOKENS or len(group) == _BATCH_PROMPTS:
            group = unfinished[count] = []
            groups.append(group)
        group.append(number)
    return [tuple(group) for group in groups]

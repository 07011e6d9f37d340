"""Parameters of a student's questions, drawn with the course's secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from latentkit.assign.question import Question
from latentkit.errors import ArgumentError

__all__ = ["draw_parameters"]


def draw_parameters(question: Question, *, secret: bytes, student: str) -> dict[str, Any]:
    """Draw the parameters of one question for one student.

    Parameters
    ----------
    question : Question
        Its ``parameters`` hold the choices.
    secret : bytes
        Secret of the course.
    student : str
        Id from the roster.

    Returns
    -------
    dict
        One value for each parameter, chosen by HMAC-SHA256 of student, question and parameter under the
        secret.

    Raises
    ------
    ArgumentError
        If there is nothing to choose from.

    Examples
    --------
    >>> choices = {"seed": {"from": 1, "to": 9}}
    >>> question = Question("q", "00", "", "", "a", "number", "a = None", "a = 1", choices)
    >>> first, again = (draw_parameters(question, secret=b"s", student="ada") for _ in range(2))
    >>> first == again
    True
    """
    return {
        name: _chosen(choices, _number(secret, student, question.id, name), f"{question.id}: {name}")
        for name, choices in question.parameters.items()
    }


def _number(secret: bytes, *words: str) -> int:
    message = "".join(f"{len(word)}:{word}" for word in words)  # lengths: no two lists give one message
    return int.from_bytes(hmac.new(secret, message.encode(), hashlib.sha256).digest(), "big")


def _chosen(choices: Any, number: int, where: str) -> Any:
    if isinstance(choices, list) and choices:
        return choices[number % len(choices)]
    if isinstance(choices, Mapping) and set(choices) == {"from", "to"} and choices["from"] <= choices["to"]:
        return choices["from"] + number % (choices["to"] - choices["from"] + 1)
    raise ArgumentError(
        f"{where} has the choices {choices!r}. Write a list such as [1, 2], or {{from = 1, to = 9}}."
    )

"""Predictions: entered before a result is shown, and compared with it afterwards."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.classroom.card import Card
from latentkit.classroom.exercise import whole_answer
from latentkit.errors import ArgumentError
from latentkit.view.labels import visible_token

__all__ = ["Prediction", "predict"]

_entered: dict[str, Any] = {}  # by question: a prediction survives when its cell runs again


def predict(
    question: str,
    *,
    choices: Sequence[str] | None = None,
    tokens: xr.DataArray | Sequence[str] | None = None,
    low: float | None = None,
    high: float | None = None,
    said: Any = None,
) -> Prediction:
    """Ask for a prediction: a number, one of several choices, or some tokens.

    Parameters
    ----------
    question : str
        The question.
    choices : sequence of str, optional
        The answer is one of these.
    tokens : DataArray or sequence of str, optional
        The answer is some of these tokens: ``trace.token_text``, or texts, which are counted from 0.
    low, high : float, optional
        Smallest and largest number that is accepted. Without choices and tokens the answer is a number.
    said : object, optional
        The prediction, for those who type it here: a number, a choice, or positions of tokens.

    Returns
    -------
    Prediction
        Shows a field to fill in; ``compare`` says later what was right. Nothing has to be entered.

    Raises
    ------
    ArgumentError
        If both ``choices`` and ``tokens`` are given, or ``said`` is not a possible answer.

    Examples
    --------
    >>> guess = predict("How many of the 16 tokens are right?", low=0, high=16, said=5)
    >>> guess.compare(7)
    Your prediction. You said 5, it was 7.
    >>> predict("Which will be lower?", choices=["nano", "another model"]).compare("nano")
    Your prediction. You entered none. It was “nano”.
    """
    if choices is not None and tokens is not None:
        msg = "The answer is one of `choices` or some of `tokens`, not both. Pass one of them."
        raise ArgumentError(msg)
    prediction = Prediction(
        question, _options(choices, tokens), several=tokens is not None, bounds=(low, high)
    )
    if said is not None:
        _entered[question] = prediction.read(said)
    return prediction


class Prediction:
    """A question whose answer is entered before the result is shown.

    Parameters
    ----------
    question : str
        The question.
    options : dict of str, optional
        What can be chosen, and how it is shown; None for a number.
    several : bool
        Whether several options can be chosen.
    bounds : tuple of float or None
        Smallest and largest number.
    """

    def __init__(
        self,
        question: str,
        options: dict[Any, str] | None,
        *,
        several: bool,
        bounds: tuple[float | None, float | None],
    ) -> None:
        self.question = question
        self._options, self._several, self._bounds = options, several, bounds

    @property
    def said(self) -> Any:
        """The prediction: a number, a choice or a list of positions; None if nothing was entered."""
        return _entered.get(self.question)

    def compare(self, value: Any, text: str = "") -> Card:
        """Compare the prediction with the result.

        Parameters
        ----------
        value : object
            The result, in the form of the prediction: a number, a choice, or positions of tokens.
        text : str, optional
            Sentences that explain the result.

        Returns
        -------
        Card
            "You said …, it was …"; or the result alone if nothing was entered.

        Raises
        ------
        ArgumentError
            If ``value`` is not a possible answer.
        """
        was, said = self.read(value, limited=False), self.said
        if said is None:
            told = f"You entered none. It was {self._shown(was)}."
        elif said == was:
            told = f"You said {self._shown(said)}, and so it was."
        elif self._several:
            hits = len(set(said) & set(was))
            told = f"You said {self._shown(said)}, it was {self._shown(was)}: {hits} of {len(was)} found."
        else:
            told = f"You said {self._shown(said)}, it was {self._shown(was)}."
        return Card("Your prediction", f"{told}\n{text}" if text else told)

    def read(self, given: Any, *, limited: bool = True) -> Any:
        """Read an answer in the form of the prediction; `ArgumentError` if it is not a possible one."""
        if self._options is None:
            return self._number(given, limited=limited)
        if not self._several:
            if given in self._options:
                return given
            msg = f"The prediction is one of {list(self._options)}, got {given!r}."
            raise ArgumentError(msg)
        positions = [whole_answer(each) for each in np.atleast_1d(np.asarray(given)).tolist()]
        known = {each for each in positions if each is not None and each in self._options}
        if not known.issuperset(positions):
            first, last = min(self._options), max(self._options)
            msg = f"The prediction names tokens by their positions, {first} to {last}, got {given!r}."
            raise ArgumentError(msg)
        return sorted(known)

    def _number(self, given: Any, *, limited: bool) -> float | int:
        low, high = self._bounds
        try:
            number = float(given.replace(",", ".") if isinstance(given, str) else given)
        except (TypeError, ValueError):
            number = math.nan
        inside = math.isfinite(number) and (not limited or _between(number, low, high))
        if not inside:
            msg = f"The prediction is a number{_range(low, high) if limited else ''}, got {given!r}."
            raise ArgumentError(msg)
        return int(number) if number.is_integer() else number

    def _shown(self, said: Any) -> str:
        if self._options is None:
            return f"{said:.3g}" if isinstance(said, float) else f"{said}"
        if not self._several:
            return f"“{said}”"
        listed = [self._options[each] for each in said]
        return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")

    def __repr__(self) -> str:
        return f"Predict: {self.question}" + ("" if self.said is None else f" You said {self.said}.")

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        from latentkit.classroom.field import field  # widgets are loaded where they are shown

        text = f"<b>Predict first.</b> {html.escape(self.question)}"
        box = f'<div style="border-left:4px solid #7b4fa3;padding:0.4em 0.9em;max-width:46rem">{text}</div>'
        shown = field(self, self._options, several=self._several)._repr_mimebundle_(**kwargs)
        return {**(shown or {}), "text/html": box, "text/plain": repr(self)}

    def enter(self, given: Any) -> str:
        """Take an answer from the field and return what the field reports."""
        if given is None or given in ("", ()):
            _entered.pop(self.question, None)
            return ""
        try:
            _entered[self.question] = self.read(given)
        except ArgumentError as error:
            return str(error)
        return f"Noted: {self._shown(self.said)}."


def _options(choices: Sequence[str] | None, tokens: Any) -> dict[Any, str] | None:
    if choices is not None:
        return {choice: choice for choice in choices}
    if tokens is None:
        return None
    numbers = tokens["token"].values.tolist() if isinstance(tokens, xr.DataArray) else range(len(tokens))
    texts = tokens.values.tolist() if isinstance(tokens, xr.DataArray) else tokens
    return {number: f"{number} “{visible_token(text)}”" for number, text in zip(numbers, texts, strict=True)}


def _between(number: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= number) and (high is None or number <= high)


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    return f" of at least {low:g}" if low is not None else f" of at most {high:g}" if high is not None else ""

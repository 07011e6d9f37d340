"""Exercise of lesson 4: what a picture of layers can support, and what it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement
from latentkit.errors import TraceError
from latentkit.plot.layer_selection import select_layers

__all__ = ["caption_claims"]


@dataclass(frozen=True)
class _Claim:
    """A sentence of a caption, whether the picture supports it, and why."""

    text: str
    supported: bool
    why: str


def caption_claims(result: xr.Dataset) -> Exercise:
    """Ask which claims of a caption the picture of ``result`` can support.

    Parameters
    ----------
    result : Dataset
        From ``run_layer_kl(…, definition="effect")`` for one prompt; the last layer of the model is in it.

    Returns
    -------
    Exercise
        The answer names claims by their letters, as in "BD".

    Raises
    ------
    TraceError
        If ``result`` is another thing than that.
    """
    values = select_layers(result)
    layers = values["layer"].values.tolist()
    count = int(result.attrs.get("layers_of_model", 0))
    if result.attrs.get("definition") != "effect" or "prompt" in result.dims or count - 1 not in layers:
        msg = (
            "This exercise needs the effect of layers on one prompt, with the model's last layer among them. "
            'Run `run_layer_kl` with definition="effect" and -1 among layers=.'
        )
        raise TraceError(msg)
    claims = _claims(values, count)
    letters = [chr(ord("A") + number) for number in range(len(claims))]
    right = {letter for letter, claim in zip(letters, claims, strict=True) if claim.supported}
    listed = "\n".join(f"{letter}. {claim.text}" for letter, claim in zip(letters, claims, strict=True))
    because = dict(zip(letters, (claim.why for claim in claims), strict=True))

    def judge(given: Any) -> Judgement:
        chosen = _letters(given)
        if chosen is None or not chosen <= set(letters):
            wanted = f'The answer names claims by letters from A to {letters[-1]}, such as "AB"'
            return False, f"{wanted}; this is {given!r}."
        if wrong := sorted(chosen - right):
            return False, f"{wrong[0]} claims more than the picture shows: {because[wrong[0]]}"
        if missing := len(right - chosen):
            more = "one more claim" if missing == 1 else f"{missing} more claims"
            return False, f"What you named is supported; the picture supports {more}."
        reasons = "\n".join(f"{letter}: {because[letter]}" for letter in sorted(right))
        return True, f"The picture shows this and no more.\n{reasons}"

    return Exercise(
        question=(
            "A paper prints this picture, with these sentences below it. Which of them does the picture "
            f'support by itself? Answer with their letters, as in "AB".\n{listed}'
        ),
        clue=(
            "Ask of each sentence: which cells would I compare, are they all drawn, and could these cells "
            "look the same though the sentence is false? A sentence with “because”, “stores” or “models” in "
            "it needs more than one picture."
        ),
        worked=(
            f"{', '.join(sorted(right))}.\n"
            + "\n".join(
                f"{letter}: {'yes' if letter in right else 'no'}. {because[letter]}" for letter in letters
            )
        ),
        judge=judge,
    )


def _claims(values: xr.DataArray, count: int) -> list[_Claim]:
    """Seven sentences about the cells that are there; two of them depend on which rows were asked for."""
    layers = values["layer"].values.tolist()
    table = values.values
    row, column = np.unravel_index(np.nanargmax(table), table.shape)
    cell = f"layer {layers[row]} at Gen{values['generated_token'].values[column]}"
    strongest = layers[int(np.nanargmax(table.mean(1)))]
    last = float(table[layers.index(count - 1)].max())
    everything, in_order = len(layers) == count, layers == sorted(layers)
    return [
        _Claim(
            "Going down the picture, one goes deeper into the model.",
            in_order,
            "the rows stand in the order of the layers."
            if in_order
            else "the rows stand in the order that was asked for, and the ticks say which layer is which.",
        ),
        _Claim(
            f"Of the cells that are drawn, {cell} has the largest KL.",
            True,
            "it is the darkest cell, and nothing else is claimed.",
        ),
        _Claim(
            f"No layer of the model has a larger mean effect than layer {strongest}.",
            everything,
            f"all {count} layers are drawn."
            if everything
            else f"{len(layers)} of {count} layers are drawn; the others may be anything.",
        ),
        _Claim(
            f"Layer {strongest} stores what the model knows about these words.",
            False,
            "the KL says how much the prediction changes without the layer, not what is kept there. In nano "
            "the same weights give a large effect at one place and next to none at another.",
        ),
        _Claim(
            "This is not the logit lens held against the final prediction, for the row of layer "
            f"{count - 1} is not 0.",
            last > 0,
            f"in that comparison the last layer is held against itself and is 0; here it reaches {last:.2g}.",
        ),
        _Claim(
            "The columns differ because the model becomes surer with every token it writes.",
            False,
            "the picture shows that columns differ, not why; one would have to measure how sure it is.",
        ),
        _Claim(
            f"In language models of {count} layers, layer {strongest} matters most.",
            False,
            "this is one model and one text, without an interval over texts.",
        ),
    ]


def _letters(given: Any) -> set[str] | None:
    """Read "BE", "b, e", ["B", "E"] or {"B", "E"} as a set of letters."""
    parts = [given] if isinstance(given, str) else given
    if not isinstance(parts, (list, tuple, set, frozenset)) or not all(isinstance(one, str) for one in parts):
        return None
    found = {letter for letter in "".join(parts).upper() if not (letter.isspace() or letter in ",;.+&")}
    return found or None

"""Lesson 4: the signs of the published picture of layers, and three exercises."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.errors import ArgumentError, TraceError
from latentkit.view.layers import select_layers

__all__ = ["caption_claims", "needed_layers", "pale_ends", "picture_signs"]

_FIRST, _LAST = 0, 27  # outer rows of the published picture, which has nine rows


def picture_signs(result: xr.Dataset) -> xr.Dataset:
    """Return which signs of the published picture of layers a result shows.

    Parameters
    ----------
    result : Dataset
        From a ``run_layer_*`` function, with layers 0 and 27 and some between them; other layers do not
        count. A dimension ``prompt`` stays.

    Returns
    -------
    Dataset of bool
        ``ends``: layers 0 and 27 have the two smallest means over the tokens. ``column``: Gen0 has the
        largest mean over the layers. ``peak``: the largest cell is in column Gen0 and in neither layer 0 nor
        layer 27.

    Raises
    ------
    TraceError
        If layer 0 or 27 is missing, or there is no other layer.

    Examples
    --------
    >>> cells = [[0.1, 0.1], [1.4, 0.9], [0.3, 0.2]]
    >>> shown = xr.Dataset({"kl": (("layer", "generated_token"), cells)}, {"layer": [0, 15, 27]})
    >>> {name: bool(found) for name, found in picture_signs(shown).items()}
    {'ends': True, 'column': True, 'peak': True}
    """
    kl = result["kl"].where(result["layer"] <= _LAST, drop=True)
    middle = kl.where((kl["layer"] > _FIRST) & (kl["layer"] < _LAST), drop=True)
    if not {_FIRST, _LAST} <= set(kl["layer"].values.tolist()) or not middle.sizes["layer"]:
        msg = f"These signs compare layers 0 and 27 with others, got {kl['layer'].values.tolist()}."
        raise TraceError(msg + " Pass a result that holds them.")
    both = ["layer", "generated_token"]
    rows, columns = kl.mean("generated_token"), kl.mean("layer")
    outer = rows.sel(layer=[_FIRST, _LAST]).max("layer")
    return xr.Dataset(
        {
            "ends": outer < middle.mean("generated_token").min("layer"),
            "column": columns.argmax("generated_token") == 0,
            "peak": middle.isel(generated_token=0).max("layer") >= kl.max(both),
        }
    )


def caption_claims(result: xr.Dataset) -> Exercise:
    """Ask which claims of a caption the picture of ``result`` can support.

    Parameters
    ----------
    result : Dataset
        From ``run_layer_effect`` for one prompt; it includes the model's last layer.

    Returns
    -------
    Exercise
        The answer names claims by their letters, as in "BD".

    Raises
    ------
    TraceError
        If ``result`` is something else.
    """
    values = select_layers(result)
    layers = values["layer"].values.tolist()
    count = int(result.attrs.get("layers_of_model", 0))
    if result.attrs.get("definition") != "effect" or "prompt" in result.dims or count - 1 not in layers:
        msg = (
            "This exercise needs the effect of layers on one prompt, with the model's last layer among them. "
            "Run `run_layer_effect` with -1 among layers=."
        )
        raise TraceError(msg)
    return claims_exercise(
        "A paper prints this picture, with these sentences below it. Which of them does the picture support "
        'by itself? Answer with their letters, as in "AB".',
        _claims(values, count),
        clue=(
            "Ask of each sentence: which cells would I compare, and are they all drawn?",
            "Could these cells look the same though the sentence is false? Then it is not supported.",
            "A sentence with “because”, “stores” or “models” in it needs more than one picture.",
        ),
    )


def needed_layers(result: xr.Dataset, *, threshold: float) -> Exercise:
    """Ask for the layers whose mean effect over the tokens exceeds a threshold.

    Parameters
    ----------
    result : Dataset
        From ``run_layer_effect`` for one prompt, with all layers.
    threshold : float
        In nats.

    Raises
    ------
    ArgumentError
        If no layer, or every layer, exceeds the threshold.
    """
    kl = select_layers(result)
    layers, mean = kl["layer"].values.tolist(), kl.mean("generated_token").values
    above = {layer for layer, value in zip(layers, mean, strict=True) if value > threshold}
    if not 0 < len(above) < len(layers):
        msg = f"threshold is {threshold!r}; pass one between {mean.min():.3g} and {mean.max():.3g}."
        raise ArgumentError(msg)
    anywhere = {layer for layer, row in zip(layers, kl.values, strict=True) if (row > threshold).any()}
    value_of = dict(zip(layers, mean.tolist(), strict=True))

    def judge(given: Any) -> Judgement:
        named = _layer_set(given)
        if named is None or not named <= set(layers):
            got = "these are True and False" if _is_mask(given) else f"this is {given!r}"
            return False, f"The answer is a list of layer numbers from 0 to {max(layers)}; {got}."
        if named == above:
            return True, f"{len(above)} of {len(layers)} layers have a mean effect above {threshold:g} nats."
        if named == anywhere:
            return (
                False,
                "These layers exceed the threshold for at least one token. Compare the mean of each row.",
            )
        if named == set(layers) - above:
            return False, "These are the layers that stay below the threshold."
        if wrong := sorted(named - above):
            value = value_of[wrong[0]]
            return False, f"Layer {wrong[0]} is in your list; its mean over the tokens is {value:.3g} nats."
        return (
            False,
            f"All layers of your list ({len(named)}) exceed the threshold, but others do, too.",
        )

    return Exercise(
        f"Of which of the {len(layers)} layers does the mean effect exceed {threshold:g} nats?",
        (
            'One number for each layer is a mean over the tokens: `.mean("generated_token")`.',
            "Compare these numbers with the threshold: the result is True or False for each layer.",
            'The layer numbers are `mean["layer"].values`; True and False select from them in brackets.',
        ),
        judge=judge,
    )


def pale_ends(trials: xr.Dataset, *, last: int, searched: int) -> Exercise:
    """Ask for how many new prompts the first and the last row have the two smallest means.

    Parameters
    ----------
    trials : Dataset
        From ``run_layer_effect`` for several prompts.
    last : int
        Layer that counts as the last row, below seven others.
    searched : int
        How many prompts come first that do not count.
    """
    kl = trials["kl"].transpose("prompt", "layer", "generated_token")
    between = [each for each in kl["layer"].values.tolist() if 0 < each < _LAST]
    means = kl.mean("generated_token")
    rows = means.sel(layer=between).min("layer")
    pale = (means.sel(layer=[0, last]).max("layer") < rows).values
    first = (means.sel(layer=0) < np.minimum(rows, means.sel(layer=last))).values
    answer, of = int(pale[searched:].sum()), len(pale) - searched
    every = means.drop_sel(layer=[0, last]).min("layer")
    crowded = int((means.sel(layer=[0, last]).max("layer") < every).values[searched:].sum())

    def judge(given: Any) -> Judgement:
        count = whole_answer(given)
        if count is None or not 0 <= count <= len(pale):
            return False, f"The answer is a number of prompts, from 0 to {of}; this is {given!r}."
        if count == answer:
            return (
                True,
                f"With layer {last} as the last row, both ends are pale on {answer} of {of} new prompts.",
            )
        if count == int(pale.sum()):
            return (
                False,
                f"This counts all {len(pale)} prompts. The first {searched} were searched; leave them out.",
            )
        if count == int(first[searched:].sum()):
            return (
                False,
                "This counts prompts on which layer 0 is the palest. Both ends must be paler.",
            )
        if count == crowded:
            return False, f"The result has ten layers. Compare with the seven between 0 and {_LAST} only."
        return (
            False,
            "Check one prompt by hand: are the means of both ends below the smallest of the seven others?",
        )

    return Exercise(
        f"On how many of the {of} new prompts are layers 0 and {last} paler than the seven layers between?",
        (
            "Work with the means over the tokens: one number for each prompt and layer.",
            "Both ends are paler if the larger of the two is below the smallest of the seven others.",
            f"Select by layer number, `.sel(layer=[0, {last}])`, and prompts by position, `.isel(prompt=…)`.",
        ),
        judge=judge,
    )


def _is_mask(given: Any) -> bool:
    """Whether an answer is an array or a list of True and False."""
    return not isinstance(given, (set, frozenset)) and np.asarray(given).dtype == bool


def _layer_set(given: Any) -> set[int] | None:
    """Read a list or a set of layer numbers."""
    listed = sorted(given, key=repr) if isinstance(given, (set, frozenset)) else given
    try:
        parts = [whole_answer(each) for each in np.asarray(listed).ravel().tolist()]
    except (TypeError, ValueError):
        return None
    return None if not parts or None in parts else {each for each in parts if each is not None}


def _claims(values: xr.DataArray, count: int) -> list[Claim]:
    """Seven claims about the cells; two of them depend on the rows that were asked for."""
    layers = values["layer"].values.tolist()
    table = values.values
    row, column = np.unravel_index(np.nanargmax(table), table.shape)
    cell = f"layer {layers[row]} at Gen{values['generated_token'].values[column]}"
    strongest = layers[int(np.nanargmax(table.mean(1)))]
    last = float(table[layers.index(count - 1)].max())
    everything, in_order = len(layers) == count, layers == sorted(layers)
    return [
        Claim(
            "Going down the picture, one goes deeper into the model.",
            in_order,
            "the rows stand in the order of the layers."
            if in_order
            else "the rows stand in the order that was asked for, and the ticks say which layer is which.",
        ),
        Claim(
            f"Of the cells that are drawn, {cell} has the largest KL.",
            True,
            "it is the darkest cell, and nothing else is claimed.",
        ),
        Claim(
            f"No layer of the model has a larger mean effect than layer {strongest}.",
            everything,
            f"all {count} layers are drawn."
            if everything
            else f"{len(layers)} of {count} layers are drawn; the others may be anything.",
        ),
        Claim(
            f"Layer {strongest} stores what the model knows about these words.",
            False,
            "the KL says how much the prediction changes without the layer, not what the layer stores. In "
            "nano the same weights have a large effect at one iteration and almost none at another.",
        ),
        Claim(
            "This is not the logit lens compared with the final prediction: the row of layer "
            f"{count - 1} is not 0.",
            last > 0,
            f"there the last layer is compared with itself and is 0; here it reaches {last:.2g}.",
        ),
        Claim(
            "The columns differ because the model becomes more certain with every token it writes.",
            False,
            "the picture shows that the columns differ, not why; one would have to measure the certainty.",
        ),
        Claim(
            f"In language models of {count} layers, layer {strongest} matters most.",
            False,
            "this is one model and one text, without an interval over texts.",
        ),
    ]

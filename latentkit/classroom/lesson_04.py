"""Exercise of lesson 4: which claims a picture of layers supports."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.classroom.exercise import Exercise
from latentkit.errors import TraceError
from latentkit.view.layers import select_layers

__all__ = ["caption_claims"]


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
            "Ask of each sentence: which cells would I compare, are they all drawn, and could these cells "
            "look the same though the sentence is false? A sentence with “because”, “stores” or “models” in "
            "it needs more than one picture."
        ),
    )


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
            "nano the same weights have a large effect at one position and almost none at another.",
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

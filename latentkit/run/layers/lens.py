"""`run_layer_lens`: what each layer predicts, read out by the final norm and the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from latentkit.arguments import one_of
from latentkit.models.layered.unrolled import Layer
from latentkit.run.layers.comparison import prepare
from latentkit.run.layers.continuation import LayerRun, compare
from latentkit.run.layers.table import Definition
from latentkit.run.prompting import Prompt

__all__ = ["run_layer_lens"]

REFERENCES = ("final", "previous", "previous_iteration")


def run_layer_lens(
    model: Any,
    prompt: Prompt | Sequence[Prompt],
    *,
    reference: str = "final",
    new_tokens: int = 5,
    layers: Sequence[int] | None = None,
    divergence: str = "kl",
    units: str = "nats",
    continuation: Sequence[int] | None = None,
    iterations: int | None = None,
    seed: int | None = 0,
    system: str | None = None,
    chat: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Measure how far each layer's own prediction is from the model's, or from the layer before.

    The value is KL(p_reference ‖ q_layer), where q = softmax(head(norm(h))) is the logit lens. After a whole
    iteration of a recurrent-depth model q is the model's own readout.

    Parameters
    ----------
    model, prompt
        As in `run_layer_effect`.
    reference : {"final", "previous", "previous_iteration"}
        The model's prediction, that of the layer before (none for layer 0: NaN), or that of the same block
        one iteration earlier (NaN where there is none).
    new_tokens, layers, divergence, units, continuation, iterations, seed, system, chat, progress
        As in `run_layer_effect`.

    Returns
    -------
    Dataset [layer, generated_token]
        As from `run_layer_effect`, with the coordinate ``lens``: "logit", or "coda" for the model's own
        readout. With ``reference="final"`` the last row is exactly 0.

    Raises
    ------
    ArgumentError, PromptError, ModelError
        As `run_layer_effect`.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> result = lk.run_layer_lens(model, "Hello", new_tokens=2, layers=[27, 0], progress=False)
    >>> dict(result.sizes), result.layer.values.tolist(), bool((result.kl.sel(layer=27) == 0).all())
    ({'layer': 2, 'generated_token': 2}, [27, 0], True)
    """
    one_of("reference", reference, REFERENCES)
    comparison = prepare(
        model, prompt, new_tokens=new_tokens, layers=layers, divergence=divergence, units=units,
        continuation=continuation, iterations=iterations, seed=seed, system=system, chat=chat,
        progress=progress,
    )  # fmt: skip
    words = reference.replace("_", " ")
    return comparison.run(
        lambda run, _bar: _lens(run, reference, divergence),
        Definition("lens", words, "layer", {"reference": reference}, blank_rows=reference != "final"),
    )


def _lens(run: LayerRun, reference: str, divergence: str) -> Tensor:
    """Read every layer out and compare it with its reference."""
    before = {index: _reference_layer(run.model.layers, index, reference) for index in run.layers}
    earlier = {index for index in before.values() if index is not None}
    read, final = run.read([*run.layers, *earlier])
    approximation = torch.stack([read[index] for index in run.layers])
    if reference == "final":
        return compare(run, final, approximation, divergence)
    values = torch.full(approximation.shape[:2], torch.nan, dtype=torch.float64)
    rows = [row for row, index in enumerate(run.layers) if before[index] is not None]
    if rows:
        references = torch.stack(
            [read[index] for row in rows if (index := before[run.layers[row]]) is not None]
        )
        values[rows] = compare(run, references, approximation[rows], divergence)
    return values


def _reference_layer(layers: Sequence[Layer], index: int, reference: str) -> int | None:
    """Return the layer that a layer is compared with; None where there is none, or for "final"."""
    if reference == "previous":
        return index - 1 if index else None
    if reference == "previous_iteration" and layers[index].iteration > 1:
        wanted = replace(layers[index], index=0, iteration=layers[index].iteration - 1)
        return next((one.index for one in layers if replace(one, index=0) == wanted), None)
    return None

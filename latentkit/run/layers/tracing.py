"""`run_layer_kl`: what each layer adds to, or already knows of, the tokens that a model writes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.models.depth import unroll
from latentkit.run.arguments import check_token_ids, seed_or_none, whole_number
from latentkit.run.layers.arguments import (
    Asked,
    check_asked,
    checked_continuation,
    chosen_layers,
    is_several,
    other_run,
)
from latentkit.run.layers.continuation import LayerRun, refuse_too_large
from latentkit.run.layers.definitions import effect, lens
from latentkit.run.layers.interventions import intervention
from latentkit.run.layers.table import describing_attrs, finished_values, layer_dataset
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json
from latentkit.run.provenance import provenance

__all__ = ["run_layer_kl"]


def run_layer_kl(
    model: Any,
    prompt: Prompt | Sequence[Prompt],
    *,
    new_tokens: int = 5,
    layers: Sequence[int] | None = None,
    definition: str = "effect",
    do: Any = "skip",
    value: Any = None,
    reference: str = "final",
    source: Any = None,
    divergence: str = "kl",
    units: str = "nats",
    continuation: Sequence[int] | None = None,
    iterations: int | None = None,
    seed: int | None = 0,
    system: str | None = None,
    chat: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Compare predictions layer by layer, for each token that the model writes.

    The model first continues the prompt greedily. *Gen t* is the distribution that emits the t-th new token,
    read at the position before it. Three definitions answer three questions:

    * "effect": KL(p_clean ‖ p_do(layer)), on the clean tokens. How much does the prediction need this layer?
    * "lens": KL(p_final ‖ q_layer), where q = softmax(head(norm(h))). How far is this layer's own guess from
      the end, or from the layer before?
    * "two_runs": KL(q_layer of this run ‖ q_layer of the other). From which layer on do two runs differ?

    Parameters
    ----------
    model : CausalModel or HuginnModel
        From ``load_model``. Of a recurrent-depth model a layer is one block at one iteration.
    prompt : str, list of messages, list of int, or a list of such prompts
        As for ``run_recurrence``. Several prompts add a dimension ``prompt``, and the mean over them with
        its 95 % interval.
    new_tokens : int
        Columns. Stop tokens do not end them.
    layers : sequence of int, optional
        Layers in the order wanted, counted from 0; negative ones count from the end. All by default.
    definition : {"effect", "lens", "two_runs"}
    do : str or callable
        For "effect": a name in `latentkit.run.INTERVENTIONS` ("skip", "zero_attention", "noise", "patch", …)
        or a function of an `Intervened` block that returns the state after it.
    value : optional
        What ``do`` needs: a vector for "add", a number for "noise", a slice of tokens for "knock_out".
    reference : {"final", "previous", "previous_iteration"}
        For "lens": the model's prediction, that of the layer before (none for layer 0: NaN), or that of the
        same block one iteration earlier (NaN where there is none).
    source : prompt, model, or int
        For "two_runs" the other run: another prompt of as many tokens, another model with the same
        vocabulary, or another number of iterations (layers of the core are then paired from its end).
        For ``do="patch"`` the other prompt.
    divergence : str
        A key of `latentkit.criteria.DIVERGENCES`; it names the variable.
    units : {"nats", "bits"}
    continuation : sequence of int, optional
        Token ids to go on with, instead of the model's own greedy choice; ``new_tokens`` is then their
        number.
    iterations : int, optional
        Of a recurrent-depth model. None: as many as make 28 layers, the depth of the published figure.
    seed : int or None
        Of the initial state of a recurrent-depth model; None starts from zeros.
    system, chat
        As for ``run_recurrence``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [layer, generated_token]
        ``kl``, with the true index of each layer, its stack, iteration, block and lens, and the text and id
        of each new token. For several prompts [prompt, layer, generated_token], and ``kl_mean``, ``kl_low``,
        ``kl_high`` [layer, generated_token].

    Raises
    ------
    ArgumentError, PromptError
        If an argument has no meaning here; for ``layers`` the message names the valid range.
    ModelError
        If the model's blocks cannot be seen, or a prediction is not finite.

    Notes
    -----
    The whole sequence is read in one pass, which equals step-by-step decoding. For "effect" each layer starts
    from the clean states before it, so that nothing below is computed again.

    An interrupt (Ctrl-C) during "effect" keeps the layers that are there, with a warning; others are NaN.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> result = lk.run_layer_kl(
    ...     model, "Hello", new_tokens=2, layers=[27, 0], definition="lens", progress=False
    ... )
    >>> dict(result.sizes), result.layer.values.tolist(), bool((result.kl.sel(layer=27) == 0).all())
    ({'layer': 2, 'generated_token': 2}, [27, 0], True)
    """
    asked = Asked(definition, do, value, reference, source, divergence, units)
    check_asked(asked)
    if iterations is not None:
        iterations = whole_number("iterations", iterations, least=1)
    seed = seed_or_none(seed)
    given = None if continuation is None else checked_continuation(list(continuation))
    new_tokens = whole_number("new_tokens", new_tokens, least=1) if given is None else len(given)
    unrolled = unroll(model, iterations=iterations, seed=seed)
    chosen = chosen_layers(layers, len(unrolled.layers))
    several = is_several(prompt)
    prompts: list[Any] = list(prompt) if several else [prompt]
    encoded = [encode(model.tokenizer, one, system=system, chat=chat) for one in prompts]
    for ids in encoded:
        check_token_ids(model, ids, new_tokens)
    if given is not None:
        check_token_ids(model, given, 0)
    like = {"system": system, "chat": chat}
    other = other_run(asked, model, unrolled, iterations=iterations, seed=seed, like=like)
    action = (
        intervention(do, value, source, [len(ids) for ids in encoded]) if definition == "effect" else None
    )
    sequences = []
    tables = []
    with Progress(len(prompts) * (len(chosen) if action else 1), model.name, visible=progress) as bar:
        for ids in encoded:
            new = given or unrolled.greedy(ids, new_tokens)
            run = LayerRun(unrolled, ids, new, chosen)
            refuse_too_large(model, run)
            sequences.append(new)
            values = effect(run, asked, action, other, bar) if action else lens(run, asked, other, bar)
            tables.append(finished_values(values, asked, model.name, complete=not bar.stopped))
            if bar.stopped:
                break
    if bar.stopped:
        warnings.warn(
            "Interrupted: layers and prompts that were not reached are NaN or absent.", stacklevel=2
        )
    attrs = {
        **provenance(model),
        **describing_attrs(asked, unrolled),
        "seed": "zeros" if seed is None else seed,
        "interrupted": int(bar.stopped),
        "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=new_tokens),  # type: ignore[arg-type]
    }
    labels = [unrolled.layers[index] for index in chosen]
    return layer_dataset(
        np.stack(tables),
        tokenizer=model.tokenizer,
        layers=labels,
        sequences=sequences,
        asked=asked,
        attrs=attrs,
        several=several,
    )

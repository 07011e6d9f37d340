"""`run_layer_effect`: how much predictions change when something is done to one layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from latentkit.models.layered.unrolled import BlockCall
from latentkit.run.layers.comparison import prepare
from latentkit.run.layers.continuation import LayerRun, compare, need_same_length
from latentkit.run.layers.interventions import Intervention, InterventionTarget, intervention
from latentkit.run.layers.table import Definition
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt

__all__ = ["run_layer_effect"]


def run_layer_effect(
    model: Any,
    prompt: Prompt | Sequence[Prompt],
    *,
    do: Any = "skip",
    value: Any = None,
    source: Any = None,
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
    """Measure how much each layer matters for each token that the model writes.

    The model first continues the prompt greedily. *Gen t* is the distribution that emits the t-th new token,
    read at the position before it. The value is KL(p_clean ‖ p_do(layer)), both on the clean tokens.

    Parameters
    ----------
    model : CausalModel or RecurrentModel
        From ``load_model``. Of a recurrent-depth model a layer is one block at one iteration.
    prompt : str, list of messages, list of int, or a list of such prompts
        As for ``run_recurrence``. Several prompts add a dimension ``prompt``, and the mean over them with
        its 95 % interval.
    do : str or callable
        A name in `latentkit.run.INTERVENTIONS` ("skip", "zero_attention", "noise", "patch", …) or a function
        of an `InterventionTarget` that returns the state after the layer.
    value : optional
        What ``do`` needs: a vector for "add", a number for "noise", a slice of tokens for "knock_out".
    source : prompt, optional
        For ``do="patch"`` the other prompt, with as many tokens.
    new_tokens : int
        Columns. Stop tokens do not end them.
    layers : sequence of int, optional
        Layers in the order wanted, counted from 0; negative ones count from the end. All by default.
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
        ``kl``, with the true index of each layer, its stack, iteration and block, and the text and id of each
        new token. For several prompts [prompt, layer, generated_token], and ``kl_mean``, ``kl_low``,
        ``kl_high`` [layer, generated_token].

    Raises
    ------
    ArgumentError, PromptError
        If an argument is not valid; for ``layers`` the message names the valid range.
    ModelError
        If the model's blocks are not found, or a prediction is not finite.

    See Also
    --------
    run_layer_lens : What each layer predicts.
    run_layer_difference : Where two runs begin to differ.

    Notes
    -----
    The whole sequence is read in one pass, which equals step-by-step decoding. Each layer starts from the
    clean states before it, so nothing below it is computed again.

    An interrupt (Ctrl-C) keeps the layers that are finished, with a warning; others are NaN.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> result = lk.run_layer_effect(model, "Hello", new_tokens=2, layers=[27, 0], progress=False)
    >>> dict(result.sizes), result.layer.values.tolist(), bool((result.kl > 0).all())
    ({'layer': 2, 'generated_token': 2}, [27, 0], True)
    """
    comparison = prepare(
        model, prompt, new_tokens=new_tokens, layers=layers, divergence=divergence, units=units,
        continuation=continuation, iterations=iterations, seed=seed, system=system, chat=chat,
        progress=progress,
    )  # fmt: skip
    action = intervention(do, value, source, [len(ids) for ids in comparison.encoded])
    other = None if source is None else comparison.encode(source)
    name = do if isinstance(do, str) else getattr(do, "__name__", "function")
    return comparison.run(
        lambda run, bar: _effect(run, bar, _Change(action, value, other), divergence),
        Definition("effect", "clean", "intervened", {"do": name, **_strength(value)}),
        layer_by_layer=True,
    )


def _strength(value: Any) -> dict[str, str]:
    """Return the attribute of a result whose intervention takes a number."""
    return {"value": f"{value:g}"} if isinstance(value, (int, float)) else {}


@dataclass(frozen=True)
class _Change:
    """An intervention with its arguments; ``source`` is the other prompt."""

    action: Intervention
    value: Any
    source: list[int] | None

    def states(self, run: LayerRun) -> list[Tensor] | None:
        """Return the output of every layer for the other prompt, with the same continuation."""
        if self.source is None:
            return None
        need_same_length("source", run.prompt, self.source)
        return LayerRun(run.model, self.source, run.new, run.layers).states()[0]


def _effect(run: LayerRun, bar: Progress, change: _Change, divergence: str) -> Tensor:
    """Run on from each layer, with the clean states of all layers before it."""
    states, clean = run.states()
    sources = change.states(run)
    changed: list[Tensor] = []
    for row in bar.until_stopped(range(len(run.layers))):
        index = run.layers[row]

        def act(call: BlockCall, index: int = index) -> Tensor:
            if call.index != index:
                return states[call.index] if call.index < index else call.run()
            source = None if sources is None else sources[index]
            layer = run.model.layers[index]
            target = InterventionTarget(call, layer, len(run.prompt), change.value, source)
            return change.action.apply(target)

        changed.append(run.model.run(run.sequence, act)[run.positions].clone())  # no view of all positions
    values = torch.full((len(run.layers), len(run.new)), torch.nan, dtype=torch.float64)
    if changed:
        values[: len(changed)] = compare(run, clean, torch.stack(changed), divergence)
    return values

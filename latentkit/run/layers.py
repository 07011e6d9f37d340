"""`run_layer_kl`: what each layer adds to, or already knows of, the tokens that a model writes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit.errors import ArgumentError, PromptError
from latentkit.models.depth import unroll
from latentkit.models.unrolled import BlockCall, Layer, UnrolledModel
from latentkit.run.arguments import check_token_ids, refuse_beyond_memory, seed_or_none, whole_number
from latentkit.run.divergence import divergence_of_states
from latentkit.run.interventions import Intervened, Intervention, intervention
from latentkit.run.layer_arguments import (
    Asked,
    OtherRun,
    check_asked,
    checked_continuation,
    chosen_layers,
    is_several,
    other_run,
)
from latentkit.run.layer_table import describing_attrs, finished_values, layer_dataset
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
            run = _Run(unrolled, ids, new, chosen)
            _refuse_too_large(model, run)
            sequences.append(new)
            values = _effect(run, asked, action, other, bar) if action else _lens(run, asked, other, bar)
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


@dataclass(frozen=True)
class _Run:
    """One prompt with its continuation, through one model."""

    model: UnrolledModel
    prompt: list[int]
    new: list[int]
    layers: list[int]

    @property
    def sequence(self) -> list[int]:
        """What is fed: the last new token is predicted, not read."""
        return [*self.prompt, *self.new[:-1]]

    @property
    def positions(self) -> slice:
        """Where the new tokens are predicted."""
        return slice(len(self.prompt) - 1, len(self.prompt) - 1 + len(self.new))

    def read(self, wanted: Sequence[int]) -> tuple[dict[int, Tensor], Tensor]:
        """Run once; return what stands before the head [position, hidden], for some layers and at the end."""
        kept: dict[int, Tensor] = {}
        needed = set(wanted)

        def keep(call: BlockCall) -> Tensor:
            out = call.run()
            if call.index in needed:
                kept[call.index] = out[0]
            return out

        final = self.model.run(self.sequence, keep)[self.positions]
        if not kept:
            return {}, final
        read = self.model.read(kept, self.sequence, self.positions)
        return dict(zip(kept, read, strict=True)), final


def _effect(run: _Run, asked: Asked, action: Intervention, other: Any, bar: Progress) -> Tensor:
    """Run on from each layer, with the clean states of all calls before it."""
    states: list[Tensor] = []

    def keep(call: BlockCall) -> Tensor:
        states.append(call.run())
        return states[-1]

    clean = run.model.run(run.sequence, keep)[run.positions]
    sources = _states(run, other) if other is not None else None
    changed: list[Tensor] = []
    for row in bar.until_stopped(range(len(run.layers))):
        index = run.layers[row]

        def act(call: BlockCall, index: int = index) -> Tensor:
            if call.index != index:
                return states[call.index] if call.index < index else call.run()
            source = None if sources is None else sources[index]
            layer = run.model.layers[index]
            return action.apply(Intervened(call, layer, len(run.prompt), asked.value, source))

        changed.append(run.model.run(run.sequence, act)[run.positions])
    values = torch.full((len(run.layers), len(run.new)), torch.nan, dtype=torch.float64)
    if changed:
        values[: len(changed)] = _compare(run, clean, torch.stack(changed), asked.divergence)
    return values


def _states(run: _Run, other: OtherRun) -> list[Tensor]:
    """Return every state of another prompt's run, on the same continuation."""
    states: list[Tensor] = []

    def keep(call: BlockCall) -> Tensor:
        states.append(call.run())
        return states[-1]

    replace(run, prompt=_same_length(run, other)).model.run([*other.prompt, *run.new[:-1]], keep)
    return states


def _lens(run: _Run, asked: Asked, other: Any, bar: Progress) -> Tensor:
    """Compare what layers say with a reference, with the layer before, or with another run."""
    for _ in bar.until_stopped(range(1)):
        pass
    if asked.definition == "two_runs":
        return _two_runs(run, asked, other)
    before = {index: _before(run.model.layers, index, asked.reference) for index in run.layers}
    earlier = {index for index in before.values() if index is not None}
    read, final = run.read([*run.layers, *earlier])
    approximation = torch.stack([read[index] for index in run.layers])
    if asked.reference == "final":
        return _compare(run, final, approximation, asked.divergence)
    values = torch.full(approximation.shape[:2], torch.nan, dtype=torch.float64)
    rows = [row for row, index in enumerate(run.layers) if before[index] is not None]
    if rows:
        references = torch.stack(
            [read[index] for row in rows if (index := before[run.layers[row]]) is not None]
        )
        values[rows] = _compare(run, references, approximation[rows], asked.divergence)
    return values


def _before(layers: Sequence[Layer], index: int, reference: str) -> int | None:
    """Say which layer a layer is compared with; None where there is none, or where it is the model's end."""
    if reference == "previous":
        return index - 1 if index else None
    if reference == "previous_iteration" and layers[index].iteration > 1:
        wanted = replace(layers[index], index=0, iteration=layers[index].iteration - 1)
        return next((one.index for one in layers if replace(one, index=0) == wanted), None)
    return None


def _two_runs(run: _Run, asked: Asked, other: OtherRun) -> Tensor:
    """Compare each layer with its counterpart in the other run, both on this run's continuation."""
    there = replace(run, model=other.model, prompt=_same_length(run, other))
    counterpart = [_counterpart(run.model.layers, other.model.layers, index) for index in run.layers]
    read, _ = run.read(run.layers)
    read_there, _ = there.read(counterpart)
    here = torch.stack([read[index] for index in run.layers])
    approximation = torch.stack([read_there[index] for index in counterpart])
    head = None if other.model.module is run.model.module else other.model.head
    return _compare(run, here, approximation, asked.divergence, head)


def _compare(
    run: _Run, reference: Tensor, approximation: Tensor, divergence: str, other_head: Any = None
) -> Tensor:
    """Compare [layer, position, hidden] with a reference [position, hidden] or one for each layer."""
    layers, positions = approximation.shape[:2]
    pair = torch.arange(positions).repeat(layers)
    if reference.dim() == 3:
        pair = torch.arange(layers * positions)
        reference = reference.flatten(0, 1)
    rows = approximation.flatten(0, 1)
    found = divergence_of_states(run.model.head, reference, rows, pair, divergence, other_head=other_head)
    return found.view(layers, positions)


def _same_length(run: _Run, other: OtherRun) -> list[int]:
    if other.prompt and len(other.prompt) != len(run.prompt):
        msg = (
            f"The prompt has {len(run.prompt)} tokens and source has {len(other.prompt)}; two runs are "
            "compared position by position. Pass two prompts of as many tokens."
        )
        raise PromptError(msg)
    return other.prompt or run.prompt


def _counterpart(here: Sequence[Layer], there: Sequence[Layer], index: int) -> int:
    """Find the layer of the other run: same stack and block, as many iterations before the end."""
    layer = here[index]

    def from_end(layers: Sequence[Layer], one: Layer) -> int:
        return max(other.iteration for other in layers if other.stack == one.stack) - one.iteration

    for one in there:
        same = (one.stack, one.block) == (layer.stack, layer.block)
        if same and from_end(there, one) == from_end(here, layer):
            return one.index
    msg = f"{str(layer).capitalize()} has no counterpart in the other run. Choose layers= that both have."
    raise ArgumentError(msg)


def _refuse_too_large(model: Any, run: _Run) -> None:
    tokens, count = len(run.sequence), len(run.model.layers)
    estimate = 2 * tokens * count * model.hidden_size * model.dtype.itemsize
    refuse_beyond_memory(estimate, model.device, f"states of {count} layers × {tokens:,} tokens")

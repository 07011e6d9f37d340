"""`run_recurrence`: one prompt, iteration by iteration, as a labelled trace."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.run.arguments import (
    check_token_ids,
    need_recurrent,
    refuse_beyond_memory,
    seed_or_none,
    whole_number,
)
from latentkit.run.decoding.loop import greedy
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json, token_texts
from latentkit.run.provenance import provenance
from latentkit.run.recurrence.passes import measured, readouts, start_state, unroll
from latentkit.run.recurrence.perturbation import Perturbation
from latentkit.trace import build_trace

__all__ = ["run_recurrence"]


def run_recurrence(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    new_tokens: int = 0,
    iterations: int = 64,
    limit: int | None = None,
    seed: int | Sequence[int] | None = 0,
    initial_state: Any = None,
    perturb: Mapping[str, Any] | None = None,
    readout_top: int = 5,
    keep_states: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Watch a model think: every token's latent state at every iteration, as one labelled dataset.

    Parameters
    ----------
    model : RecurrentModel
        For example ``load_model("nano")``.
    prompt : str, list of messages, or list of int
        A string; chat messages (role, content), where a last assistant message is the given beginning of
        the answer and otherwise the reply header is appended; or token ids, used as given.
    system : str, optional
        A system message; the string is then the user's message.
    chat : bool
        Whether the string is a user's message rather than plain text.
    new_tokens : int
        So many tokens are first generated greedily (fewer if a stop token comes); then one pass traces
        the whole sequence.
    iterations : int
        The trace covers iterations 0 (the initial state) to this one.
    limit : int, optional
        Iteration whose state counts as the limit s*; None means max(128, iterations).
    seed : int, list of int, or None
        Of the random initial state, drawn for each position by itself; None starts from zeros. A list runs
        them one after the other and gives every variable a leading dimension ``seed``: ``trace.sel(seed=0)``
        is the trace of one of them. New tokens are then generated with the first seed.
    initial_state : array [token, hidden], optional
        Start here instead.
    perturb : mapping, optional
        Kick the state once: ``{"iteration": 20, "size": 0.5, "tokens": slice(3, 5), "seed": 0}`` adds, to x
        after iteration 20, a random direction half as long as x, at these positions (a slice, a list; all of
        them by default). `measure.trace_distance` to the run without it shows whether the state comes back.
    readout_top : int
        How many of the likeliest next tokens to keep; 0 leaves out all readouts and their cost.
    keep_states : bool
        Keep s_i itself, in float32.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [(seed,) token, iteration, rank, hidden]
        ``distance`` ‖s_i − s*‖₂, ``step_size``, ``step_cosine``; with readouts also ``readout_id``,
        ``readout_text``, ``readout_probability``, ``entropy`` and ``kl`` (nats, KL(limit ‖ i)); with
        ``keep_states`` also ``state``. Same inputs and seed give an identical dataset.

    Raises
    ------
    PromptError
        If the prompt is empty, too long, or cannot be encoded.
    ArgumentError
        If a number is out of its range, or the run would not fit into memory.
    ModelError
        If the state stops being finite.

    Notes
    -----
    An interrupt (Ctrl-C) returns what is there as a valid trace, with a warning: its limit is the last
    finished iteration, and readouts not made are -1, "" and NaN. Of several seeds the finished ones are kept.
    s_i = ln_f(x_i) is the normalised latent state; the definition follows Geiping et al. (2025),
    arXiv:2502.05171, section 7.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> trace = lk.run_recurrence(model, "Hello", iterations=4, limit=8, progress=False)
    >>> dict(trace.sizes)["iteration"]
    5
    """
    need_recurrent(model)
    iterations = whole_number("iterations", iterations, least=1)
    new_tokens = whole_number("new_tokens", new_tokens, least=0)
    readout_top = whole_number("readout_top", readout_top, least=0, most=model.vocab_size)
    limit = _limit(limit, iterations)
    seeds = _seeds(seed, initial_state)
    if initial_state is not None and new_tokens:
        msg = "initial_state= fixes the sequence's length and new_tokens= lengthens it. Pass one of them."
        raise ArgumentError(msg)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, new_tokens)
    _refuse_too_large(
        model, len(ids) + new_tokens, iterations, readout_top, keep_states=keep_states, seeds=len(seeds)
    )

    kick: Perturbation | None = None
    looks = iterations + 1 if readout_top else 0
    found: list[dict[str, np.ndarray[Any, Any]]] = []
    with Progress(new_tokens + len(seeds) * (limit + looks), model.name, visible=progress) as bar:
        generated = greedy(model, ids, new_tokens, iterations=iterations, seed=seeds[0], bar=bar)
        sequence = ids + generated
        if perturb is not None:
            kick = Perturbation.from_argument(perturb, limit=limit, tokens=len(sequence))
        context = model.embed(torch.tensor([sequence]))
        reached = limit
        for each in seeds:
            start = start_state(model, context, each, initial_state)
            run = unroll(model, context, start, bar, iterations=iterations, limit=limit, perturbation=kick)
            variables = measured(model, run, keep_states=keep_states)
            if readout_top and not bar.stopped:
                variables |= readouts(model, context, run, readout_top, bar)
            if bar.stopped and found:
                break  # an unfinished seed does not fit beside finished ones
            found.append(variables)
            reached = run.reached
            if bar.stopped:
                break
    several = isinstance(seed, Sequence)
    if bar.stopped:
        _warn_of_interrupt(seeds[: len(found)] if several else None, found[0], reached)
    attrs = {
        **provenance(model),
        "seed": _seed_attribute(seed, initial_state),
        "limit": reached,
        "interrupted": int(bar.stopped),
        "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=new_tokens),
        **({} if kick is None else {"perturb": kick.to_json()}),
    }
    return _dataset(
        model.tokenizer,
        sequence,
        _stacked(found, several=several),
        attrs,
        generated=len(generated),
        seeds=seeds[: len(found)] if several else None,
    )


def _seeds(seed: int | Sequence[int] | None, initial_state: Any) -> list[int | None]:
    """Every seed, checked."""
    if not isinstance(seed, Sequence):
        return [seed_or_none(seed)]
    seeds: list[int | None] = [whole_number("a seed of the list", each, least=0) for each in seed]
    if not seeds or len(set(seeds)) < len(seeds):
        msg = f"seed is {seed!r}; pass a list of different whole numbers, such as [0, 1, 2]."
        raise ArgumentError(msg)
    if initial_state is not None:
        msg = "initial_state= is one start and seed= a list of them. Pass one of the two."
        raise ArgumentError(msg)
    return seeds


def _seed_attribute(seed: int | Sequence[int] | None, initial_state: Any) -> int | str:
    if initial_state is not None:
        return "given"
    if seed is None:
        return "zeros"
    return "along the dimension seed" if isinstance(seed, Sequence) else seed


def _warn_of_interrupt(
    seeds: list[int | None] | None, first: Mapping[str, np.ndarray[Any, Any]], reached: int
) -> None:
    what = f"iterations 0 to {first['distance'].shape[1] - 1}, its limit is {reached}"
    of = "" if seeds is None else f" (seeds kept: {seeds})"
    warnings.warn(f"Interrupted: the trace holds {what}{of}.", stacklevel=3)


def _stacked(
    found: list[dict[str, np.ndarray[Any, Any]]], *, several: bool
) -> dict[str, np.ndarray[Any, Any]]:
    if not several:
        return found[0]
    return {name: np.stack([variables[name] for variables in found]) for name in found[0]}


def _limit(limit: int | None, iterations: int) -> int:
    if limit is None:
        return max(128, iterations)
    limit = whole_number("limit", limit, least=1, or_none=", or None for max(128, iterations)")
    if limit < iterations:
        msg = (
            f"limit is {limit} and iterations is {iterations}: states after the limit would be compared with "
            f"one before them. Pass limit >= {iterations}, or None."
        )
        raise ArgumentError(msg)
    return limit


def _refuse_too_large(
    model: RecurrentModel[Any], tokens: int, iterations: int, top: int, *, keep_states: bool, seeds: int
) -> None:
    """Estimate what is kept: raw states, the labelled arrays, and a few readouts at a time."""
    cells = tokens * (iterations + 1)
    states = cells * model.hidden_size * (model.dtype.itemsize + (4 * seeds if keep_states else 0))
    readouts = 6 * tokens * model.vocab_size * 4 if top else 0
    labelled = seeds * cells * (20 + 24 * top)
    what = f"{tokens:,} tokens × {iterations + 1:,} iterations × {model.hidden_size:,} channels"
    refuse_beyond_memory(states + readouts + labelled, model.device, what)


def _dataset(
    tokenizer: Any,
    sequence: list[int],
    variables: Mapping[str, np.ndarray[Any, Any]],
    attrs: Mapping[str, Any],
    *,
    generated: int,
    seeds: list[int | None] | None,
) -> xr.Dataset:
    """Label everything."""
    count = variables["distance"].shape[-1]
    written = np.arange(len(sequence)) >= len(sequence) - generated
    labels: dict[str, Any] = {
        "token": np.arange(len(sequence)),
        "token_text": np.array(token_texts(tokenizer, sequence), dtype=object),
        "token_id": np.array(sequence, dtype=np.int64),
        "is_generated": written,
        "iteration": np.arange(count),
        **({} if seeds is None else {"seed": np.array(seeds)}),
    }
    found = dict(variables)
    if "readout_id" in found:
        ids = found["readout_id"]
        distinct, place = np.unique(ids, return_inverse=True)
        texts = [""] if distinct[0] < 0 else []
        texts += token_texts(tokenizer, distinct[distinct >= 0].tolist())
        found["readout_text"] = np.array(texts, dtype=object)[place.reshape(ids.shape)]
    return build_trace("recurrence", labels | found, attrs)

"""`run_recurrence`: one prompt, iteration by iteration, as a labelled trace."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel, facts_of
from latentkit.run.arguments import (
    check_token_ids,
    flag,
    given_state,
    iteration_count,
    need_causal,
    need_recurrent,
    seed_list,
    seed_or_none,
    whole_number,
)
from latentkit.run.decoding.loop import greedy
from latentkit.run.facts import asked_iterations, need_starts
from latentkit.run.labelling import label, seed_attribute, token_labels
from latentkit.run.memory import activation_bytes, readout_bytes, refuse_beyond_memory
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json
from latentkit.run.provenance import provenance
from latentkit.run.recurrence.perturbation import Perturbation
from latentkit.run.recurrence.trajectory import measured_bytes, trace_starts

__all__ = ["check_limit", "check_starts", "refuse_too_large", "run_recurrence", "trace_of_starts"]

Arrays = dict[str, np.ndarray[Any, Any]]


def run_recurrence(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    new_tokens: int = 0,
    iterations: int | None = None,
    limit: int | None = None,
    seed: int | None = 0,
    seeds: Sequence[int] | None = None,
    initial_state: Any = None,
    perturb: Mapping[str, Any] | None = None,
    readout_top: int = 5,
    keep_states: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Trace every token's latent state through all iterations of a recurrent-depth model.

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
        Number of tokens to generate greedily first (fewer if a stop token comes); one pass then traces the
        whole sequence.
    iterations : int, optional
        The trace covers iterations 0 (the initial state) to this one. None: 64, or the one number that the
        model was trained with.
    limit : int, optional
        Iteration whose state is the limit s*. None: max(128, iterations), or the last iteration of the trace
        where the model was trained at one depth: its end is not a fixed point.
    seed : int or None
        Seed of the random initial state, drawn independently for each position; None starts from zeros.
    seeds : list of int, optional
        Several seeds instead of one. They run one after another, and every variable gets a leading dimension
        ``seed``: ``trace.sel(seed=0)`` is the trace of one of them. New tokens are generated with the first
        seed.
    initial_state : array [token, hidden], optional
        Initial state to use instead of a random one.
    perturb : mapping, optional
        Perturb the state once: ``{"iteration": 20, "size": 0.5, "tokens": slice(3, 5), "seed": 0}`` adds, to
        x after iteration 20, a random direction half as long as x, at these positions (a slice or a list;
        all by default). `measure.trace_distance` to the unperturbed run shows whether the state returns.
    readout_top : int
        Number of likeliest next tokens to keep; 0 leaves out all readouts and their cost.
    keep_states : bool
        Keep s_i itself, in float32.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [(seed,) token, iteration, rank, hidden]
        ``distance`` ‖s_i − s*‖₂, ``step_size``, ``step_cosine``; with readouts also ``readout_id``,
        ``readout_text``, ``readout_probability``, ``entropy`` and ``kl`` (nats, KL(limit ‖ i)); with
        ``keep_states`` also ``state``; of a model with a gate also ``exit_probability``.
        Of a model trained at one depth ``is_extrapolated`` marks the iterations beyond it. Same inputs and
        seed give an identical dataset.

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
    An interrupt (Ctrl-C) returns the finished part as a valid trace, with a warning: its limit is the last
    finished iteration, and missing readouts are -1, "" and NaN. Of several seeds the finished ones are kept.
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
    iterations = asked_iterations(model, iterations, 64)
    new_tokens = whole_number("new_tokens", new_tokens, least=0)
    if new_tokens:
        need_causal(model, "it cannot generate text token by token. Pass new_tokens=0")
    readout_top = whole_number("readout_top", readout_top, least=0, most=model.vocab_size)
    limit = check_limit(model, limit, iterations)
    starts = check_starts(model, seed, seeds, initial_state=initial_state, new_tokens=new_tokens)
    keep_states = flag("keep_states", keep_states)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, new_tokens)
    refuse_too_large(
        model, len(ids) + new_tokens, iterations, readout_top, keep_states=keep_states, seeds=len(starts)
    )
    given = None
    if initial_state is not None:
        given = given_state(model, initial_state, len(ids), "one row for each token of the sequence")
    if perturb is not None:
        Perturbation.from_argument(perturb, limit=limit, tokens=len(ids) + new_tokens)

    work = new_tokens + len(starts) * (limit + (iterations + 1 if readout_top else 0))
    with Progress(work, model.name, visible=flag("progress", progress)) as bar:
        generated = greedy(model, ids, new_tokens, iterations=iterations, seed=starts[0], bar=bar)
        sequence = ids + generated
        kick = None
        if perturb is not None:
            kick = Perturbation.from_argument(perturb, limit=limit, tokens=len(sequence))
        found, reached = trace_starts(
            model,
            model.embed(torch.tensor([sequence])),
            starts,
            bar,
            iterations=iterations,
            limit=limit,
            readout_top=readout_top,
            keep_states=keep_states,
            given=given,
            perturbation=kick,
        )
        finished = None if seeds is None else starts[: len(found)]
        if bar.stopped:
            _warn_of_interrupt(finished, found[0], reached)
        attrs = {
            **provenance(model),
            "seed": seed_attribute(model, seed, initial_state),
            "limit": reached,
            "interrupted": int(bar.stopped),
            "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=new_tokens),
            **({} if kick is None else {"perturb": kick.to_json()}),
        }
        rows = [{name: values[0] for name, values in start.items()} for start in found]
        return trace_of_starts(model, rows, sequence, attrs, prompt_tokens=len(ids), seeds=finished)


def trace_of_starts(
    model: RecurrentModel[Any],
    found: Sequence[Arrays],
    sequence: Sequence[int],
    attrs: Mapping[str, Any],
    *,
    prompt_tokens: int,
    seeds: Sequence[int | None] | None,
) -> xr.Dataset:
    """Return the trace of one sequence from its variables of each start; ``seeds`` None: of one start."""
    arrays = dict(found[0])
    attrs = dict(attrs)
    if seeds is not None:
        arrays = {name: np.stack([each[name] for each in found]) for name in arrays}
        arrays["seed"] = np.array(seeds)
        attrs["seed"] = "along the dimension seed"
    arrays |= {
        **token_labels(model.tokenizer, sequence),
        "token": np.arange(len(sequence)),
        "is_generated": np.arange(len(sequence)) >= prompt_tokens,
        "iteration": np.arange(arrays["distance"].shape[-1]),
    }
    return _labelled(model, arrays, attrs)


def _labelled(model: RecurrentModel[Any], arrays: Arrays, attrs: Mapping[str, Any]) -> xr.Dataset:
    """Label the arrays; if the model was trained at one depth, mark the iterations beyond it."""
    trained = facts_of(model).trained_iterations
    if trained is None:
        return label(model.tokenizer, "recurrence", arrays, attrs)
    arrays["is_extrapolated"] = arrays["iteration"] > trained
    trace = label(model.tokenizer, "recurrence", arrays, attrs)
    limit = attrs["limit"]  # the model was not trained to settle there
    trace["distance"].attrs["long_name"] = f"‖s_i − s_{limit}‖"
    if "kl" in trace:
        trace["kl"].attrs["long_name"] = f"KL(readout at {limit} ‖ readout at i)"
    return trace


def check_starts(
    model: RecurrentModel[Any], seed: Any, seeds: Any, *, initial_state: Any = None, new_tokens: int = 0
) -> list[int | None]:
    """Return the checked seeds of all initial states; one where the state is given."""
    if initial_state is not None and new_tokens:
        msg = "initial_state= fixes the sequence's length and new_tokens= extends it. Pass one of them."
        raise ArgumentError(msg)
    if seeds is None:
        if isinstance(seed, (Sequence, np.ndarray)) and not isinstance(seed, (str, bytes)):
            msg = f"seed is {seed!r}; pass one whole number, or a list as seeds=."
            raise ArgumentError(msg)
        return [seed_or_none(seed)]
    if seed != 0:
        msg = f"seed is {seed!r} and seeds is {seeds!r}. Pass one of them."
        raise ArgumentError(msg)
    if initial_state is not None:
        msg = "initial_state= is one start and seeds= are several. Pass one of them."
        raise ArgumentError(msg)
    offer = "Pass one seed, and perturb={'iteration': 0, 'size': 0.1} for a perturbed start."
    need_starts(model, "several seeds", offer)
    return list(seed_list(seeds))


def _warn_of_interrupt(seeds: list[int | None] | None, first: Arrays, reached: int) -> None:
    what = f"iterations 0 to {first['distance'].shape[-1] - 1}, its limit is {reached}"
    of = "" if seeds is None else f" (seeds kept: {seeds})"
    warnings.warn(f"Interrupted: the trace holds {what}{of}.", stacklevel=3)


def check_limit(model: RecurrentModel[Any], limit: int | None, iterations: int) -> int:
    """Return the checked iteration of the limit."""
    if limit is None:
        return max(128, iterations) if facts_of(model).trained_iterations is None else iterations
    limit = iteration_count("limit", limit, or_none=", or None for max(128, iterations)")
    if limit < iterations:
        msg = (
            f"limit is {limit} and iterations is {iterations}: states after the limit would be compared with "
            f"one before them. Pass limit >= {iterations}, or None."
        )
        raise ArgumentError(msg)
    return limit


def refuse_too_large(
    model: RecurrentModel[Any], tokens: int, iterations: int, top: int, *, keep_states: bool, seeds: int
) -> None:
    """Refuse a trace that does not fit into memory.

    It holds the raw states, the arrays of every start, and the largest of what a step, a chunk of
    measurements and the statistics of a readout need beside them.
    """
    cells = tokens * (iterations + 1)
    states = cells * model.hidden_size * model.dtype.itemsize
    kept = cells * model.hidden_size * 4 * (1 if seeds == 1 else 2 * seeds) if keep_states else 0
    beside = max(
        activation_bytes(model, tokens),
        measured_bytes(cells * model.hidden_size),
        readout_bytes(model, tokens) if top else 0,
    )
    what = f"{tokens:,} tokens × {iterations + 1:,} iterations × {model.hidden_size:,} channels"
    labelled = seeds * cells * (20 + 24 * top)
    refuse_beyond_memory(states + kept + labelled + beside, model.device, what)

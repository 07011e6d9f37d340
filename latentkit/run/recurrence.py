"""`run_recurrence`: one prompt, iteration by iteration, as a labelled trace."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ArgumentError, ModelError
from latentkit.models.contract import RecurrentModel
from latentkit.run.arguments import check_token_ids, refuse_beyond_memory, whole_number
from latentkit.run.generation import greedy
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json, token_texts
from latentkit.run.provenance import provenance
from latentkit.trace import COORDS, VARIABLES

__all__ = ["run_recurrence"]

_CHUNK_BYTES = 64 * 2**20  # normalised states looked at in one go


def run_recurrence(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    new_tokens: int = 0,
    iterations: int = 64,
    limit: int | None = None,
    seed: int | None = 0,
    initial_state: Any = None,
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
    seed : int or None
        Of the random initial state, drawn for each position by itself; None starts from zeros.
    initial_state : array [token, hidden], optional
        Start here instead.
    readout_top : int
        How many of the likeliest next tokens to keep; 0 leaves out all readouts and their cost.
    keep_states : bool
        Keep s_i itself, in float32.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [token, iteration, rank, hidden]
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
    finished iteration, and readouts not made are -1, "" and NaN. s_i = ln_f(x_i) is the normalised latent
    state; the definition follows Geiping et al. (2025), arXiv:2502.05171, section 7.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> trace = lk.run_recurrence(model, "Hello", iterations=4, limit=8, progress=False)
    >>> dict(trace.sizes)["iteration"]
    5
    """
    iterations = whole_number("iterations", iterations, least=1)
    new_tokens = whole_number("new_tokens", new_tokens, least=0)
    readout_top = whole_number("readout_top", readout_top, least=0, most=model.vocab_size)
    limit = _limit(limit, iterations)
    if seed is not None:
        seed = whole_number("seed", seed, least=0, or_none=", or None to start from zeros")
    if initial_state is not None and new_tokens:
        msg = "initial_state= fixes the sequence's length and new_tokens= lengthens it. Pass one of them."
        raise ArgumentError(msg)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, new_tokens)
    _refuse_too_large(model, len(ids) + new_tokens, iterations, readout_top, keep_states=keep_states)

    looks = iterations + 1 if readout_top else 0
    with Progress(new_tokens + limit + looks, model.name, visible=progress) as bar:
        generated = greedy(model, ids, new_tokens, iterations=iterations, seed=seed, bar=bar)
        sequence = ids + generated
        context = model.embed(torch.tensor([sequence]))
        start = _start(model, context, seed, initial_state)
        run = _iterate(model, context, start, bar, iterations=iterations, limit=limit)
        variables = _measure(model, run, keep_states=keep_states)
        if readout_top and not bar.stopped:
            variables |= _readouts(model, context, run, readout_top, bar)
    if bar.stopped:
        msg = (
            f"Interrupted: the trace holds iterations 0 to {len(run.states) - 1}, its limit is {run.reached}."
        )
        warnings.warn(msg, stacklevel=2)
    attrs = {
        **provenance(model),
        "seed": "given" if initial_state is not None else "zeros" if seed is None else seed,
        "limit": run.reached,
        "interrupted": int(bar.stopped),
        "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=new_tokens),
    }
    return _dataset(model.tokenizer, sequence, len(generated), variables, attrs)


@dataclass(frozen=True)
class _Run:
    """Raw states x_0 … x_n of one sequence, and the state at the limit."""

    states: Tensor  # [iteration, token, hidden]
    last: Tensor  # [1, token, hidden]
    reached: int


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
    model: RecurrentModel[Any], tokens: int, iterations: int, top: int, *, keep_states: bool
) -> None:
    """Estimate what is kept: raw states, the labelled arrays, and a few readouts at a time."""
    cells = tokens * (iterations + 1)
    states = cells * model.hidden_size * (model.dtype.itemsize + (4 if keep_states else 0))
    readouts = 6 * tokens * model.vocab_size * 4 if top else 0
    labelled = cells * (20 + 24 * top)
    what = f"{tokens:,} tokens × {iterations + 1:,} iterations × {model.hidden_size:,} channels"
    refuse_beyond_memory(states + readouts + labelled, model.device, what)


def _start(model: RecurrentModel[Any], context: Any, seed: int | None, given: Any) -> Tensor:
    if given is None:
        state: Tensor = model.initial_state(context, seed)
        return state
    wanted = (context.embedding.shape[1], model.hidden_size)
    start = torch.as_tensor(np.asarray(given) if not isinstance(given, Tensor) else given)
    if tuple(start.shape) != wanted or not torch.isfinite(start).all():
        msg = (
            f"initial_state has the shape {tuple(start.shape)}; pass finite numbers of the shape {wanted} "
            "(token, hidden): one row for each token of the sequence."
        )
        raise ArgumentError(msg)
    return start[None].to(device=model.device, dtype=model.dtype)


def _iterate(
    model: RecurrentModel[Any], context: Any, state: Tensor, bar: Progress, *, iterations: int, limit: int
) -> _Run:
    """Run the core up to the limit, keeping the states that the trace covers."""
    states = state.new_empty(iterations + 1, *state.shape[1:])
    states[0] = state[0]
    reached = 0
    with bar.keep_what_is_there():
        for i in bar.until_stopped(range(1, limit + 1)):
            after = model.step(state, context)
            if i <= iterations:
                states[i] = after[0]
            state, reached = after, i
    kept = states[: min(reached, iterations) + 1]
    if not torch.isfinite(state).all():
        first = next((i for i, x in enumerate(kept) if not torch.isfinite(x).all()), reached)
        msg = (
            f"The state of {model.name} is not finite from iteration {first} on. The weights hold NaN or "
            f"overflow in {model.dtype}: load the model again, or with dtype='float32'."
        )
        raise ModelError(msg)
    return _Run(kept, state, reached)


def _measure(model: RecurrentModel[Any], run: _Run, *, keep_states: bool) -> dict[str, np.ndarray[Any, Any]]:
    """Distances to the limit, step sizes and step cosines, a chunk of iterations at a time."""
    target = model.normalise(run.last).float()
    count, tokens, hidden = run.states.shape
    size = max(1, _CHUNK_BYTES // (4 * tokens * hidden))
    distance, step_size, step_cosine = (torch.full((count, tokens), torch.nan) for _ in range(3))
    kept = torch.empty(count, tokens, hidden) if keep_states else None
    for first in range(0, count, size):
        before = max(0, first - 2)  # two earlier states, for the steps that lead here
        latents = model.normalise(run.states[before : first + size]).float()
        chunk = slice(first, first + size)
        distance[chunk] = criteria.distance(latents[first - before :], target).cpu()
        steps = latents.diff(dim=0)
        sizes = criteria.distance(latents[1:], latents[:-1]).cpu()
        cosines = criteria.cosine(steps[1:], steps[:-1]).cpu()
        step_size[before + 1 : before + 1 + len(sizes)] = sizes
        step_cosine[before + 2 : before + 2 + len(cosines)] = cosines
        if kept is not None:
            kept[chunk] = latents[first - before :].cpu()
    found = {"distance": distance, "step_size": step_size, "step_cosine": step_cosine}
    if kept is not None:
        found["state"] = kept
    return {name: values.numpy().swapaxes(0, 1) for name, values in found.items()}


def _readouts(
    model: RecurrentModel[Any], context: Any, run: _Run, top: int, bar: Progress
) -> dict[str, np.ndarray[Any, Any]]:
    """What the model would say if stopped at each iteration; one readout in memory at a time."""
    count, tokens, _ = run.states.shape
    ids = np.full((tokens, count, top), -1, dtype=np.int32)
    probability = np.full((tokens, count, top), np.nan, dtype=np.float32)
    entropy, kl = (np.full((tokens, count), np.nan, dtype=np.float32) for _ in range(2))
    with bar.keep_what_is_there():
        reference = criteria.log_softmax(model.readout(run.last, context)[0].float())
        for i in bar.until_stopped(range(count)):
            log_probs = criteria.log_softmax(model.readout(run.states[i : i + 1], context)[0].float())
            best = log_probs.topk(top, dim=-1)
            ids[:, i], probability[:, i] = best.indices.cpu(), best.values.exp().cpu()
            entropy[:, i] = criteria.entropy(log_probs).cpu()
            kl[:, i] = criteria.kl_divergence(reference, log_probs).clamp(min=0).cpu()
    return {"readout_id": ids, "readout_probability": probability, "entropy": entropy, "kl": kl}


def _dataset(
    tokenizer: Any,
    sequence: list[int],
    generated: int,
    variables: Mapping[str, np.ndarray[Any, Any]],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Label everything."""
    count = variables["distance"].shape[1]
    written = np.arange(len(sequence)) >= len(sequence) - generated
    coords: dict[str, Any] = {
        "token": np.arange(len(sequence)),
        "token_text": np.array(token_texts(tokenizer, sequence), dtype=object),
        "token_id": np.array(sequence, dtype=np.int64),
        "is_generated": written,
        "iteration": np.arange(count),
    }
    found = dict(variables)
    if "readout_id" in found:
        ids = found["readout_id"]
        distinct, place = np.unique(ids, return_inverse=True)
        texts = [""] if distinct[0] < 0 else []
        texts += token_texts(tokenizer, distinct[distinct >= 0].tolist())
        found["readout_text"] = np.array(texts, dtype=object)[place.reshape(ids.shape)]
    return xr.Dataset(
        {
            name: (VARIABLES[name].dims, found[name], VARIABLES[name].attrs)
            for name in VARIABLES
            if name in found
        },
        coords={name: (COORDS[name].dims, values, COORDS[name].attrs) for name, values in coords.items()},
        attrs=dict(attrs),
    )

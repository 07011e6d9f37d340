"""`run_decoding`: a text grows token by token, and every iteration of every token is read out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.models.lookup import parse_lookup
from latentkit.run.arguments import (
    check_token_ids,
    need_recurrent,
    refuse_beyond_memory,
    seed_or_none,
    whole_number,
)
from latentkit.run.decoding.exits import ExitWatch
from latentkit.run.decoding.loop import Plan, decode, likeliest, sampled, stop_ids
from latentkit.run.decoding.recording import Recorder
from latentkit.run.decoding.streaming import TextStream
from latentkit.run.labelling import as_texts, label, token_number
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json, token_texts
from latentkit.run.provenance import provenance

__all__ = ["run_decoding"]


def run_decoding(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    new_tokens: int,
    iterations: int = 64,
    exit: str | None = None,  # noqa: A002  (the word that the papers use)
    threshold: float | None = None,
    min_iterations: int = 1,
    exit_in_prompt: bool = True,
    temperature: float = 0.0,
    top_p: float = 1.0,
    warm_start: bool | str = False,
    cache: str | None = "full",
    seed: int | None = 0,
    initial_state: Any = None,
    readout_top: int = 5,
    watch: Sequence[str | int] = (),
    stop: Sequence[str] | None = None,
    stream: Callable[[str], object] | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Let a model write, and see what it would have said had it stopped at each iteration.

    Parameters
    ----------
    model : RecurrentModel
        For example ``load_model("nano")``.
    prompt : str, list of messages, or list of int
        As in `run_recurrence`.
    system : str, optional
        A system message; the string is then the user's message.
    chat : bool
        Whether the string is a user's message rather than plain text.
    new_tokens : int
        How many tokens to write, at most; a stop token is the last one.
    iterations : int
        Passes of the core for each token, at most.
    exit : str, optional
        Criterion that ends a token's iterations early: ``"latent-diff"``, ``"cosine"``, ``"acceleration"``
        (these read the raw state), ``"entropy-diff"``, ``"kl"``, ``"minp-kl"`` or ``"argmax-stability"``
        (these read the readout). None: every token gets all iterations.
    threshold : float, optional
        The number at which the criterion stops; None: its default.
    min_iterations : int
        The criterion may stop from this iteration on.
    exit_in_prompt : bool
        Whether it may stop in the call that reads the prompt, which all prompt tokens share.
    temperature : float
        0 takes the likeliest token; above 0 tokens are drawn from softmax(logits / temperature).
    top_p : float
        Draw among the likeliest tokens that together hold this probability.
    warm_start : bool or "raw"
        Start each new token at the last token's final state: normalised (True, as in the published
        continuous chain of thought), or raw, as the released code does where it exits early.
    cache : str or None
        What a token sees of those that stopped earlier, and how many iterations' keys and values are kept:
        ``"full"``, ``"latest-m4"``, ``"available-m4"``, ``"always-last-m4"``, ``"skip"``, ``"randomized"``,
        each also with ``-compress-s16`` (so many block entries are kept), ``-compress-r4`` or
        ``-compress-anchor``. With exits, ``"latest-m4"`` is the published choice. None: no cache; the whole
        sequence is read again for every token.
    seed : int or None
        Of the random initial states, drawn for each position by itself, and of the tokens drawn; None
        starts every call from zeros.
    initial_state : array [token, hidden], optional
        Start here instead: a row for each token of the prompt and each new token but the last.
    readout_top : int
        How many of the likeliest tokens to keep at each iteration; 0 leaves out all readouts.
    watch : sequence of str or int
        Tokens, as texts or ids, whose rank and probability are kept at every iteration.
    stop : sequence of str, optional
        Names of the tokens that end the text. None: the tokenizer's end token and those of the chat
        format; ``()``: none.
    stream : callable, optional
        Called with each piece of text as soon as it is whole, for example ``print``.
    progress : bool
        Show a progress bar with the text so far.

    Returns
    -------
    Dataset [generated_token, iteration, rank, criterion, watched]
        ``iterations_used`` and ``stop_reason`` ("iterations" or the criterion) of each token;
        ``readout_id``, ``readout_text``, ``readout_probability``, ``entropy`` (nats), ``kl`` (nats,
        KL(readout at the last iteration ‖ readout at i)) and ``distance`` ‖s_i − s_last‖₂ at each iteration,
        both measured from the last iteration that the token got; ``exit_value``, the number that each
        criterion would have compared with its threshold; with ``watch`` also ``watched_rank`` and
        ``watched_probability``. -1, "" and NaN after an exit. Row g at iteration i is about the token that
        stands at ``generated_token`` g. Same inputs and seed give an identical dataset.

    Raises
    ------
    PromptError
        If the prompt is empty, cannot be encoded, or leaves no room for the new tokens.
    ArgumentError
        If an option has no meaning, or the run would not fit into memory.
    ModelError
        If the readout stops being finite.

    Notes
    -----
    Only the token at hand is stopped at i: its coda sees what the codas of the tokens before it left at
    their own last iteration. Without a cache, and in a trace of `run_recurrence`, all tokens are read out
    after the same number of iterations; states are the same in both, and so is every last readout.

    An interrupt (Ctrl-C) returns the tokens decoded so far as a valid trace, with a warning. Criteria and
    cache strategies are those of Geiping et al. (2025), arXiv:2502.05171, section 6; "acceleration" is that
    of Pappone et al. (2025), arXiv:2509.23314: ‖(x_i − x_{i−1}) − (x_{i−1} − x_{i−2})‖₂ below the threshold
    twice in a row. Being a length and no ratio, it depends on the model's size and number format, and its
    default threshold is a choice of ours: sweep it (`measure.exit_iteration`) before you rely on it.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> trace = lk.run_decoding(model, "Hello", new_tokens=3, iterations=4, progress=False)
    >>> trace.iterations_used.values.tolist()
    [4, 4, 4]
    """
    need_recurrent(model)
    iterations = whole_number("iterations", iterations, least=1)
    new_tokens = whole_number("new_tokens", new_tokens, least=1)
    min_iterations = whole_number("min_iterations", min_iterations, least=1, most=iterations)
    readout_top = whole_number("readout_top", readout_top, least=0, most=model.vocab_size)
    seed = seed_or_none(seed)
    leave = _exit(exit, threshold)
    _check_cache(model, cache, warm_start)
    watched = [token_number(model, token) for token in watch]
    stops = stop_ids(model.tokenizer, stop)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, new_tokens)
    _refuse_too_large(model, (len(ids), new_tokens), iterations, top=readout_top, cache=cache)
    plan = Plan(
        iterations,
        seed,
        _given(model, initial_state, len(ids) + new_tokens - 1),
        _carry(model, warm_start),
        _choice(temperature, top_p, seed),
        cache,
        stops,
    )
    with Progress(new_tokens, model.name, visible=progress) as bar:
        text = TextStream(model.tokenizer, stream, bar)
        recorder = Recorder(
            model,
            iterations=iterations,
            top=readout_top,
            watched=watched,
            leave=leave,
            least=min_iterations,
            leave_prompt=exit_in_prompt,
            told=text.add,
        )
        generated = decode(model, ids, new_tokens, plan=plan, watch=recorder, bar=bar)
        text.close()
    if bar.stopped:
        warnings.warn(f"Interrupted: the trace holds {len(generated)} of {new_tokens} tokens.", stacklevel=2)
    attrs = {
        **provenance(model),
        "seed": "given" if initial_state is not None else "zeros" if seed is None else seed,
        "exit": "none" if leave is None else leave.name,
        "threshold": float("nan") if leave is None else float(leave.threshold),
        "temperature": float(temperature),
        "top_p": float(top_p),
        "warm_start": str(warm_start),
        "cache": cache or "none",
        "ended": "interrupt" if bar.stopped else "stop token" if generated[-1] in stops else "new_tokens",
        "interrupted": int(bar.stopped),
        "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=new_tokens),
        "prompt_tokens": len(ids),
    }
    found = {
        **recorder.table(len(ids)),
        "token_id": np.array(generated, dtype=np.int64),
        "token_text": as_texts(token_texts(model.tokenizer, generated)),
        "stop_reason": as_texts(_reasons(recorder.used, iterations, leave)),
    }
    return label(model.tokenizer, "decoding", found, attrs, watched=watched)


def _exit(name: str | None, threshold: float | None) -> ExitWatch | None:
    if name is not None:
        return ExitWatch(name, threshold)
    if threshold is not None:
        msg = f"threshold is {threshold!r}, but exit names no criterion. Pass exit='kl', for example."
        raise ArgumentError(msg)
    return None


def _check_cache(model: RecurrentModel[Any], cache: str | None, warm_start: object) -> None:
    if warm_start not in (False, True, "raw"):
        msg = f"warm_start is {warm_start!r}; pass False, True (the normalised state) or 'raw'."
        raise ArgumentError(msg)
    if cache is not None:
        parse_lookup(cache)
    if cache != "full" and cache is not None and not hasattr(model, "new_cache"):
        msg = f"cache is {cache!r}, but {model.name} has no cache. Pass cache='full' or None."
        raise ArgumentError(msg)
    if warm_start and (cache is None or not hasattr(model, "new_cache")):
        msg = (
            "warm_start starts one position at the last one's state, and without a cache all positions start "
            "anew for every token. Pass warm_start=False, or a model and an option with a cache."
        )
        raise ArgumentError(msg)


def _choice(temperature: Any, top_p: Any, seed: int | None) -> Callable[[torch.Tensor, int], int]:
    for name, value, most, allowed in (
        ("temperature", temperature, math.inf, "of at least 0"),
        ("top_p", top_p, 1.0, "above 0 and at most 1"),
    ):
        least = name == "temperature"
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and (0 < value <= most or (least and value == 0)) and value < math.inf):
            msg = f"{name} is {value!r}; pass a number {allowed}."
            raise ArgumentError(msg)
    return sampled(temperature, top_p, seed or 0) if temperature else likeliest


def _carry(model: RecurrentModel[Any], warm_start: object) -> Callable[[torch.Tensor], torch.Tensor] | None:
    if not warm_start:
        return None
    return model.normalise if warm_start is True else lambda state: state


def _given(model: RecurrentModel[Any], state: Any, tokens: int) -> torch.Tensor | None:
    if state is None:
        return None
    start = torch.as_tensor(np.asarray(state) if not isinstance(state, torch.Tensor) else state)
    if tuple(start.shape) != (tokens, model.hidden_size) or not torch.isfinite(start).all():
        msg = (
            f"initial_state has the shape {tuple(start.shape)}; pass finite numbers of the shape "
            f"{(tokens, model.hidden_size)} (token, hidden): one row for each token of the prompt and each "
            "new token but the last."
        )
        raise ArgumentError(msg)
    return start


def _refuse_too_large(
    model: RecurrentModel[Any], tokens: tuple[int, int], iterations: int, *, top: int, cache: str | None
) -> None:
    """Estimate what is kept: the cache, one token's states, and the labelled arrays."""
    prompt, new = tokens
    kept = new * (iterations + 1) * (40 + 24 * top) + 2 * (iterations + 1) * model.hidden_size * 4
    if cache is not None and hasattr(model, "cache_bytes"):
        kept += model.cache_bytes(cache, tokens=prompt + new, iterations=iterations)
    what = f"{prompt + new:,} tokens × {iterations:,} iterations in the cache {cache!r}"
    advice = "Ask for fewer tokens or iterations, or for cache='latest-m4-compress-s16', which keeps fewer."
    refuse_beyond_memory(kept, model.device, what, advice)


def _reasons(used: list[int], iterations: int, leave: ExitWatch | None) -> list[str]:
    """Say of each token what ended its iterations; an exit at the very last one saved nothing."""
    name = "iterations" if leave is None else leave.name
    return ["iterations" if count == iterations else name for count in used]

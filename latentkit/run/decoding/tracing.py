"""`run_decoding`: generates text and reads out every iteration of every token."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.models.lookup import parse_lookup
from latentkit.run.arguments import (
    check_token_ids,
    flag,
    given_state,
    need_causal,
    need_recurrent,
    real_number,
    seed_or_none,
    token_numbers,
    whole_number,
)
from latentkit.run.decoding.choices import likeliest, sampled, stop_ids
from latentkit.run.decoding.exits import ExitTest
from latentkit.run.decoding.loop import Plan, decode
from latentkit.run.decoding.recorder import Recorder, chunk_bytes
from latentkit.run.decoding.streaming import TextStream
from latentkit.run.facts import asked_iterations
from latentkit.run.labelling import as_texts, label, seed_attribute, token_labels
from latentkit.run.memory import activation_bytes, refuse_beyond_memory
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json
from latentkit.run.provenance import provenance

__all__ = ["run_decoding"]


def run_decoding(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    new_tokens: int,
    iterations: int | None = None,
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
    watch: Sequence[str | int] | str | int = (),
    stop: Sequence[str] | str | None = None,
    stream: Callable[[str], object] | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Generate text and read out the prediction at every iteration of every token.

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
        Largest number of tokens to generate; a stop token is the last one.
    iterations : int, optional
        Largest number of passes of the core for each token. None: 64, or the one number that the model was
        trained with.
    exit : str, optional
        Criterion that ends a token's iterations early: ``"latent-diff"``, ``"cosine"`` or ``"acceleration"``
        (computed from the raw state), ``"entropy-diff"``, ``"kl"``, ``"minp-kl"`` or ``"argmax-stability"``
        (computed from the readout). None: every token gets all iterations.
    threshold : float, optional
        Value at which the criterion ends the iterations; None: its default.
    min_iterations : int
        First iteration after which the criterion may end the iterations.
    exit_in_prompt : bool
        Whether the criterion also applies to the call that reads the prompt, which all prompt tokens share.
    temperature : float
        0 takes the likeliest token; above 0 tokens are sampled from softmax(logits / temperature).
    top_p : float
        Sample from the smallest set of likeliest tokens with at least this probability.
    warm_start : bool or "raw"
        Start each new token at the previous token's final state: normalised (True, as in the published
        continuous chain of thought), or raw, as the released code does where it exits early.
    cache : str or None
        Which keys and values of earlier tokens a token attends to, and of how many iterations they are kept:
        ``"full"``, ``"latest-m4"``, ``"available-m4"``, ``"always-last-m4"``, ``"skip"``, ``"randomized"``,
        each also with ``-compress-s16`` (the number of block entries kept), ``-compress-r4`` or
        ``-compress-anchor``. With exits, ``"latest-m4"`` is the published choice. None: no cache; the whole
        sequence is read again for every token.
    seed : int or None
        Seed of the random initial states, drawn independently for each position, and of the sampled tokens;
        None starts every call from zeros.
    initial_state : array [token, hidden], optional
        Initial states to use instead: one row for each token of the prompt and each new token but the last.
    readout_top : int
        Number of likeliest tokens to keep at each iteration; 0 leaves out all readouts.
    watch : str, int, or sequence of these
        Tokens, as texts or ids, whose rank and probability are kept at every iteration.
    stop : str or sequence of str, optional
        Names of the tokens that end the text. None: the tokenizer's end token and those of the chat
        format; ``()``: none.
    stream : callable, optional
        Called with each piece of text as soon as its characters are complete, for example ``print``.
    progress : bool
        Show a progress bar with the text so far.

    Returns
    -------
    Dataset [generated_token, iteration, rank, criterion, watched]
        ``iterations_used`` and ``stop_reason`` ("iterations" or the criterion) of each token;
        ``readout_id``, ``readout_text``, ``readout_probability``, ``entropy`` (nats), ``kl`` (nats,
        KL(readout at the last iteration ‖ readout at i)) and ``distance`` ‖s_i − s_last‖₂ at each iteration,
        both relative to the token's last iteration; ``exit_value``, the number that each criterion compares
        with its threshold; with ``watch`` also ``watched_rank`` and ``watched_probability``. -1, "" and NaN
        after an exit. Row g holds the readouts that ``generated_token`` g was chosen from. Same inputs and
        seed give an identical dataset.

    Raises
    ------
    PromptError
        If the prompt is empty, cannot be encoded, or leaves no room for the new tokens.
    ArgumentError
        If an argument is out of its range, or the run would not fit into memory.
    ModelError
        If the readout stops being finite.

    Notes
    -----
    A readout at iteration i reads only the current token at i; its coda attends to the earlier tokens at
    their own last iterations. Without a cache, and in a trace of `run_recurrence`, all tokens are read out
    after the same number of iterations. The states are equal in both, and so are the last readouts.

    An interrupt (Ctrl-C) returns the tokens decoded so far as a valid trace, with a warning. Criteria and
    cache strategies are those of Geiping et al. (2025), arXiv:2502.05171, section 6; "acceleration" is that
    of Pappone et al. (2025), arXiv:2509.23314: ‖(x_i − x_{i−1}) − (x_{i−1} − x_{i−2})‖₂ below the threshold
    twice in a row. It is a length, not a ratio, so it depends on the model's size and dtype. Its default
    threshold is not a published value: vary it (`measure.exit_iteration`) before you rely on it.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> trace = lk.run_decoding(model, "Hello", new_tokens=3, iterations=4, progress=False)
    >>> trace.iterations_used.values.tolist()
    [4, 4, 4]
    """
    need_recurrent(model)
    need_causal(model, "it cannot generate text token by token")
    iterations = asked_iterations(model, iterations, 64)
    new_tokens = whole_number("new_tokens", new_tokens, least=1)
    min_iterations = whole_number("min_iterations", min_iterations, least=1, most=iterations)
    readout_top = whole_number("readout_top", readout_top, least=0, most=model.vocab_size)
    seed = seed_or_none(seed)
    exit_test = _exit_test(exit, threshold)
    _check_cache(model, cache, warm_start)
    _check_stream(stream)
    watched = token_numbers(model, "watch", watch)
    stops = stop_ids(model.tokenizer, stop)
    choose = _choice(temperature, top_p, seed)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, new_tokens)
    _refuse_too_large(model, (len(ids), new_tokens), iterations, top=readout_top, cache=cache)
    given = None
    if initial_state is not None:
        rows = "one row for each token of the prompt and each new token but the last"
        given = given_state(model, initial_state, len(ids) + new_tokens - 1, rows)
    plan = Plan(iterations, seed, given, _carry(model, warm_start), choose, cache, stops)
    with Progress(new_tokens, model.name, visible=flag("progress", progress)) as bar:
        text = TextStream(model.tokenizer, stream, bar)
        recorder = Recorder(
            model,
            iterations=iterations,
            top=readout_top,
            watched=watched,
            exit_test=exit_test,
            least=min_iterations,
            exit_in_prompt=flag("exit_in_prompt", exit_in_prompt),
            on_token=text.add,
        )
        generated = decode(model, ids, new_tokens, plan=plan, callback=recorder, bar=bar)
        text.close()
        finished = len(generated) == new_tokens or (bool(generated) and generated[-1] in stops)
        if not finished:
            _warn_of_interrupt(len(generated), new_tokens)
        attrs = {
            **provenance(model),
            "seed": seed_attribute(model, seed, initial_state),
            "exit": "none" if exit_test is None else exit_test.name,
            "threshold": float("nan") if exit_test is None else float(exit_test.threshold),
            "temperature": float(temperature),
            "top_p": float(top_p),
            "warm_start": str(warm_start),
            "cache": cache or "none",
            "ended": _end(generated, stops, finished=finished),
            "interrupted": int(not finished),
            "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=new_tokens),
            "prompt_tokens": len(ids),
        }
        arrays = {
            **recorder.table(len(ids)),
            **token_labels(model.tokenizer, generated),
            "stop_reason": as_texts(_reasons(recorder.used, iterations, exit_test)),
        }
        return label(model.tokenizer, "decoding", arrays, attrs, watched=watched)


def _warn_of_interrupt(finished: int, new_tokens: int) -> None:
    warnings.warn(f"Interrupted: the trace holds {finished} of {new_tokens} tokens.", stacklevel=3)


def _end(generated: list[int], stops: frozenset[int], *, finished: bool) -> str:
    """Return what ended the text."""
    if not finished:
        return "interrupt"
    return "stop token" if generated[-1] in stops else "new_tokens"


def _exit_test(name: str | None, threshold: float | None) -> ExitTest | None:
    if name is not None:
        return ExitTest(name, threshold)
    if threshold is not None:
        msg = f"threshold is {threshold!r}, but exit names no criterion. Pass exit='kl', for example."
        raise ArgumentError(msg)
    return None


def _check_cache(model: RecurrentModel[Any], cache: object, warm_start: object) -> None:
    if not (isinstance(warm_start, bool) or (isinstance(warm_start, str) and warm_start == "raw")):
        msg = f"warm_start is {warm_start!r}; pass False, True (the normalised state) or 'raw'."
        raise ArgumentError(msg)
    if cache is not None:
        if not isinstance(cache, str):
            msg = f"cache is {cache!r}; pass the name of a strategy such as 'full', or None."
            raise ArgumentError(msg)
        parse_lookup(cache)
    if cache != "full" and cache is not None and not hasattr(model, "new_cache"):
        msg = f"cache is {cache!r}, but {model.name} has no cache. Pass cache='full' or None."
        raise ArgumentError(msg)
    if warm_start and (cache is None or not hasattr(model, "new_cache")):
        msg = (
            "warm_start sets the initial state of a new token only, and without a cache all positions are "
            "computed again for every token. Pass warm_start=False, or a model and an option with a cache."
        )
        raise ArgumentError(msg)


def _check_stream(stream: object) -> None:
    if stream is not None and not callable(stream):
        msg = f"stream is {stream!r}; pass a function of one text, such as print, or None."
        raise ArgumentError(msg)


def _choice(temperature: object, top_p: object, seed: int | None) -> Callable[[torch.Tensor, int], int]:
    heat = real_number("temperature", temperature, "a number of at least 0", least=0, most=1e9)
    nucleus = real_number("top_p", top_p, "a number above 0 and at most 1", above=0, most=1)
    return sampled(heat, nucleus, seed or 0) if heat else likeliest


def _carry(model: RecurrentModel[Any], warm_start: object) -> Callable[[torch.Tensor], torch.Tensor] | None:
    if not warm_start:
        return None
    return model.normalise if warm_start is True else lambda state: state


def _refuse_too_large(
    model: RecurrentModel[Any], tokens: tuple[int, int], iterations: int, *, top: int, cache: str | None
) -> None:
    """Refuse a run that does not fit into memory.

    It holds the cache, one token's states and inputs of the head, the arrays of the trace, and the largest of
    what reading the prompt and a chunk of readouts need beside them.
    """
    prompt, new = tokens
    kept = new * (iterations + 1) * (60 + 36 * top) + 4 * (iterations + 1) * model.hidden_size * 4
    if cache is not None and hasattr(model, "cache_bytes"):
        kept += model.cache_bytes(cache, tokens=prompt + new, iterations=iterations)
    read = prompt if cache is not None else prompt + new
    kept += max(activation_bytes(model, read), chunk_bytes(model, iterations + 1) if top else 0)
    what = f"{prompt + new:,} tokens × {iterations:,} iterations in the cache {cache!r}"
    advice = "Ask for fewer tokens or iterations, or for cache='latest-m4-compress-s16', which keeps fewer."
    refuse_beyond_memory(kept, model.device, what, advice)


def _reasons(used: list[int], iterations: int, exit_test: ExitTest | None) -> list[str]:
    """Return what ended each token's iterations; an exit at the last one counts as "iterations"."""
    name = "iterations" if exit_test is None else exit_test.name
    return ["iterations" if count == iterations else name for count in used]

"""`run_lens`: readouts after every core block of every iteration, through two lenses."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ArgumentError
from latentkit.models.contract import RecurrentModel
from latentkit.run.arguments import (
    check_token_ids,
    flag,
    need_causal,
    need_recurrent,
    seed_or_none,
    token_numbers,
    whole_number,
)
from latentkit.run.facts import asked_iterations
from latentkit.run.labelling import as_texts, label, seed_attribute
from latentkit.run.memory import activation_bytes, readout_bytes, refuse_beyond_memory
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json, token_texts
from latentkit.run.provenance import provenance
from latentkit.run.readouts import not_finite, readout_statistics

__all__ = ["run_lens"]

_LENS_NAMES = ("coda", "logit")
_VERBS = ("step_blocks", "last_hidden", "head")


def run_lens(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    token: int = -1,
    iterations: int | None = None,
    seed: int | None = 0,
    readout_top: int = 5,
    watch: Sequence[str | int] | str | int = (),
    progress: bool = True,
) -> xr.Dataset:
    """Read one position's state out after every core block of every iteration, through both lenses.

    Parameters
    ----------
    model : RecurrentModel
        A model with the verbs ``step_blocks``, ``last_hidden`` and ``head``, such as nano and Huginn.
    prompt : str, list of messages, or list of int
        As in `run_recurrence`.
    system : str, optional
        A system message; the string is then the user's message.
    chat : bool
        Whether the string is a user's message rather than plain text.
    token : int
        Position whose next token is read out. Negative numbers count from the end.
    iterations : int, optional
        Passes of the core. None: 32, or the one number that the model was trained with.
    seed : int or None
        Seed of the random initial state; None starts from zeros.
    readout_top : int
        Number of likeliest tokens to keep.
    watch : str, int, or sequence of these
        Tokens, as texts or ids, whose rank and probability are kept.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset [lens, iteration, block, rank, watched]
        ``readout_id``, ``readout_text``, ``readout_probability``, ``entropy`` (nats), ``kl`` (nats, from
        the model's own readout after the last iteration) and with ``watch`` also ``watched_rank`` and
        ``watched_probability``. Iterations count from 1 and blocks from 0.

    Raises
    ------
    PromptError
        If the prompt is empty, too long, or cannot be encoded.
    ArgumentError
        If an argument is out of its range, or the model lacks a verb.
    ModelError
        If the readout stops being finite.

    Notes
    -----
    The coda lens is the model's own readout: final norm, coda, final norm, head. The coda was trained on the
    output of the last block, so only there is its readout the model's prediction; after the other blocks the
    logit lens, head(ln_f(x)), may be more informative. The ranks of a token in the two lenses differ from
    block to block: compare both before you conclude that a state does not encode it (Lu et al. 2025,
    arXiv:2507.02199).

    An interrupt (Ctrl-C) returns the finished iterations, with a warning.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> lens = lk.run_lens(model, "Hello", iterations=3, progress=False)
    >>> lens.sizes["iteration"], lens.sizes["block"] == model.config.n_layers_in_recurrent_block
    (3, True)
    """
    need_recurrent(model)
    _need_verbs(model)
    iterations = asked_iterations(model, iterations, 32)
    readout_top = whole_number("readout_top", readout_top, least=1, most=model.vocab_size)
    seed = seed_or_none(seed)
    watched = token_numbers(model, "watch", watch)
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, 0)
    position = whole_number("token", token, least=-len(ids), most=len(ids) - 1) % len(ids)
    if position < len(ids) - 1:
        need_causal(model, "only its last token can be read out. Pass token=-1")
    _refuse_too_large(model, position + 1, iterations, readout_top)
    with Progress(iterations, model.name, visible=flag("progress", progress)) as bar:
        hidden = _hidden(model, ids[: position + 1], iterations, seed, bar)  # later tokens change nothing
        if bar.stopped:
            warnings.warn(f"Interrupted: the trace holds iterations 1 to {len(hidden)}.", stacklevel=2)
        attrs = {
            **provenance(model),
            "seed": seed_attribute(model, seed),
            "token": position,
            "token_text": token_texts(model.tokenizer, [ids[position]])[0],
            "interrupted": int(bar.stopped),
            "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=0),
        }
        arrays = {
            **_readouts(model, hidden, readout_top, watched),
            "lens": as_texts(_LENS_NAMES),
            "iteration": np.arange(1, len(hidden) + 1),
            "block": np.arange(hidden.shape[2]),
        }
        return label(model.tokenizer, "lens", arrays, attrs, watched=watched)


def _need_verbs(model: RecurrentModel[Any]) -> None:
    """Refuse a model that cannot be read out between its blocks."""
    missing = [verb for verb in _VERBS if not hasattr(model, verb)]
    if missing:
        msg = (
            f"{model.name} cannot be read out between its blocks: it lacks {', '.join(missing)}. Use "
            "run_recurrence, which reads out after each iteration."
        )
        raise ArgumentError(msg)


def _refuse_too_large(model: Any, tokens: int, iterations: int, top: int) -> None:
    """Refuse a lens that does not fit into memory; ``tokens`` are those up to the position that is read.

    It holds the states before the head, the arrays, and one step of all blocks or one iteration's readouts.
    """
    rows = 2 * _block_count(model)
    kept = iterations * rows * (2 * model.hidden_size * model.dtype.itemsize + 16 + 24 * top)
    step = activation_bytes(model, tokens) + rows * tokens * model.hidden_size * model.dtype.itemsize
    what = f"{iterations:,} iterations × {rows // 2} blocks × {model.hidden_size:,} channels"
    advice = "Ask for fewer iterations or a smaller readout_top."
    refuse_beyond_memory(kept + max(step, readout_bytes(model, rows)), model.device, what, advice)


def _block_count(model: Any) -> int:
    """Return the number of core blocks, or a guess where the module does not list them."""
    if hasattr(model.module, "core_blocks"):
        return len(model.module.core_blocks())
    return len(getattr(getattr(model.module, "transformer", None), "core_block", range(8)))


def _hidden(model: Any, ids: list[int], iterations: int, seed: int | None, bar: Progress) -> Tensor:
    """Return the input of the head [iteration, lens, block, hidden] at the last position."""
    context = model.embed(torch.tensor([ids]))
    state = model.initial_state(context, seed)
    rows = []
    with bar.stop_on_interrupt():
        for _ in bar.until_stopped(range(iterations)):
            states = model.step_blocks(state, context)
            coda = torch.cat([model.last_hidden(after, context) for after in states])
            logit = model.normalise(torch.cat([after[:, -1] for after in states]))
            rows.append(torch.stack((coda, logit)))
            state = states[-1]
    if not rows:
        msg = "Interrupted before the first iteration ended, so there is nothing to show. Run it again."
        raise ArgumentError(msg)
    return torch.stack(rows)


def _readouts(model: Any, hidden: Tensor, top: int, watched: list[int]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the statistics of every readout over (lens, iteration, block), one iteration at a time."""
    reference = criteria.log_softmax(model.head(hidden[-1, 0, -1]))
    if not torch.isfinite(reference).all():
        raise not_finite(model, f"The readout of {model.name} is not finite after {len(hidden)} iterations")
    parts = [
        readout_statistics(criteria.log_softmax(model.head(row)), reference, top=top, tokens=watched)
        for row in hidden
    ]
    return {name: np.stack([part[name] for part in parts], axis=1) for name in parts[0]}

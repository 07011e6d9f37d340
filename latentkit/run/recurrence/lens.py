"""`run_lens`: what stands in the state after every core block of every iteration, seen through two lenses."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from latentkit import criteria
from latentkit.errors import ArgumentError, ModelError
from latentkit.models.contract import RecurrentModel
from latentkit.run.arguments import check_token_ids, need_recurrent, seed_or_none, whole_number
from latentkit.run.decoding.loop import reads_last
from latentkit.run.labelling import as_texts, label, token_number
from latentkit.run.progress import Progress
from latentkit.run.prompting import Prompt, encode, prompt_json, token_texts
from latentkit.run.provenance import provenance

__all__ = ["run_lens"]

_LENS_NAMES = ("coda", "logit")


def run_lens(
    model: RecurrentModel[Any],
    prompt: Prompt,
    *,
    system: str | None = None,
    chat: bool = False,
    token: int = -1,
    iterations: int = 32,
    seed: int | None = 0,
    readout_top: int = 5,
    watch: Sequence[str | int] = (),
    progress: bool = True,
) -> xr.Dataset:
    """Read one position's state out after every core block of every iteration, through both lenses.

    Parameters
    ----------
    model : RecurrentModel
        One with the verbs ``step_blocks``, ``last_hidden`` and ``head``, as all of Huginn's family.
    prompt : str, list of messages, or list of int
        As in `run_recurrence`.
    system : str, optional
        A system message; the string is then the user's message.
    chat : bool
        Whether the string is a user's message rather than plain text.
    token : int
        Position that is read out: what would follow it. Negative numbers count from the end.
    iterations : int
        Passes of the core.
    seed : int or None
        Of the random initial state; None starts from zeros.
    readout_top : int
        How many of the likeliest tokens to keep.
    watch : sequence of str or int
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
        If an option has no meaning, or the model cannot be read out between blocks.
    ModelError
        If the readout stops being finite.

    Notes
    -----
    The coda lens is the model's own readout: final norm, coda, final norm, head. The coda was trained on
    what the last block leaves, so only there is its reading what the model would say; after the other
    blocks the state is at another place in the cycle, and the logit lens, head(ln_f(x)), may tell more.
    Which lens finds a token, and at which block, differs from block to block: compare both before you
    conclude that a state does not hold it (Lu et al. 2025, arXiv:2507.02199).

    An interrupt (Ctrl-C) returns the iterations that are there, with a warning.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> lens = lk.run_lens(model, "Hello", iterations=3, progress=False)
    >>> lens.sizes["iteration"], lens.sizes["block"] == model.config.n_layers_in_recurrent_block
    (3, True)
    """
    need_recurrent(model)
    iterations = whole_number("iterations", iterations, least=1)
    readout_top = whole_number("readout_top", readout_top, least=1, most=model.vocab_size)
    seed = seed_or_none(seed)
    if not (hasattr(model, "step_blocks") and reads_last(model)):
        msg = (
            f"{model.name} cannot be read out between its blocks: it lacks the verbs step_blocks, "
            "last_hidden and head. Use run_recurrence, which reads out after each iteration."
        )
        raise ArgumentError(msg)
    watched = [token_number(model, chosen) for chosen in watch]
    ids = encode(model.tokenizer, prompt, system=system, chat=chat)
    check_token_ids(model, ids, 0)
    position = _position(token, len(ids))
    with Progress(iterations, model.name, visible=progress) as bar:
        hidden = _hidden(model, ids[: position + 1], iterations, seed, bar)  # later tokens change nothing
    if bar.stopped:
        warnings.warn(f"Interrupted: the trace holds iterations 1 to {len(hidden)}.", stacklevel=2)
    attrs = {
        **provenance(model),
        "seed": "zeros" if seed is None else seed,
        "token": position,
        "token_text": token_texts(model.tokenizer, [ids[position]])[0],
        "interrupted": int(bar.stopped),
        "prompt": prompt_json(prompt, system=system, chat=chat, new_tokens=0),
    }
    found = {
        **_readouts(model, hidden, readout_top, watched),
        "lens": as_texts(_LENS_NAMES),
        "iteration": np.arange(1, len(hidden) + 1),
        "block": np.arange(hidden.shape[2]),
    }
    return label(model.tokenizer, "lens", found, attrs, watched=watched)


def _position(token: int, count: int) -> int:
    given = whole_number("token", token, least=-count, most=count - 1)
    return given % count


def _hidden(model: Any, ids: list[int], iterations: int, seed: int | None, bar: Progress) -> Tensor:
    """Return what the head reads [iteration, lens, block, hidden] at the last position."""
    context = model.embed(torch.tensor([ids]))
    state = model.initial_state(context, seed)
    rows = []
    with bar.keep_what_is_there():
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
    """Measure every readout, one iteration in memory at a time; the axes become lens, iteration, block."""
    reference = criteria.log_softmax(model.head(hidden[-1, 0, -1]))
    if not torch.isfinite(reference).all():
        msg = (
            f"The readout of {model.name} is not finite after {len(hidden)} iterations. The weights hold NaN "
            f"or overflow in {model.dtype}: load the model again, or with dtype='float32'."
        )
        raise ModelError(msg)
    parts = []
    for row in hidden:
        log_probs = criteria.log_softmax(model.head(row))
        best = log_probs.topk(top, dim=-1)
        part = {
            "readout_id": best.indices.int(),
            "readout_probability": best.values.exp(),
            "entropy": criteria.entropy(log_probs),
            "kl": criteria.kl_divergence(reference, log_probs).clamp(min=0),
        }
        if watched:
            chosen = log_probs[..., watched]
            part["watched_rank"] = (log_probs[..., None, :] > chosen[..., None]).sum(-1).int()
            part["watched_probability"] = chosen.exp()
        parts.append({name: values.cpu().numpy() for name, values in part.items()})
    return {name: np.stack([part[name] for part in parts], axis=1) for name in parts[0]}

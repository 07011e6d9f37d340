"""Golden sets of the looped families: small random checkpoints in the published layout, with numbers."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import latentkit as lk
from latentkit import criteria

FOLDER = Path(__file__).parent / "golden" / "family"
#: Every set, by its folder.
SETS = (
    "ouro/golden_a",
    "nanbeige/golden_a",
    "hrm_text/golden_a",
    "retrofit/golden_a_llama",
    "retrofit/golden_a_olmo",
    "parcae/golden_a",
    "albert/golden_a",
)
#: Sets of models that predict the next token.
DECODERS = SETS[:-1]


@cache
def expected(name: str) -> dict[str, Tensor]:
    """Return the numbers of the published code; HRM-Text's two states side by side."""
    found = load_file(FOLDER / name / "expected.safetensors")
    if name.startswith("hrm_text"):
        for mask in ("causal", "prefix"):
            cycles = 3  # L-calls in one H-cycle
            slow, fast = found[f"{mask}.z_H"], found[f"{mask}.z_L"][::cycles]
            found[f"{mask}.states"] = torch.cat((slow, fast), dim=-1)
        found |= {"states": found["causal.states"], "logits": found["causal.logits"]}
    return found


@cache
def facts(name: str) -> dict[str, Any]:
    """Return what expected.json says of a set."""
    values: dict[str, Any] = json.loads((FOLDER / name / "expected.json").read_text())
    return values


@cache
def model(name: str) -> Any:
    """Load a set's checkpoint."""
    return lk.load_model(FOLDER / name)


def start(name: str, found: Any, ids: Tensor) -> tuple[Any, Tensor]:
    """Return the context and the initial state that the numbers of a set belong to."""
    numbers = expected(name)
    types = {"token_types": numbers["token_type_ids"]} if name.startswith("albert") else {}
    context = found.embed(ids, **types)
    return context, numbers["initial_state"] if "initial_state" in numbers else found.initial_state(
        context, 0
    )


def worst(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, over the largest entry of what is wanted."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    return float((found - wanted).abs().max() / wanted.abs().max())


def greedy(
    found: Any, prompt: list[int], new: int, iterations: int, *, cached: bool, threshold: float | None = None
) -> tuple[list[int], Tensor]:
    """Decode by the verbs alone; return all tokens and the logits of each choice.

    With a threshold each token is read out where its gate has stopped it with that probability.
    """
    cache_ = found.new_cache() if cached else None
    ids, unread, rows = list(prompt), list(prompt), []
    for _ in range(new):
        context = found.embed(torch.tensor([unread if cached else ids]), cache=cache_)
        state = found.initial_state(context, None)
        logits, chances = [], []
        for _ in range(iterations):
            state = found.step(state, context)
            logits.append(found.readout(state, context)[0, -1])
            if threshold is not None:
                chances.append(found.exit_probability(state, context)[0, -1])
        stop = iterations
        if threshold is not None:
            stop = int(criteria.exit_quantile(criteria.exit_distribution(torch.stack(chances)), threshold))
        rows.append(logits[stop - 1])
        ids.append(int(rows[-1].argmax()))
        unread = ids[-1:]
    return ids, torch.stack(rows)

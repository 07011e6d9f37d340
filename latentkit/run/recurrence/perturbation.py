"""A kick to the state in the middle of a run, to see whether it comes back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentkit.errors import ArgumentError, nearest
from latentkit.run.arguments import whole_number

__all__ = ["Perturbation", "token_positions"]

_KEYS = ("iteration", "size", "tokens", "seed")


@dataclass(frozen=True)
class Perturbation:
    """What is added to the raw state after some iteration: a random direction, as long as asked for.

    Attributes
    ----------
    iteration : int
        After so many passes of the core; 0 is the initial state.
    size : float
        Length of the kick over the length of the token's state.
    tokens : tuple of int
        Positions that are kicked.
    seed : int
        Of the directions. Each position has a generator of its own, so the kick does not depend on length.
    """

    iteration: int
    size: float
    tokens: tuple[int, ...]
    seed: int = 0

    @classmethod
    def none(cls) -> Perturbation:
        """No perturbation."""
        return cls(0, 0.0, ())

    @classmethod
    def from_argument(cls, given: object, *, limit: int, tokens: int) -> Perturbation:
        """Check what somebody passed as ``perturb=``."""
        example = "{'iteration': 20, 'size': 0.5, 'tokens': None}"
        if not isinstance(given, Mapping):
            msg = f"perturb is {given!r}; pass a mapping such as {example}, or None."
            raise ArgumentError(msg)
        if unknown := [key for key in given if key not in _KEYS]:
            msg = f"perturb has no {unknown[0]!r}. {nearest(str(unknown[0]), _KEYS)}"
            raise ArgumentError(msg)
        if missing := [key for key in _KEYS[:2] if key not in given]:
            msg = f"perturb lacks {missing[0]!r}; pass a mapping such as {example}."
            raise ArgumentError(msg)
        size = given["size"]
        if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < math.inf:
            msg = f"perturb['size'] is {size!r}; pass a share of the state's length, such as 0.5."
            raise ArgumentError(msg)
        return cls(
            whole_number("perturb['iteration']", given["iteration"], least=0, most=limit),
            float(size),
            token_positions("perturb['tokens']", given.get("tokens"), tokens),
            whole_number("perturb['seed']", given.get("seed", 0), least=0),
        )

    def __call__(self, state: Tensor, iteration: int) -> Tensor:
        """Return the state [batch, token, hidden] after this iteration, kicked where that is due."""
        if iteration != self.iteration or not self.tokens:
            return state
        kicked = state.clone()
        for position in self.tokens:
            row = state[:, position].float()
            generator = torch.Generator().manual_seed(self._seed_at(position))
            direction = torch.randn(row.shape[-1], generator=generator).to(row.device)
            length = self.size * row.norm(dim=-1, keepdim=True)
            kicked[:, position] = (row + length * direction / direction.norm()).to(state.dtype)
        return kicked

    def to_json(self) -> str:
        """Return all of it, for the attributes of a trace."""
        return json.dumps(
            {"iteration": self.iteration, "size": self.size, "tokens": list(self.tokens), "seed": self.seed}
        )

    def _seed_at(self, position: int) -> int:
        # The third number keeps these directions apart from the initial states, which have two.
        return int(np.random.SeedSequence((self.seed, position, 1)).generate_state(1)[0])


def token_positions(name: str, given: Any, tokens: int) -> tuple[int, ...]:
    """Positions that a slice, a list or None (all of them) takes of a sequence; refuses to take none."""
    if given is None:
        given = slice(None)
    if isinstance(given, slice):
        try:
            chosen = tuple(range(tokens)[given])
        except TypeError:
            chosen = ()
    else:
        values = [given] if isinstance(given, (int, np.integer)) else list(given)
        what = f"a position in {name}"
        chosen = tuple(whole_number(what, each, least=0, most=tokens - 1) for each in values)
    if not chosen:
        msg = (
            f"{name} takes none of the {tokens} tokens: {given!r}. "
            "Pass a slice, a list of positions, or None."
        )
        raise ArgumentError(msg)
    return tuple(dict.fromkeys(chosen))

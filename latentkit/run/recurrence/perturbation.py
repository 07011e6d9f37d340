"""A single perturbation of the state during a run, to test whether the state returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentkit.errors import ArgumentError, nearest
from latentkit.run.arguments import real_number, seed_number, token_positions, whole_number

__all__ = ["Perturbation"]

_KEYS = ("iteration", "size", "tokens", "seed")
_SHARE = "a share of the state's length, such as 0.5"
_EXAMPLE = "{'iteration': 20, 'size': 0.5, 'tokens': None}"


@dataclass(frozen=True)
class Perturbation:
    """A random direction of a given length, added to the raw state after one iteration.

    Attributes
    ----------
    iteration : int
        Number of passes of the core before it; 0 perturbs the initial state.
    size : float
        Length of the perturbation relative to the length of the token's state.
    tokens : tuple of int
        Positions that are perturbed.
    seed : int
        Seed of the directions. Each position has its own generator, so its direction does not depend on the
        length of the sequence.
    """

    iteration: int
    size: float
    tokens: tuple[int, ...]
    seed: int = 0

    @classmethod
    def none(cls) -> Perturbation:
        """Return a perturbation that changes nothing."""
        return cls(0, 0.0, ())

    @classmethod
    def from_argument(cls, given: object, *, limit: int, tokens: int) -> Perturbation:
        """Return the perturbation that the argument ``perturb`` describes.

        Raises
        ------
        ArgumentError
            If it is not a mapping with valid keys and values.
        """
        if not isinstance(given, Mapping):
            msg = f"perturb is {given!r}; pass a mapping such as {_EXAMPLE}, or None."
            raise ArgumentError(msg)
        if unknown := [key for key in given if key not in _KEYS]:
            msg = f"perturb has no {unknown[0]!r}. {nearest(str(unknown[0]), _KEYS)}"
            raise ArgumentError(msg)
        if missing := [key for key in _KEYS[:2] if key not in given]:
            msg = f"perturb lacks {missing[0]!r}; pass a mapping such as {_EXAMPLE}."
            raise ArgumentError(msg)
        return cls(
            whole_number("perturb['iteration']", given["iteration"], least=0, most=limit),
            real_number(
                "perturb['size']",
                given["size"],
                "a share of the state's length, such as 0.5",
                least=0,
                most=1e9,
            ),
            token_positions("perturb['tokens']", given.get("tokens"), tokens),
            seed_number("perturb['seed']", given.get("seed", 0)),
        )

    def __call__(self, state: Tensor, iteration: int) -> Tensor:
        """Return the state [batch, token, hidden] after this iteration, perturbed if this is the one."""
        if iteration != self.iteration or not self.tokens:
            return state
        perturbed = state.clone()
        for position in self.tokens:
            row = state[:, position].float()
            generator = torch.Generator().manual_seed(self._seed_at(position))
            direction = torch.randn(row.shape[-1], generator=generator).to(row.device)
            length = self.size * row.norm(dim=-1, keepdim=True)
            perturbed[:, position] = (row + length * direction / direction.norm()).to(state.dtype)
        return perturbed

    def to_json(self) -> str:
        """Return the perturbation as JSON, for the attributes of a trace."""
        return json.dumps(
            {"iteration": self.iteration, "size": self.size, "tokens": list(self.tokens), "seed": self.seed}
        )

    def _seed_at(self, position: int) -> int:
        # The third number separates these directions from the initial states, which are seeded by two.
        return int(np.random.SeedSequence((self.seed, position, 1)).generate_state(1)[0])

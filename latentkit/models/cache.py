"""The key-value cache of a looped model: one entry per block of every iteration and position."""

from __future__ import annotations

from torch import Tensor

__all__ = ["FullCache"]


class FullCache:
    """Keeps the keys and values of every block of every iteration.

    A token's iteration i attends to the earlier tokens' same iteration i, as without a cache. The size per
    token is (prelude + iterations · core + coda) blocks, each with keys and values of the hidden size.

    Attributes
    ----------
    start : int
        Position of the first token of the present call.
    iteration : int
        Passes of the core finished in the present call.

    Notes
    -----
    Room is doubled when it runs out, so a token costs no copy of what is there. Entries are written by
    position: reading out twice at one position overwrites the coda's entry, it does not add one.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Tensor, Tensor]] = {}
        self.start = 0
        self.length = 0
        self.iteration = 0

    def begin(self, tokens: int) -> None:
        """Make room for the next ``tokens`` positions and start counting iterations anew."""
        self.start, self.iteration = self.length, 0
        self.length += tokens

    def update(self, key: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store this call's entries of block ``key`` and return those of all positions so far.

        Parameters
        ----------
        key : int
            Which block of which iteration: prelude from 0, core after it, coda -1, -2, …
        keys, values : Tensor [batch, head, token, channel]
            Of the present call's positions.

        Returns
        -------
        tuple of Tensor [batch, head, all tokens, channel]
        """
        stored = self._entries.get(key)
        if stored is None or stored[0].shape[2] < self.length:
            stored = (self._grow(stored, 0, keys), self._grow(stored, 1, values))
            self._entries[key] = stored
        for room, new in zip(stored, (keys, values), strict=True):
            room[:, :, self.start : self.length] = new
        return stored[0][:, :, : self.length], stored[1][:, :, : self.length]

    def _grow(self, stored: tuple[Tensor, Tensor] | None, which: int, like: Tensor) -> Tensor:
        batch, heads, _, channels = like.shape
        room = like.new_empty(batch, heads, max(2 * self.start, self.length), channels)
        if stored is not None:
            room[:, :, : self.start] = stored[which][:, :, : self.start]
        return room

"""The key-value cache of a looped model: one entry per block of every iteration and position."""

from __future__ import annotations

import torch
from torch import Tensor

from latentkit.models.lookup import Lookup

__all__ = ["IterationCache"]


class IterationCache:
    """Keeps the keys and values of every block of every iteration, or of as many as the strategy says.

    A token's iteration i attends to the earlier tokens' same iteration i, as without a cache. The size per
    token is (prelude + iterations · core + coda) blocks, each with keys and values of the hidden size.

    Parameters
    ----------
    prelude, core : int
        Blocks of the prelude and of the core.
    lookup : Lookup
        What a token sees of positions whose iterations ended earlier, and which entries share a place.
    room : int
        Positions to make room for at once; more room is made when it runs out.

    Attributes
    ----------
    start : int
        Position of the first token of the present call.
    iteration : int
        Passes of the core finished in the present call.

    Notes
    -----
    Entries are written by position: reading out twice at one position overwrites the coda's entry, it does
    not add one. What a position lacks is looked up once, when a later token first asks for it, and then
    stays: nothing is added to a position after its call.
    """

    def __init__(
        self, *, prelude: int = 0, core: int = 1, lookup: Lookup | None = None, room: int = 0
    ) -> None:
        self._slots: dict[int, _Slot] = {}
        self._deepest: dict[
            int, tuple[int, _Slot]
        ] = {}  # by block: the largest key of this call, and entries
        self._prelude, self._core = prelude, core
        self._lookup = lookup or Lookup()
        self._room = room
        self._random = torch.Generator().manual_seed(0)
        self.start = 0
        self.length = 0
        self.iteration = 0

    def begin(self, tokens: int) -> None:
        """Make room for the next ``tokens`` positions and start counting iterations anew."""
        self.start, self.iteration = self.length, 0
        self.length += tokens
        if self.length > self._room:
            self._room = max(2 * self.start, self.length)
        self._deepest = {block: (-1, slot) for block, (_, slot) in self._deepest.items()}

    def update(self, key: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store this call's entries of block ``key`` and return those that it attends to.

        Parameters
        ----------
        key : int
            Which block of which iteration: prelude from 0, core after it, coda -1, -2, …
        keys, values : Tensor [batch, head, token, channel]
            Of the present call's positions.

        Returns
        -------
        tuple of Tensor [batch, head, seen token, channel]
            Oldest position first, the present ones last. Positions without an entry are looked up as the
            strategy says, or left out.
        """
        place = self._lookup.place(key, self._prelude, self._core)
        slot = self._slots.setdefault(place, _Slot())
        slot.write(self.start, self.length, self._room, keys, values)
        if self._lookup.rule == "always-last-m4" and place >= self._prelude:
            self._note_deepest(place, keys, values)
        if slot.settled < self.start:  # the calls in between ended before this iteration
            self._settle(place, slot)
        slot.settled = self.length
        return self._seen(place, slot) if slot.absent else slot.read(self.length)

    def _settle(self, place: int, slot: _Slot) -> None:
        """Look after the earlier positions that never got an entry here."""
        lacking = range(slot.settled, self.start)
        if self._lookup.rule in ("latest-m4", "available-m4"):
            # One iteration earlier in the same block: what that lacked was looked up before, so this is the
            # latest there is. Compression by r puts several blocks into one place; there may be no such one.
            earlier = place - self._core if place - self._core >= self._prelude else place - 1
            slot.copy(self._slots[earlier], lacking)
        else:
            slot.absent.update(lacking)

    def _seen(self, place: int, slot: _Slot) -> tuple[Tensor, Tensor]:
        """Return the entries of a place that some positions lack."""
        if self._lookup.rule == "always-last-m4":
            return self._deepest[place % self._core][1].read(self.length)
        if self._lookup.rule == "randomized":
            return self._drawn(place)
        present = torch.tensor([p for p in range(self.length) if p not in slot.absent])
        keys, values = slot.read(self.length)
        return keys[:, :, present.to(keys.device)], values[:, :, present.to(keys.device)]

    def _note_deepest(self, place: int, keys: Tensor, values: Tensor) -> None:
        """Keep, for each block, the entries of the largest key that each position has."""
        reached, slot = self._deepest.get(place % self._core, (-1, _Slot()))
        if place >= reached:
            slot.write(self.start, self.length, self._room, keys, values)
            self._deepest[place % self._core] = (place, slot)

    def _drawn(self, place: int) -> tuple[Tensor, Tensor]:
        """Draw, for each position, one of the entries that it has of the same block up to this key."""
        places = [p for p in self._slots if self._prelude <= p <= place and (place - p) % self._core == 0]
        keys, values = [], []
        for position in range(self.length):
            having = [p for p in places if self._slots[p].has(position)]
            chosen = having[int(torch.randint(len(having), (1,), generator=self._random))]
            slot = self._slots[chosen]
            keys.append(slot.keys[:, :, position])
            values.append(slot.values[:, :, position])
        return torch.stack(keys, dim=2), torch.stack(values, dim=2)


class _Slot:
    """Entries of one block at one iteration, for all positions."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        self.size = 0
        self.settled = 0  # positions before this one have an entry, or were looked up, or are absent
        self.absent: set[int] = set()

    def write(self, start: int, stop: int, room: int, keys: Tensor, values: Tensor) -> None:
        """Put the entries of positions start … stop − 1 in their places."""
        if stop > self.size:
            self._grow(room, keys)
        self.keys[:, :, start:stop] = keys
        self.values[:, :, start:stop] = values

    def read(self, stop: int) -> tuple[Tensor, Tensor]:
        """Return the entries of all positions before ``stop``."""
        return self.keys[:, :, :stop], self.values[:, :, :stop]

    def copy(self, source: _Slot, positions: range) -> None:
        """Take over another slot's entries of some positions."""
        part = slice(positions.start, positions.stop)
        self.keys[:, :, part] = source.keys[:, :, part]
        self.values[:, :, part] = source.values[:, :, part]

    def has(self, position: int) -> bool:
        """Say whether a position has an entry of its own here."""
        return position < self.settled and position not in self.absent

    def _grow(self, room: int, like: Tensor) -> None:
        batch, heads, _, channels = like.shape
        new = [like.new_empty(batch, heads, room, channels) for _ in range(2)]
        if self.size:
            for old, wider in zip((self.keys, self.values), new, strict=True):
                wider[:, :, : self.size] = old
        self.keys, self.values = new
        self.size = room

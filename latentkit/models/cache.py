"""Key-value cache of a looped model, with one entry per position, iteration and block."""

from __future__ import annotations

import torch
from torch import Tensor

from latentkit.models.lookup import Lookup

__all__ = ["IterationCache"]


class IterationCache:
    """Key-value cache over blocks and iterations.

    The lookup strategy sets how many iterations are stored; the default stores all of them. Iteration i of a
    token attends to iteration i of the earlier tokens, as it does without a cache. The size per token is
    (prelude + iterations · core + coda) blocks, each with keys and values of the hidden size.

    Parameters
    ----------
    prelude, core : int
        Number of blocks in the prelude and in the core.
    lookup : Lookup
        Which entries a token reads at positions that stopped at an earlier iteration, and which entries
        share a slot.
    room : int
        Number of positions for which memory is reserved at once; the cache grows when it is full.

    Attributes
    ----------
    start : int
        Position of the first token of the current call.
    iteration : int
        Number of core iterations completed in the current call.

    Notes
    -----
    Entries are written by position: a second readout at the same position overwrites the coda's entry. A
    missing entry is looked up once, when a later token first needs it, and does not change afterwards. No
    entry is added to a position after its own call.
    """

    def __init__(
        self, *, prelude: int = 0, core: int = 1, lookup: Lookup | None = None, room: int = 0
    ) -> None:
        self._slots: dict[int, _Slot] = {}
        # Block → (largest key of the current call, entries of the largest key of each position).
        self._deepest: dict[int, tuple[int, _Slot]] = {}
        self._prelude, self._core = prelude, core
        self._lookup = lookup or Lookup()
        self._room = room
        self._random = torch.Generator().manual_seed(0)
        self.start = 0
        self.length = 0
        self.iteration = 0

    def begin(self, tokens: int) -> None:
        """Reserve memory for the next ``tokens`` positions and reset the iteration count to 0."""
        self.start, self.iteration = self.length, 0
        self.length += tokens
        if self.length > self._room:
            self._room = max(2 * self.start, self.length)
        self._deepest = {block: (-1, slot) for block, (_, slot) in self._deepest.items()}

    def update(self, key: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store the entries of block ``key`` for the current call and return those that it attends to.

        Parameters
        ----------
        key : int
            Identifies block and iteration: 0, 1, … for the prelude, the following numbers for the core,
            -1, -2, … for the coda.
        keys, values : Tensor [batch, head, token, channel]
            Keys and values at the positions of the current call.

        Returns
        -------
        tuple of Tensor [batch, head, seen token, channel]
            Keys and values, oldest position first, positions of the current call last. For a position
            without an entry, the strategy selects another entry or omits the position.
        """
        place = self._lookup.place(key, self._prelude, self._core)
        slot = self._slots.setdefault(place, _Slot())
        slot.write(self.start, self.length, self._room, keys, values)
        if self._lookup.rule == "always-last-m4" and place >= self._prelude:
            self._note_deepest(place, keys, values)
        if slot.settled < self.start:  # the calls in between stopped before this iteration
            self._settle(place, slot)
        slot.settled = self.length
        return self._seen(place, slot) if slot.absent else slot.read(self.length)

    def _settle(self, place: int, slot: _Slot) -> None:
        """Copy entries for the earlier positions that lack one in this slot, or mark them as absent."""
        lacking = range(slot.settled, self.start)
        if self._lookup.rule in ("latest-m4", "available-m4"):
            # Entries of the same block one iteration earlier. Gaps there were filled before, so these are
            # the latest available entries. With compression by r, several blocks share a place, and the
            # place one iteration earlier may not exist.
            earlier = place - self._core if place - self._core >= self._prelude else place - 1
            slot.copy(self._slots[earlier], lacking)
        else:
            slot.absent.update(lacking)

    def _seen(self, place: int, slot: _Slot) -> tuple[Tensor, Tensor]:
        """Return the entries for a place at which some positions have no entry."""
        if self._lookup.rule == "always-last-m4":
            return self._deepest[place % self._core][1].read(self.length)
        if self._lookup.rule == "randomized":
            return self._drawn(place)
        present = torch.tensor([p for p in range(self.length) if p not in slot.absent])
        keys, values = slot.read(self.length)
        return keys[:, :, present.to(keys.device)], values[:, :, present.to(keys.device)]

    def _note_deepest(self, place: int, keys: Tensor, values: Tensor) -> None:
        """Store, for each block, the entries of the largest key at each position."""
        reached, slot = self._deepest.get(place % self._core, (-1, _Slot()))
        if place >= reached:
            slot.write(self.start, self.length, self._room, keys, values)
            self._deepest[place % self._core] = (place, slot)

    def _drawn(self, place: int) -> tuple[Tensor, Tensor]:
        """Draw, for each position, one of its entries of the same block with a key of at most ``place``."""
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
    """Keys and values of one block at one iteration, for all positions."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        self.size = 0
        self.settled = 0  # each position before this one has an entry, has a copied entry, or is absent
        self.absent: set[int] = set()

    def write(self, start: int, stop: int, room: int, keys: Tensor, values: Tensor) -> None:
        """Write the entries of the positions start … stop − 1."""
        if stop > self.size:
            self._grow(room, keys)
        self.keys[:, :, start:stop] = keys
        self.values[:, :, start:stop] = values

    def read(self, stop: int) -> tuple[Tensor, Tensor]:
        """Return the entries of all positions before ``stop``."""
        return self.keys[:, :, :stop], self.values[:, :, :stop]

    def copy(self, source: _Slot, positions: range) -> None:
        """Copy the entries of some positions from another slot."""
        part = slice(positions.start, positions.stop)
        self.keys[:, :, part] = source.keys[:, :, part]
        self.values[:, :, part] = source.values[:, :, part]

    def has(self, position: int) -> bool:
        """Return whether a position has an entry of its own in this slot."""
        return position < self.settled and position not in self.absent

    def _grow(self, room: int, like: Tensor) -> None:
        batch, heads, _, channels = like.shape
        new = [like.new_empty(batch, heads, room, channels) for _ in range(2)]
        if self.size:
            for old, wider in zip((self.keys, self.values), new, strict=True):
                wider[:, :, : self.size] = old
        self.keys, self.values = new
        self.size = room

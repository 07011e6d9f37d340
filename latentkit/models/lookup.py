"""Lookup strategies of the cache: which entries a token reads, and which entries are stored."""

from __future__ import annotations

import re
from typing import NamedTuple

from latentkit.errors import ArgumentError, nearest

__all__ = ["LOOKUPS", "Lookup", "parse_lookup"]

#: Rules for positions without an entry. The names are from the released code, where "m4" refers to Huginn's
#: four core blocks; here it refers to the model's own number of core blocks.
LOOKUPS = ("full", "latest-m4", "available-m4", "always-last-m4", "skip", "randomized")

_EXAMPLES = (*LOOKUPS, "latest-m4-compress-s16", "latest-m4-compress-r4", "latest-m4-compress-anchor")
_FORM = re.compile(
    rf"(?P<rule>{'|'.join(LOOKUPS)})?(?P<dash>-)?(?:compress-(?:(?P<kind>[sr])(?P<count>\d+)|(?P<anchor>anchor)))?"
)
_ANCHORED = 8  # number of first iterations that "anchor" stores separately


class Lookup(NamedTuple):
    """Lookup strategy of a cache.

    Attributes
    ----------
    rule : str
        Which entry is read at a position without an entry; one of `LOOKUPS`.
    kind : str
        How entries share a slot: ``""`` (no sharing), ``"s"``, ``"r"`` or ``"anchor"``.
    size : int
        The number after ``s`` or ``r``.
    """

    rule: str = "full"
    kind: str = ""
    size: int = 0

    def place(self, key: int, prelude: int, core: int) -> int:
        """Return the key under which the entries of a block are stored; only core blocks share a key."""
        inner = key - prelude
        if not self.kind or key < 0 or inner < 0:
            return key
        if self.kind == "s":
            return prelude + inner % self.size
        if self.kind == "r":
            return prelude + inner // self.size
        fixed = _ANCHORED * core
        return key if inner < fixed else prelude + fixed + (inner - fixed) % core

    def iterations_kept(self, iterations: int, core: int) -> float:
        """Return the number of iterations whose entries are stored when ``iterations`` are run."""
        if self.kind == "s":
            return min(iterations, self.size / core)
        if self.kind == "r":
            return max(1.0, iterations / self.size)
        return min(iterations, _ANCHORED + 1) if self.kind else iterations


def parse_lookup(name: str) -> Lookup:
    """Parse the name of a strategy, such as ``"latest-m4-compress-s16"``.

    Raises
    ------
    ArgumentError
        If the name is unknown.

    Examples
    --------
    >>> parse_lookup("latest-m4-compress-s16")
    Lookup(rule='latest-m4', kind='s', size=16)
    """
    found = _FORM.fullmatch(str(name)) if name else None
    if found is not None:
        rule, dash, kind, count, anchor = found.group("rule", "dash", "kind", "count", "anchor")
        compressed = bool(kind or anchor)
        if bool(dash) == bool(rule and compressed) and count != "0":
            return Lookup(rule or "latest-m4", kind or anchor or "", int(count or 0))
    msg = f"No cache lookup named {name!r}. {nearest(str(name), _EXAMPLES)} "
    raise ArgumentError(msg + "Any whole number of at least 1 may follow compress-s and compress-r.")

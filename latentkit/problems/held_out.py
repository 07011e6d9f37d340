"""Choice of the held-out problems, which do not occur in training.

The choice depends only on the problem: a table (for an addition, its two numbers) is held out if its digest
falls into one of sixteen classes. The facts have no tables; in `latentkit.problems.facts.chains`
pairs of names are held out.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["HELD_OUT_ONE_IN", "is_held_out", "shows_held_out_addition"]

HELD_OUT_ONE_IN = 16


def is_held_out(kind: str, table: str) -> bool:
    """Return whether problems with this table belong to the held-out split.

    Parameters
    ----------
    kind : str
        One of `latentkit.problems.KINDS` except "facts".
    table : str
        The table as printed in a problem, or ``"12+345"`` for an addition, the smaller number first. The
        order of the entries does not matter: the same map in another order is the same problem.

    Examples
    --------
    >>> is_held_out("composition", "Map AB BC CA:") == is_held_out("composition", "Map CA AB BC:")
    True
    """
    entries = " ".join(sorted(table.replace(";", "").replace(":", "").split()))
    digest = hashlib.blake2b(f"{kind}:{entries}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0


_SUM = re.compile(r"(?<![\d.,])(\d{1,3}) ?(?:\+|plus|and) ?(\d{1,3})(?![\d.,]*\d)")


def shows_held_out_addition(text: str) -> bool:
    """Return whether a text contains a held-out addition with a number of two or three digits.

    Sums of two single digits occur in most texts, so they are not excluded.
    """
    pairs = (sorted(map(int, match.groups())) for match in _SUM.finditer(text))
    return any(b > 9 and is_held_out("addition", f"{a}+{b}") for a, b in pairs)

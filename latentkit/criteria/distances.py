"""Distance and angle between states."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

__all__ = ["Array", "cosine", "distance"]

Array = Any  # a numpy array or a torch tensor


def distance(a: Array, b: Array) -> Array:
    """Euclidean distance ‖a − b‖₂.

    Parameters
    ----------
    a, b : array [..., hidden]

    Returns
    -------
    array [...]

    Examples
    --------
    >>> import numpy as np
    >>> float(distance(np.array([0.0, 3.0]), np.array([4.0, 0.0])))
    5.0
    """
    return array_namespace(a, b).linalg.vector_norm(a - b, axis=-1)


def cosine(a: Array, b: Array) -> Array:
    """Cosine of the angle between a and b; NaN where one of them is zero.

    Parameters
    ----------
    a, b : array [..., hidden]

    Returns
    -------
    array [...]
        Between -1 and 1.
    """
    xp = array_namespace(a, b)
    lengths = xp.linalg.vector_norm(a, axis=-1) * xp.linalg.vector_norm(b, axis=-1)
    ratio = xp.sum(a * b, axis=-1) / xp.where(lengths > 0, lengths, xp.nan)
    return xp.clip(ratio, -1.0, 1.0)

"""Mean over prompts with its 95 % interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["mean_interval"]

Array = np.ndarray[Any, Any]


def mean_interval(values: Array, *, level: float = 0.95) -> tuple[Array, Array, Array]:
    """Mean over the first axis, with the interval of Student's t.

    Parameters
    ----------
    values : array [prompt, ...]
    level : float
        How often such intervals hold the true mean, where the values are normally distributed.

    Returns
    -------
    tuple of array [...]
        Mean, lower and upper bound; the bounds are NaN for a single prompt.

    Examples
    --------
    >>> mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    >>> float(mean), round(float(low), 3), round(float(high), 3)
    (2.0, -0.484, 4.484)
    """
    count = len(values)
    mean = values.mean(0)
    if count < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = student_quantile(count - 1, level) * values.std(0, ddof=1) / math.sqrt(count)
    return mean, (mean - half).astype(mean.dtype), (mean + half).astype(mean.dtype)


def student_quantile(degrees: int, level: float) -> float:
    """Return t such that Student's t lies between -t and t with probability ``level``.

    With t = √n tan u the density becomes cos^(n−1) u, smooth on a finite interval: Simpson's rule does.

    Examples
    --------
    >>> [round(student_quantile(n, 0.95), 3) for n in (1, 2, 10, 100)]
    [12.706, 4.303, 2.228, 1.984]
    """
    u = np.linspace(0, math.pi / 2, 20001)
    density = np.cos(u) ** (degrees - 1)
    steps = (density[:-2:2] + 4 * density[1:-1:2] + density[2::2]) / 3
    share = np.concatenate([[0.0], np.cumsum(steps)])
    angle = float(np.interp(level, share / share[-1], u[::2]))
    return math.sqrt(degrees) * math.tan(angle)

"""Mean over seeds or prompts with a confidence interval."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import xarray as xr

from latentkit.arguments import confidence_level
from latentkit.trace import need_dim

__all__ = ["geometric_mean_interval", "mean_interval", "t_quantile"]


def mean_interval(values: xr.DataArray, dim: str = "seed", *, confidence: float = 0.95) -> xr.Dataset:
    """Mean over a dimension with Student's confidence interval.

    Parameters
    ----------
    values : DataArray [..., dim]
        Independent repetitions along ``dim``; where one of them is NaN, the mean is NaN.
    dim : str
        The dimension of the repetitions.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Dataset [...]
        ``mean``, ``low`` and ``high``, in the units of the values; one repetition has no interval (NaN).

    Raises
    ------
    TraceError
        If there is no such dimension.
    ArgumentError
        If ``confidence`` is not between 0 and 1.

    Examples
    --------
    >>> found = mean_interval(xr.DataArray([1.0, 2.0, 3.0], dims="seed"))
    >>> [round(found[name].item(), 3) for name in ("low", "mean", "high")]
    [-0.484, 2.0, 4.484]
    """
    need_dim(values, dim, f"Pass values of several repetitions along {dim!r}.")
    confidence = confidence_level(confidence)
    count = values.sizes[dim]
    mean = values.mean(dim, skipna=False)
    if count < 2:
        half = xr.full_like(mean, np.nan)
    else:
        deviation = values.std(dim, ddof=1, skipna=False)
        half = t_quantile((1 + confidence) / 2, count - 1) / math.sqrt(count) * deviation
    return xr.Dataset({"mean": mean, "low": mean - half, "high": mean + half})


def geometric_mean_interval(
    values: xr.DataArray, dim: str = "seed", *, confidence: float = 0.95
) -> xr.Dataset:
    """Geometric mean over a dimension, with the confidence interval of the mean logarithm.

    Parameters
    ----------
    values : DataArray [..., dim]
        Independent repetitions along ``dim``. Values that are not positive and finite count as NaN, and a
        mean with one is NaN.
    dim : str
        Dimension of the repetitions.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Dataset [...]
        ``mean``, ``low`` and ``high``, in the units of the values; one repetition has no interval (NaN).

    Raises
    ------
    TraceError, ArgumentError
        As `mean_interval`.

    Examples
    --------
    >>> found = geometric_mean_interval(xr.DataArray([1.0, 10.0, 100.0], dims="seed"))
    >>> round(found["mean"].item(), 6)
    10.0
    """
    need_dim(values, dim, f"Pass values of several repetitions along {dim!r}.")
    positive = values.where((values > 0) & np.isfinite(values))
    found = mean_interval(positive.copy(data=np.log(positive.values)), dim, confidence=confidence)
    return found.map(np.exp)


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's distribution, for ``probability`` above one half.

    Exact for one and two degrees of freedom, else by Newton's method on the distribution function, whose
    value for whole degrees is a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4).

    Examples
    --------
    >>> [round(t_quantile(0.975, freedom), 3) for freedom in (1, 2, 4, 9, 30)]
    [12.706, 4.303, 2.776, 2.262, 2.042]
    """
    t = NormalDist().inv_cdf(probability) if freedom > 2 else 1.0
    if freedom == 1:
        return math.tan(math.pi * (probability - 0.5))
    if freedom == 2:
        p = 2 * probability - 1
        return p * math.sqrt(2 / (1 - p * p))
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    for _ in range(50):
        density = math.exp(log_scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))
        step = (_t_distribution(t, freedom) - probability) / density
        t -= step
        if abs(step) < 1e-12 * t:
            break
    return t


def _t_distribution(t: float, freedom: int) -> float:
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine, cosine) if odd else (1.0, 1.0)
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    middle = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + middle / 2

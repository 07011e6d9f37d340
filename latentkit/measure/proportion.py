"""Share of right answers with a confidence interval."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import xarray as xr

from latentkit.arguments import confidence_level, shown_value, whole_number
from latentkit.errors import ArgumentError

__all__ = ["share_interval"]


def share_interval(right: xr.DataArray, of: xr.DataArray | int, *, confidence: float = 0.95) -> xr.Dataset:
    """Share of successes with Wilson's confidence interval.

    Parameters
    ----------
    right : DataArray [...]
        Number of successes.
    of : DataArray or int
        Number of trials.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Dataset [...]
        ``share``, ``low`` and ``high``, all from 0 to 1.

    Raises
    ------
    ArgumentError
        If ``confidence`` is not between 0 and 1, or not 0 ≤ ``right`` ≤ ``of`` and ``of`` > 0.

    Notes
    -----
    The interval contains every true share that a score test does not reject [1]_. Unlike the share plus and
    minus its standard error it has a positive length where all or none succeed, and lies within [0, 1]; it is
    recommended for few trials too [2]_. The trials must be independent.

    References
    ----------
    .. [1] Wilson (1927), Probable inference, the law of succession, and statistical inference, *Journal of
       the American Statistical Association* 22, 209-212.
    .. [2] Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion, *Statistical
       Science* 16, 101-133.

    Examples
    --------
    >>> found = share_interval(xr.DataArray([0, 8, 10], dims="task"), 10)
    >>> found.low.values.round(3).tolist(), found.high.values.round(3).tolist()
    ([0.0, 0.49, 0.722], [0.278, 0.943, 1.0])
    """
    confidence = confidence_level(confidence)
    if not isinstance(right, xr.DataArray):
        msg = f"`right` is {shown_value(right)}; pass an xarray.DataArray with numbers of successes."
        raise ArgumentError(msg)
    if not isinstance(of, xr.DataArray):
        of = whole_number("of", of, least=0)
    tried = xr.zeros_like(right, dtype=float) + of
    if not ((tried > 0) & (right >= 0) & (right <= tried)).all():
        msg = "`right` must lie between 0 and `of`, and `of` must be above 0."
        raise ArgumentError(msg)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / tried
    centre = (share + z * z / (2 * tried)) / (1 + z * z / tried)
    spread = np.sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    half = z / (1 + z * z / tried) * spread
    low = (centre - half).clip(min=0.0).where(right > 0, 0.0)  # exactly, not up to rounding
    high = (centre + half).clip(max=1.0).where(right < tried, 1.0)
    return xr.Dataset({"share": share, "low": low, "high": high})

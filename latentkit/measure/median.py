"""Median distance of the tokens of a trace, with a band."""

from __future__ import annotations

import numpy as np
import xarray as xr

from latentkit.arguments import real_number
from latentkit.measure.settling import distances

__all__ = ["median_distance"]


def median_distance(trace: xr.Dataset, *, band: float = 0.8) -> xr.Dataset:
    """Median distance over the tokens at each iteration, with the band of the middle tokens.

    Parameters
    ----------
    trace : Dataset [token, iteration]
        A trace from ``run_recurrence``.
    band : float
        Share of the tokens between ``low`` and ``high``, above 0 and at most 1.

    Returns
    -------
    Dataset [iteration]
        ``median``, ``low`` and ``high``; NaN where the distance of a token is not finite.

    Raises
    ------
    TraceError
        If there are no distances over iterations.
    ArgumentError
        If ``band`` is not above 0 and at most 1.

    Examples
    --------
    >>> distance = [[9.0, 3.0], [8.0, 1.0], [7.0, 2.0]]
    >>> found = median_distance(xr.Dataset({"distance": (("token", "iteration"), distance)}), band=1)
    >>> found["median"].values.tolist(), found.low.values.tolist(), found.high.values.tolist()
    ([8.0, 2.0], [7.0, 1.0], [9.0, 3.0])
    """
    allowed = "a share of the tokens above 0 and at most 1, such as 0.8"
    band = real_number("band", band, allowed, above=0, most=1)
    distance = distances(trace)
    known = distance.where(np.isfinite(distance))
    edge = (1 - band) / 2
    shares = {"median": 0.5, "low": edge, "high": 1 - edge}
    return xr.Dataset(
        {
            name: known.quantile(share, "token", skipna=False).drop_vars("quantile")
            for name, share in shares.items()
        }
    )

"""Colour scales of layer pictures: linear, logarithmic or robust, chosen by the values or by the caller."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from latentkit.arguments import one_of
from latentkit.view.limits import check_limits, within_span

__all__ = ["ColourScale", "ScaleName", "choose_scale", "colour_scale", "describe_scale"]

ScaleName = Literal["linear", "log", "robust"]

_SCALES = ("linear", "log", "robust")
_LOWEST = 0.1  # the share of a linear scale in which its palest colours lie
_PERCENTILE = 90.0  # one row of nine lies above it


class ColourScale(NamedTuple):
    """A colour scale: its name and the values at its ends."""

    name: ScaleName
    low: float
    high: float


def colour_scale(
    values: np.ndarray[Any, Any],
    scale: ScaleName | None = None,
    *,
    vmin: float | None = None,
    vmax: float | None = None,
) -> ColourScale:
    """Return the colour scale of values, with its ends checked.

    Parameters
    ----------
    values : ndarray
        Values of all cells; NaN is unknown.
    scale : {"linear", "log", "robust"}, optional
        By default "linear" if an end is passed, otherwise `choose_scale` of the values.
    vmin, vmax : float, optional
        Ends of the scale. By default the smallest and the largest value; "log" extends at most over four
        powers of ten, "robust" to the 90th percentile.

    Raises
    ------
    ArgumentError
        If the scale is unknown, or an end is invalid.

    Examples
    --------
    >>> colour_scale(np.array([0.0, 0.1, 0.2, 20.0]))
    ColourScale(name='log', low=0.1, high=20.0)
    >>> colour_scale(np.array([0.0, 0.1, 0.2, 20.0]), "robust")
    ColourScale(name='robust', low=0.0, high=0.2)
    """
    if scale is not None:
        one_of("scale", scale, _SCALES)
    name: ScaleName = scale or (choose_scale(values) if vmin is None and vmax is None else "linear")
    low, high = check_limits(_within(values, name), vmin, vmax, log=name == "log")
    return ColourScale(name, low, high)


def choose_scale(values: np.ndarray[Any, Any]) -> ScaleName:
    """Return "log" if at least half of the values lie in the lowest tenth of a linear scale, else "linear".

    Examples
    --------
    >>> choose_scale(np.array([0.1, 0.2, 20.0])), choose_scale(np.array([0.2, 0.8, 1.4]))
    ('log', 'linear')
    """
    known = values[np.isfinite(values)]
    if not known.size or known.min() < 0 or known.max() <= 0:
        return "linear"
    low, high = float(known.min()), float(known.max())
    return "log" if high > low and np.median(known) <= low + _LOWEST * (high - low) else "linear"


def describe_scale(scale: ColourScale, values: np.ndarray[Any, Any]) -> str:
    """Return the words for a colour bar: "log scale", the number of clipped cells, or nothing.

    Examples
    --------
    >>> values = np.array([0.0, 0.1, 0.2, 20.0])
    >>> describe_scale(colour_scale(values, "robust"), values)
    'clipped at the 90th percentile: 1 cell above'
    """
    if scale.name == "log":
        return "log scale"
    above = int((values > scale.high).sum())
    if scale.name == "linear" or not above:
        return ""
    cells = "cell" if above == 1 else "cells"
    return f"clipped at the {_PERCENTILE:g}th percentile: {above} {cells} above"


def _within(values: np.ndarray[Any, Any], name: ScaleName) -> np.ndarray[Any, Any]:
    """Return the values that determine the ends of a scale."""
    if name == "log":
        return within_span(values)
    known: np.ndarray[Any, Any] = values[np.isfinite(values)]
    if known.size and name == "robust":
        known = known[known <= np.percentile(known, _PERCENTILE, method="lower")]
    return known

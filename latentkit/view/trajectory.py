"""Trajectories of latent states: the principal components and tokens that a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from latentkit.errors import ArgumentError
from latentkit.measure import principal_components
from latentkit.view.selection import need_kind

__all__ = ["check_components", "fit_components"]


def check_components(components: Any) -> list[int]:
    """Return the numbers of two or three principal components, counted from 1.

    Raises
    ------
    ArgumentError
        If they are not two or three different whole numbers from 1.
    """
    numbers = list(components) if isinstance(components, Sequence) else []
    whole = all(isinstance(number, (int, np.integer)) and number >= 1 for number in numbers)
    if len(numbers) not in (2, 3) or not whole or len(set(numbers)) < len(numbers):
        msg = (
            f"`components` must be two or three different numbers from 1, such as (1, 2), got {components!r}."
        )
        raise ArgumentError(msg)
    return numbers


def fit_components(trace: xr.Dataset, components: Sequence[int]) -> xr.Dataset:
    """Return the principal components of a trace; a dataset that holds them already is returned unchanged.

    Raises
    ------
    TraceError
        If the trace has no states.
    ArgumentError
        If fewer components were fitted than ``components`` needs.
    """
    if "score" not in getattr(trace, "variables", ()):
        need_kind(trace, "recurrence")
        trace = principal_components(trace, components=max(components))
    if max(components) > trace.sizes["component"]:
        msg = f"`components` asks for PC{max(components)}, but only {trace.sizes['component']} were fitted."
        raise ArgumentError(msg)
    return trace

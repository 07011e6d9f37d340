"""Principal components of latent states, fitted to all trajectories together."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from latentkit.arguments import whole_number
from latentkit.errors import TraceError
from latentkit.trace.checking import need_dataset

__all__ = ["principal_components", "states"]


def principal_components(trace: xr.Dataset, *, components: int = 3) -> xr.Dataset:
    """Principal components of the latent states.

    Parameters
    ----------
    trace : Dataset [token, iteration, hidden]
        A trace run with ``keep_states=True``, with or without a dimension ``seed``.
    components : int
        Number of components.

    Returns
    -------
    Dataset [token, iteration, component]
        ``score``, the states in these directions, the mean being 0; ``direction`` [component, hidden] of
        length 1; ``explained`` [component], share of the variance; ``mean`` [hidden].
        ``component`` counts from 1, as in PC1.

    Raises
    ------
    TraceError
        If the trace has no states.
    ArgumentError
        If there are fewer directions than that.

    Notes
    -----
    Fitted to all tokens, iterations and seeds together, so points of different tokens can be compared. The
    sign of a component is arbitrary; here its largest coordinate is positive, so that runs are comparable.

    Examples
    --------
    States on a line have one component:

    >>> state = np.arange(3.0)[None, :, None] * np.array([0.6, -0.8])
    >>> trace = xr.Dataset({"state": (("token", "iteration", "hidden"), state)})
    >>> found = principal_components(trace, components=1)
    >>> found.direction.values.round(3).tolist(), found.explained.values.round(3).tolist()
    ([[-0.6, 0.8]], [1.0])
    """
    state = states(trace)
    points = state.values.reshape(-1, state.sizes["hidden"])
    most = min(points.shape)
    components = whole_number("components", components, least=1, most=most)
    mean = points.mean(axis=0)
    centred = points - mean
    directions, explained = _directions(centred, components)
    cells = [dim for dim in state.dims if dim != "hidden"]
    score = (centred @ directions.T).reshape(*state.shape[:-1], components)
    coords = {name: coord for name, coord in state.coords.items() if "hidden" not in coord.dims}
    return xr.Dataset(
        {
            "score": ((*cells, "component"), score, {"long_name": "principal component"}),
            "direction": (("component", "hidden"), directions, {"long_name": "direction of the component"}),
            "explained": ("component", explained, {"long_name": "share of the variance"}),
            "mean": ("hidden", mean, {"long_name": "mean state"}),
        },
        coords={**coords, "component": np.arange(1, components + 1)},
        attrs=dict(trace.attrs),
    )


def states(trace: xr.Dataset) -> xr.DataArray:
    """Normalised latent states of a trace, float64, the hidden dimension last."""
    need_dataset(trace)
    if "state" not in trace.variables:
        msg = "This trace has no latent states. Run with keep_states=True."
        raise TraceError(msg)
    state = trace["state"].transpose(..., "token", "iteration", "hidden").astype(float)
    return state.assign_coords(token=state["token"], iteration=state["iteration"])


def _directions(
    centred: np.ndarray[Any, np.dtype[np.float64]], count: int
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Leading eigenvectors of the covariance, by whichever of the two Gram matrices is smaller."""
    points, hidden = centred.shape
    wide = hidden > points
    gram = centred @ centred.T if wide else centred.T @ centred
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    directions = (centred.T @ vectors if wide else vectors).T
    directions = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-300)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    total = max(float(np.trace(gram)), 1e-300)
    return directions * np.where(largest < 0, -1.0, 1.0), np.maximum(values, 0.0) / total

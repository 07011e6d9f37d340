"""`slide`: sliders over any result that has a view with sliders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ipywidgets as widgets
import xarray as xr

from latentkit.arguments import is_name_of
from latentkit.errors import ArgumentError, TraceError, nearest
from latentkit.sliders.convergence import convergence_sliders
from latentkit.sliders.decoding import decoding_sliders
from latentkit.sliders.exits import exit_sliders
from latentkit.sliders.layers import layer_sliders
from latentkit.sliders.readout import readout_sliders
from latentkit.sliders.trajectory import trajectory_sliders
from latentkit.trace import trace_kind
from latentkit.view.scale import ScaleName

__all__ = ["VIEWS", "View", "slide"]


class View(NamedTuple):
    """One way to show a result with sliders.

    Attributes
    ----------
    kinds : tuple of str
        Kinds of results that it shows; "components" is a dataset from `measure.principal_components`.
    make : callable
        Function that returns the widget.
    arguments : tuple of str
        Arguments of `slide` that it takes.
    """

    kinds: tuple[str, ...]
    make: Callable[..., widgets.VBox]
    arguments: tuple[str, ...]


#: Views by name. The first one that shows a kind is the default of that kind.
VIEWS: dict[str, View] = {
    "convergence": View(("recurrence",), convergence_sliders, ("tokens", "iteration", "vmin", "vmax")),
    "readout": View(("recurrence",), readout_sliders, ("token", "iteration")),
    "trajectory": View(
        ("recurrence", "components"), trajectory_sliders, ("tokens", "iteration", "components")
    ),
    "decoding": View(("decoding",), decoding_sliders, ("token", "iteration")),
    "exits": View(("decoding",), exit_sliders, ("token", "criterion")),
    "layers": View(("layers",), layer_sliders, ("scale", "vmin", "vmax")),
}


def slide(
    result: xr.Dataset | Sequence[xr.Dataset],
    view: str | None = None,
    *,
    tokens: slice | None = None,
    token: int | None = None,
    iteration: int | None = None,
    scale: ScaleName | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    criterion: str | None = None,
    components: Sequence[int] | None = None,
) -> widgets.VBox:
    """Show a result with sliders. No model runs: every change redraws what the result holds.

    Parameters
    ----------
    result : Dataset or sequence of Dataset
        A trace, just made or opened from a file, or its `measure.principal_components`. Several comparisons
        of layers, made with different ``iterations=``, add the slider "Iterations".
    view : {"convergence", "readout", "trajectory", "decoding", "exits", "layers"}, optional
        What to show:

        - a trace from ``run_recurrence``: "convergence" (default), `plot_convergence` up to an iteration;
          "readout", the likeliest next tokens at an iteration; "trajectory", `plot_trajectory` up to an
          iteration, for which the trace needs ``keep_states=True``;
        - a trace from ``run_decoding``: "decoding" (default), the text if every token had stopped at an
          iteration; "exits", where an exit criterion would have stopped each token;
        - a comparison of layers: "layers", `plot_layer_kl` of some of its layers and tokens.
    tokens : slice, optional
        Tokens shown at first by "convergence" (default: all) and "trajectory" (default: the last six), as for
        `plot_convergence`.
    token : int, optional
        Token whose readout "readout" (default: the last), "decoding" and "exits" (default: the first) show at
        first.
    iteration : int, optional
        Iteration at first; by default the last, for "readout" the first.
    scale : {"linear", "log", "robust"}, optional
        Colour scale of "layers", as for `plot_layer_kl`; by default chosen by the values of all results.
    vmin, vmax : float, optional
        Ends of the colour scale of "convergence" and "layers". By default the smallest and the largest value
        shown at first. A colour has the same meaning at every position of the sliders.
    criterion : str, optional
        Exit criterion of "exits" at first; by default "kl".
    components : sequence of int, optional
        Two or three principal components of "trajectory"; by default (1, 2). Three are drawn in 3D, with one
        more slider for the viewing direction.

    Returns
    -------
    VBox
        The sliders above their output. All of them work with the arrow keys.

    Raises
    ------
    TraceError
        If the result is not a trace, or lacks what the view shows.
    ArgumentError
        If the result has no such view, the view does not take an argument, or an argument is invalid.

    Notes
    -----
    A notebook without a kernel shows no sliders: end the next cell with the ``plot_`` function of the view.
    """
    results = [result] if isinstance(result, xr.Dataset) or not isinstance(result, Sequence) else list(result)
    kind = _kind(results)
    name = _default(kind) if view is None else view
    if not is_name_of(name, _views(kind)):
        msg = f"A result of the kind {kind!r} has no view {name!r}. {nearest(str(name), _views(kind))}"
        raise ArgumentError(msg)
    arguments = {
        "tokens": tokens, "token": token, "iteration": iteration, "scale": scale, "vmin": vmin,
        "vmax": vmax, "criterion": criterion, "components": components,
    }  # fmt: skip
    given = {key: value for key, value in arguments.items() if value is not None}
    if unused := [key for key in given if key not in VIEWS[name].arguments]:
        msg = f"The view {name!r} takes no `{unused[0]}`. {nearest(unused[0], VIEWS[name].arguments)}"
        raise ArgumentError(msg)
    shown: Any = results if kind == "layers" else results[0]
    return VIEWS[name].make(shown, **given)


def _kind(results: list[Any]) -> str:
    """Return the kind of the results; only several comparisons of layers can be shown together."""
    if not results:
        msg = "`slide` needs at least one result, got none. Pass what a `run_*` function returns."
        raise ArgumentError(msg)
    kinds = [
        "components" if "score" in getattr(result, "variables", ()) else trace_kind(result).name
        for result in results
    ]
    if len(kinds) > 1 and set(kinds) != {"layers"}:
        found = " and ".join(repr(kind) for kind in dict.fromkeys(kinds))
        msg = (
            f"Several results must be comparisons of layers, got {len(kinds)} of the kind {found}. Pass one."
        )
        raise ArgumentError(msg)
    return kinds[0]


def _views(kind: str) -> list[str]:
    return [name for name, view in VIEWS.items() if kind in view.kinds]


def _default(kind: str) -> str:
    if not _views(kind):
        shown = ", ".join(
            repr(kind) for kind in dict.fromkeys(k for view in VIEWS.values() for k in view.kinds)
        )
        msg = f"There are no sliders for a trace of the kind {kind!r}. `slide` shows the kinds {shown}."
        raise TraceError(msg)
    return _views(kind)[0]

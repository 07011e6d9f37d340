"""`explore`: an interactive heatmap of a trace, in a live notebook, a saved notebook or a separate page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets
import xarray as xr

from latentkit.arguments import new_file, shown_value
from latentkit.errors import ArgumentError, TraceError, nearest
from latentkit.explorer.choices import (
    Real,
    Whole,
    check_limits,
    check_name,
    check_position,
    check_range,
    check_threshold,
)
from latentkit.explorer.data import pack, unpack_header
from latentkit.explorer.page import embedded, module, page, style
from latentkit.explorer.picture import static_pictures
from latentkit.files import write_file
from latentkit.trace.checking import need_dataset
from latentkit.view.kinds import grid_of
from latentkit.view.selection import token_rows

__all__ = ["TraceExplorer", "explore"]

_LARGEST = 1_500_000  # bytes; a larger block is not stored in a notebook, only by `save_html`
_CHOICES = (
    *("iteration", "token", "token_range", "variable", "colormap", "scale", "vmin", "vmax"),
    *("criterion", "threshold", "theme"),
)


class TraceExplorer(anywidget.AnyWidget):
    """Widget that shows a trace as a heatmap with sliders, a cursor, readouts and a threshold.

    `explore` makes it. Every attribute is a trait: it can be read, set, observed, and linked to other widgets
    with ``ipywidgets.jslink``.

    Attributes
    ----------
    iteration : int
        Selected column: an iteration; in a comparison of layers the generated token.
    token : int
        Selected row: a token's position; in a decoding its number among the generated tokens; in a comparison
        of layers the layer.
    token_range : [int, int]
        First and last token shown.
    variable : str
        Variable shown in colour: "distance", "kl", "entropy" or "step_size", if the trace has it.
    colormap : {"viridis", "cividis", "YlOrRd"}
    scale : {"", "log", "linear"}
        Colour scale; "" is the default of the variable.
    vmin, vmax : float or None
        Ends of the colour scale, as in matplotlib; None for the smallest and largest value shown. On a
        logarithmic scale they must be above 0. An end that a later choice of scale or variable cannot show
        is automatic.
    criterion : str
        Name of an exit rule that the trace has the numbers for; "" for settling: staying below the threshold.
    threshold : float or None
        Threshold of the criterion. None is 1 % of each token's first value for settling, and the default
        of an exit rule.
    theme : {"auto", "light", "dark"}
        "auto" follows the surrounding page.
    """

    _esm = module()
    _css = style()

    data = traitlets.Bytes().tag(sync=True)
    iteration = Whole().tag(sync=True)
    token = Whole().tag(sync=True)
    token_range = traitlets.List(Whole()).tag(sync=True)
    variable = traitlets.Unicode().tag(sync=True)
    colormap = traitlets.Unicode().tag(sync=True)
    scale = traitlets.Unicode().tag(sync=True)
    vmin = Real(allow_none=True, default_value=None).tag(sync=True)
    vmax = Real(allow_none=True, default_value=None).tag(sync=True)
    criterion = traitlets.Unicode().tag(sync=True)
    threshold = Real(allow_none=True, default_value=None).tag(sync=True)
    theme = traitlets.Unicode("auto").tag(sync=True)

    def __init__(self, traces: Sequence[xr.Dataset], names: Sequence[str], **choices: Any) -> None:
        block = self._take(traces, names)
        panel = self._header["panels"][0]
        start = {
            "iteration": panel["columns"][-1],
            "token": panel["rows"][-1],
            "token_range": [min(panel["rows"]), max(panel["rows"])],
            "variable": self._header["variables"][0]["name"],
            "colormap": self._header["map"],
        }
        super().__init__(data=block, **(start | choices))

    def show(self, *traces: xr.Dataset) -> None:
        """Show another trace, or another two, in the same explorer; choices that still apply are kept.

        Parameters
        ----------
        *traces : Dataset
            As for `explore`.
        """
        names = [panel["name"] for panel in self._header["panels"]]
        names = names if len(names) == len(traces) else _names(traces, None)
        before = self._header["panels"][0]["rows"]
        block = self._take(traces, names)
        panel, variables = self._header["panels"][0], [one["name"] for one in self._header["variables"]]
        rows, columns = panel["rows"], panel["columns"]
        kept = {
            "iteration": min(max(self.iteration, columns[0]), columns[-1]),
            "token": self.token if self.token in rows else rows[-1],
            "token_range": self.token_range if before == rows else [min(rows), max(rows)],
            "variable": self.variable if self.variable in variables else variables[0],
        }
        if self.criterion not in [rule["name"] for rule in self._header["rules"]]:
            kept |= {"criterion": ""}
        with self.hold_sync():
            self.data = block
            for name, value in kept.items():
                setattr(self, name, value)

    def save_html(self, path: str | os.PathLike[str], *, title: str | None = None) -> Path:
        """Save the explorer in its current state as one HTML file that needs no network.

        Parameters
        ----------
        path : path
            For example ``"faust.html"``.
        title : str, optional
            Heading of the page; by default the model's name.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ArgumentError
            If the path is not one, or its folder does not exist.
        FileError
            If the file cannot be written; an earlier one is then unchanged.
        """
        path = new_file("path", path, "faust.html")
        alt = " ".join(picture.alt for picture in self._pictures())
        title = title or f"A trace of {' and '.join(_names(self._traces, None))}"
        return write_file(path, page(self.data, self._choices(), title=title, alt=alt))

    def _take(self, traces: Sequence[xr.Dataset], names: Sequence[str]) -> bytes:
        block = pack(traces, names)
        self._traces, self._header = list(traces), unpack_header(block)
        return block

    def _choices(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _CHOICES}

    def _pictures(self) -> list[Any]:
        return static_pictures(self._traces, self.token_range)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the live widget and, for use without a kernel, the explorer as HTML."""
        shown: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**kwargs)
        if shown is None:
            return None
        pictures = self._pictures()
        fallback = "".join(picture.to_html(dark=False) for picture in pictures)
        small = len(self.data) <= _LARGEST
        shown[0]["text/html"] = embedded(self.data, self._choices(), fallback) if small else fallback
        shown[0]["text/plain"] = "\n".join(picture.alt for picture in pictures)
        return shown

    @traitlets.validate("variable", "colormap", "scale", "criterion", "theme")
    def _check_name(self, proposal: Any) -> str:
        return check_name(self._header, proposal["trait"].name, proposal["value"])

    @traitlets.validate("iteration", "token")
    def _check_position(self, proposal: Any) -> int:
        return check_position(self._header, proposal["trait"].name, proposal["value"])

    @traitlets.validate("token_range")
    def _check_range(self, proposal: Any) -> list[int]:
        return check_range(self._header, proposal["value"])

    @traitlets.validate("vmin", "vmax")
    def _check_limits(self, proposal: Any) -> float | None:
        name, value = proposal["trait"].name, proposal["value"]
        ends: dict[str, float | None] = {"vmin": self.vmin, "vmax": self.vmax, name: value}
        check_limits(**ends, log=self._is_log())
        return None if value is None else float(value)

    def _is_log(self) -> bool:
        if self.scale:
            return str(self.scale) == "log"
        return any(one["log"] for one in self._header["variables"] if one["name"] == self.variable)

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Any) -> float | None:
        return check_threshold(proposal["value"])


def explore(
    trace: xr.Dataset,
    beside: xr.Dataset | None = None,
    *,
    names: Sequence[str] | None = None,
    tokens: slice | None = None,
    **choices: Any,
) -> TraceExplorer:
    """Explore a trace interactively: heatmap, cursor, readouts and a threshold.

    Parameters
    ----------
    trace : Dataset
        From ``run_recurrence``, ``run_decoding`` or a ``run_layer_*`` function, or opened from a file.
    beside : Dataset, optional
        Another trace of the same kind, shown beside the first one with the same cursor.
    names : sequence of str, optional
        Titles of the two; by default their models' names.
    tokens : slice, optional
        Tokens shown at first, as for `plot_convergence`; all of them by default.
    **choices
        Initial values of any attribute of `TraceExplorer`, such as ``iteration=8`` or ``variable="kl"``.

    Returns
    -------
    TraceExplorer
        Widget, displayed as the last expression of a cell. In a saved notebook that is trusted it works
        without a kernel and without a network; in an untrusted one it is a picture with alt text.

    Raises
    ------
    TraceError
        If the trace is of a kind that cannot be explored, empty, or has several seeds or prompts.
    ArgumentError
        If an initial value does not apply to this trace.

    Examples
    --------
    >>> import latentkit as lk
    >>> trace = lk.run_recurrence(lk.load_model("nano-untrained"), "Hello", iterations=4, progress=False)
    >>> explorer = lk.explore(trace, iteration=2)
    >>> explorer.iteration, explorer.variable
    (2, 'distance')
    """
    if unknown := [name for name in choices if name not in _CHOICES]:
        msg = f"An explorer has no {unknown[0]!r}. {nearest(unknown[0], _CHOICES)}"
        raise ArgumentError(msg)
    traces = [trace]
    if beside is not None:
        need_dataset(beside, name="beside")
        traces.append(beside)
    if tokens is not None:
        choices["token_range"] = _token_range(trace, tokens)
        choices.setdefault("token", choices["token_range"][1])
    return TraceExplorer(traces, _names(traces, names), **choices)


def _token_range(trace: xr.Dataset, tokens: slice) -> list[int]:
    dim = grid_of(trace).dims[0]
    if dim == "layer":
        msg = "`tokens` chooses among tokens, and this dataset has layers. Leave it out."
        raise TraceError(msg)
    positions = trace[dim].values
    rows = token_rows(tokens, positions)
    return [int(positions[rows[0]]), int(positions[rows[-1]])]


def _names(traces: Sequence[xr.Dataset], names: Sequence[str] | None) -> list[str]:
    """Return the given names, or the models' names, with a letter added if these are equal."""
    if names is not None:
        several = isinstance(names, (list, tuple)) and len(names) == len(traces)
        if not several or not all(isinstance(name, str) for name in names):
            msg = f"`names` must be {len(traces)} texts, one for each trace, got {shown_value(names)}."
            raise ArgumentError(msg)
        return list(names)
    models = [str(getattr(trace, "attrs", {}).get("model", "trace")) for trace in traces]
    if len(set(models)) == len(models):
        return models
    return [f"{model} {letter}" for model, letter in zip(models, "AB", strict=False)]

"""The field in which a prediction is entered: a widget, by mouse or keyboard.

JupyterLab uses the arrow keys and single letters to move between cells, also while a list or a radio button
has the focus. A field therefore keeps these keys to itself.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets

if TYPE_CHECKING:
    from latentkit.classroom.prediction import Prediction

__all__ = ["field"]

_MANY = 8  # tokens that are visible without scrolling
_OWN_KEYS = """
function keep(event) {
  const shortcut = event.key === "Enter" || event.ctrlKey || event.metaKey || event.altKey;
  if (!shortcut) event.stopPropagation();
}
function render({ el }) {
  const box = el.parentElement;
  if (box) box.addEventListener("keydown", keep);
  else requestAnimationFrame(() => render({ el }));
}
export default { render };
"""


class _OwnKeys(anywidget.AnyWidget):
    """Shows nothing; keys pressed in the box that holds this widget do not reach JupyterLab."""

    _esm = _OWN_KEYS


def field(prediction: Prediction, options: dict[Any, str] | None, *, several: bool) -> widgets.VBox:
    """Return the widget of a prediction: its question, an input and what was noted.

    Parameters
    ----------
    prediction : Prediction
        Receives what is entered.
    options : dict of str, optional
        What can be chosen, and how it is shown; None for a number.
    several : bool
        Whether several options can be chosen.
    """
    said = prediction.said
    entry: Any
    if options is None:
        text = "" if said is None else str(said)
        entry = widgets.Text(value=text, description="Your number", continuous_update=False)
    elif several:
        choose = [(shown, value) for value, shown in options.items()]
        rows = min(_MANY, len(choose))
        value = tuple(said or ())
        entry = widgets.SelectMultiple(options=choose, value=value, rows=rows, description="Your tokens")
    else:
        entry = widgets.RadioButtons(options=list(options), value=said, description="Your choice")
    entry.layout = widgets.Layout(width="24rem", max_width="98%")
    noted = widgets.HTML(_status(prediction.enter(said)))

    def enter(change: Any) -> None:
        noted.value = _status(prediction.enter(change["new"]))

    entry.observe(enter, names="value")
    question = widgets.HTML(f"<b>Predict first.</b> {html.escape(prediction.question)}")
    box = widgets.VBox([question, entry, noted, _OwnKeys()])
    box.layout = widgets.Layout(border_left="4px solid #7b4fa3", padding="0.2em 0.9em", max_width="46rem")
    return box


def _status(text: str) -> str:
    return f'<span role="status">{html.escape(text)}</span>'

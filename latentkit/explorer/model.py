"""`explore_model`: run a model on a prompt, with an explorer that is updated during the run."""

from __future__ import annotations

import html
import threading
import traceback
import warnings
from typing import Any

import ipywidgets as widgets
import xarray as xr

from latentkit.errors import ArgumentError, LatentkitError
from latentkit.explorer.reporting import ReportingModel
from latentkit.explorer.widget import TraceExplorer

__all__ = ["ModelExplorer", "explore_model"]

_BOUNDS = {"iterations": (1, 1000), "seed": (0, 10**9), "new_tokens": (0, 1000)}  # of the input boxes


class ModelExplorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Widget with a prompt, the buttons Run and Stop, and an explorer of the last trace.

    `explore_model` makes it.

    Attributes
    ----------
    trace : Dataset or None
        Result of the last run; after Stop the iterations that were complete.
    explorer : TraceExplorer or None
        Explorer of `trace`; None before the first run.
    """

    children: Any  # trait of the parent class, which has no types

    def __init__(self, model: Any, *, prompt: str, iterations: int, seed: int, new_tokens: int) -> None:
        self.model = model
        self.trace: xr.Dataset | None = None
        self.explorer: TraceExplorer | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        wide = widgets.Layout(width="min(46rem, 98%)")
        style = {"description_width": "7.5rem"}
        self.prompt = widgets.Textarea(prompt, description="Prompt", layout=wide, style=style, rows=3)
        self.system = widgets.Textarea("", description="System prompt", layout=wide, style=style, rows=2)
        boxes = {"Iterations": iterations, "Seed": seed, "New tokens": new_tokens}
        self.iterations, self.seed, self.tokens = (
            widgets.BoundedIntText(value, min=low, max=high, description=name, style=style)
            for (name, value), (low, high) in zip(boxes.items(), _BOUNDS.values(), strict=True)
        )
        self.run = widgets.Button(description="Run", button_style="primary")
        self.stop = widgets.Button(description="Stop", disabled=True)
        self.progress = widgets.IntProgress(0, 0, 1, description="Progress", style=style)
        self.status = widgets.HTML("Enter a prompt, then press Run.")
        self.run.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self._stop.set())
        row = widgets.Layout(flex_flow="row wrap")
        super().__init__(
            [
                self.prompt,
                self.system,
                widgets.HBox([self.iterations, self.seed, self.tokens], layout=row),
                widgets.HBox([self.run, self.stop, self.progress], layout=row),
                self.status,
            ]
        )

    def start(self) -> None:
        """Run the model with the values of the input boxes, in a thread of its own."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stop.clear()
        self.run.disabled, self.stop.disabled = True, False
        self.progress.bar_style = ""
        self._thread = threading.Thread(target=self._work, name="explore_model", daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the run started by `start` has ended."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        try:
            self._run()
        except LatentkitError as error:
            self._set_status(str(error), "danger")
        except Exception:  # noqa: BLE001  (an exception in a thread reaches no cell)
            self._set_status(traceback.format_exc(limit=-2), "danger")
        finally:
            self.run.disabled, self.stop.disabled = False, True

    def _run(self) -> None:
        from latentkit.run import run_recurrence

        iterations, new_tokens = self.iterations.value, self.tokens.value
        trained = getattr(self.model, "trained_iterations", None)
        limit = max(128, iterations) if trained is None else iterations
        self.progress.value, self.progress.max = 0, new_tokens * iterations + limit + iterations + 1
        self._set_status("Running: the picture shows the size of each step.")
        model = ReportingModel(self.model, self._stop, iterations, self._show_partial, self._set_progress)
        with warnings.catch_warnings():  # the status reports the interruption
            warnings.filterwarnings("ignore", message="Interrupted: ")
            trace = run_recurrence(
                model,
                self.prompt.value,
                system=self.system.value or None,
                new_tokens=new_tokens,
                iterations=iterations,
                limit=limit,
                seed=self.seed.value,
                progress=False,
            )
        self.trace = trace
        self._show(trace, "distance")
        stopped = bool(trace.attrs["interrupted"])
        self.progress.value = self.progress.value if stopped else self.progress.max
        what = f"{trace.sizes['token']} tokens, iterations 0 to {int(trace['iteration'][-1])}"
        how = f"Stopped: the limit is iteration {trace.attrs['limit']}." if stopped else "Done."
        self._set_status(f"{how} {what}.", "warning" if stopped else "success")

    def _set_progress(self, count: int) -> None:
        self.progress.value = min(count, self.progress.max - 1)

    def _show_partial(self, partial: xr.Dataset) -> None:
        self._show(partial, "step_size")

    def _show(self, trace: xr.Dataset, variable: str) -> None:
        if self.explorer is None:
            self.explorer = TraceExplorer([trace], ["trace"], variable=variable)
            self.children = [*self.children, self.explorer]
            return
        with self.explorer.hold_sync():
            self.explorer.show(trace)
            self.explorer.variable = variable

    def _set_status(self, text: str, kind: str = "") -> None:
        self.status.value = f"<span role='status' style='white-space:pre-wrap'>{html.escape(text)}</span>"
        self.progress.bar_style = kind


def explore_model(
    model: Any, *, prompt: str = "", iterations: int | None = None, seed: int = 0, new_tokens: int = 0
) -> ModelExplorer:
    """Run a model on a prompt interactively, with an explorer that is updated during the run.

    Parameters
    ----------
    model : RecurrentModel
        For example ``load_model("nano")``.
    prompt : str, optional
        Initial text of the prompt box.
    iterations, seed, new_tokens : int, optional
        Initial values of the input boxes, as for `run_recurrence`.

    Returns
    -------
    ModelExplorer
        Widget, displayed as the last expression of a cell. ``.trace`` is the result of the last run.

    Raises
    ------
    ArgumentError
        If the model is not recurrent, a number is not a whole number within the bounds of its box, or
        ``prompt`` is not a text.

    Notes
    -----
    During a run the picture shows the size of each step, column by column; distances are known once the
    limit is reached. Stop keeps the iterations that are complete. The model runs in a thread of the kernel,
    so other cells can be run at the same time. A saved notebook keeps the explorer of the last trace.
    """
    from latentkit.run.arguments import need_recurrent, whole_number

    need_recurrent(model)
    if iterations is None:
        iterations = getattr(model, "trained_iterations", None) or 64
    given = {"iterations": iterations, "seed": seed, "new_tokens": new_tokens}
    numbers = {
        name: whole_number(name, value, least=least, most=most)
        for (name, value), (least, most) in zip(given.items(), _BOUNDS.values(), strict=True)
    }
    if not isinstance(prompt, str):
        msg = f"prompt is {prompt!r}; pass the initial text of the prompt box."
        raise ArgumentError(msg)
    return ModelExplorer(model, prompt=prompt, **numbers)

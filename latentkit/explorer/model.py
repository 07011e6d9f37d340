"""`explore_model`: a prompt box beside an explorer that fills column by column while the model thinks."""

from __future__ import annotations

import html
import threading
import traceback
import warnings
from typing import Any

import ipywidgets as widgets
import xarray as xr

from latentkit.errors import LatentkitError
from latentkit.explorer.live import Watched
from latentkit.explorer.widget import TraceExplorer

__all__ = ["ModelExplorer", "explore_model"]


class ModelExplorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A prompt, Run and Stop, and below them the explorer of what the model made of it.

    `explore_model` makes it.

    Attributes
    ----------
    trace : Dataset or None
        What the last run gave; after Stop as far as it came.
    explorer : TraceExplorer or None
        The picture, from the first run on.
    """

    children: Any  # the trait of the parent, which has no types

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
        numbers = {
            "iterations": (iterations, 1, 1000),
            "seed": (seed, 0, 10**9),
            "tokens": (new_tokens, 0, 1000),
        }
        names = {"iterations": "Iterations", "seed": "Seed", "tokens": "New tokens"}
        self.iterations, self.seed, self.tokens = (
            widgets.BoundedIntText(value, min=low, max=high, description=names[name], style=style)
            for name, (value, low, high) in numbers.items()
        )
        self.run = widgets.Button(description="Run", button_style="primary")
        self.stop = widgets.Button(description="Stop", disabled=True)
        self.progress = widgets.IntProgress(0, 0, 1, description="Progress", style=style)
        self.status = widgets.HTML("Write a prompt, then press Run.")
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
        """Run the model on what stands in the boxes, off the kernel's main thread."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._stop.clear()
        self.run.disabled, self.stop.disabled = True, False
        self.progress.bar_style = ""
        self._thread = threading.Thread(target=self._work, name="explore_model", daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the run has ended, for those who press Run from code."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        try:
            self._run()
        except LatentkitError as error:
            self._say(str(error), "danger")
        except Exception:  # noqa: BLE001  (a thread has nobody else to tell)
            self._say(traceback.format_exc(limit=-2), "danger")
        finally:
            self.run.disabled, self.stop.disabled = False, True

    def _run(self) -> None:
        from latentkit.run import run_recurrence

        iterations, new_tokens = self.iterations.value, self.tokens.value
        limit = max(128, iterations)
        self.progress.value, self.progress.max = 0, new_tokens * iterations + limit + iterations + 1
        self._say("Thinking: the picture shows how far each step goes.")
        watched = Watched(self.model, self._stop, iterations, self._picture, self._advance)
        with warnings.catch_warnings():  # that it was stopped is said in the status
            warnings.filterwarnings("ignore", message="Interrupted: ")
            trace = run_recurrence(
                watched,
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
        until = f"{trace.sizes['token']} tokens, iterations 0 to {int(trace['iteration'][-1])}"
        how = f"Stopped: the limit is iteration {trace.attrs['limit']}." if stopped else "Done."
        self._say(f"{how} {until}.", "warning" if stopped else "success")

    def _advance(self, count: int) -> None:
        self.progress.value = min(count, self.progress.max - 1)

    def _picture(self, partial: xr.Dataset) -> None:
        self._show(partial, "step_size")

    def _show(self, trace: xr.Dataset, variable: str) -> None:
        if self.explorer is None:
            self.explorer = TraceExplorer([trace], ["trace"], variable=variable)
            self.children = [*self.children, self.explorer]
            return
        with self.explorer.hold_sync():
            self.explorer.show(trace)
            self.explorer.variable = variable

    def _say(self, text: str, kind: str = "") -> None:
        self.status.value = f"<span role='status' style='white-space:pre-wrap'>{html.escape(text)}</span>"
        self.progress.bar_style = kind


def explore_model(
    model: Any, *, prompt: str = "", iterations: int = 64, seed: int = 0, new_tokens: int = 0
) -> ModelExplorer:
    """Write a prompt, press Run, and watch the model think; Stop keeps what is there.

    Parameters
    ----------
    model : RecurrentModel
        For example ``load_model("nano")``.
    prompt : str, optional
        What stands in the box at first.
    iterations, seed, new_tokens : int, optional
        As for `run_recurrence`; they can be changed on the page.

    Returns
    -------
    ModelExplorer
        A widget; the end of a cell shows it. ``.trace`` is what the last run gave.

    Raises
    ------
    ArgumentError
        If the model repeats no block.

    Notes
    -----
    While the model thinks, the picture shows the size of each step, column by column; distances are known
    once the limit is reached. The run is a thread of the kernel, so other cells can be run meanwhile.
    Without a kernel there is nothing to run: the explorer of the last trace, `explore`, stays.
    """
    from latentkit.run.arguments import need_recurrent

    need_recurrent(model)
    return ModelExplorer(model, prompt=prompt, iterations=iterations, seed=seed, new_tokens=new_tokens)

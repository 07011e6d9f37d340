"""Sliders over a decoding: what the text would be at each iteration, and where an exit rule would stop.

Nothing is run again. Each place of the text is judged after the words that were really taken before it.
"""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import xarray as xr

from latentkit.criteria import exit_threshold
from latentkit.errors import TraceError
from latentkit.measure import exit_iteration
from latentkit.plot.decoding import select_decoding
from latentkit.plot.exits import threshold_sweep
from latentkit.sliders.controls import position_slider, redrawn, wide
from latentkit.sliders.readout import CHOSEN, PIECE, escaped, quoted, readout_table

__all__ = ["slide_decoding", "slide_exits"]

_OTHER = "border-style:dashed;border-color:#b45309;"  # not the token that was taken
_LEFT = "text-align:left;padding-right:1rem;"
_BAR = "display:inline-block;height:0.8em;"


def slide_decoding(trace: xr.Dataset, *, token: int = 0, iteration: int | None = None) -> widgets.VBox:
    """Show a decoded text as it would be if every token had stopped at an iteration, with sliders.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, with readouts.
    token : int, optional
        Place among the new tokens whose readout is shown at first, counted from 0.
    iteration : int, optional
        Iteration shown at first; by default the last one.

    Returns
    -------
    VBox
        The sliders "Iteration" and "Token" above the text and the readout of the chosen token. Both work
        with the arrow keys. A dashed border marks what is not the token that was taken.

    Raises
    ------
    TraceError
        If it is no decoding, holds no token, or was made without readouts.
    ArgumentError
        If there is no such token or iteration.

    Notes
    -----
    A token that stopped before an iteration is shown as it was when it stopped. A notebook without a kernel
    shows no widget: end the next cell with `plot_decoding`.
    """
    _need_readouts(trace)
    where = position_slider("Iteration", trace["iteration"], iteration)
    which = position_slider("Token", trace["generated_token"], token)

    def draw() -> str:
        stopped = np.minimum(trace["iterations_used"], where.value)
        return _text(trace, stopped, which.value, where.value) + _chosen(trace, which.value, stopped)

    return redrawn(draw, where, which)


def slide_exits(trace: xr.Dataset, *, criterion: str = "kl", token: int = 0) -> widgets.VBox:
    """Show where an exit rule would have stopped each token of a decoding, with sliders.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding`` without an exit, with readouts.
    criterion : str, optional
        The rule chosen at first: one of those of ``run_decoding``.
    token : int, optional
        Place among the new tokens whose readout is shown at first, counted from 0.

    Returns
    -------
    VBox
        The sliders "Criterion", "Threshold" and "Token" above a bar for each token and the readout of the
        chosen one where it would have stopped. All work with the arrow keys.

    Raises
    ------
    TraceError
        If it is no decoding, has no readouts, or was itself run with exits.
    ArgumentError
        If there is no such criterion or token.

    Notes
    -----
    A notebook without a kernel shows no widget: end the next cell with `plot_exits`.
    """
    _need_readouts(trace)
    exit_iteration(trace, criterion)  # says what is wrong, if something is
    names = [str(name) for name in trace["criterion"].values]
    # A slider and no list: in a notebook, JupyterLab takes the arrow keys away from a list.
    rule = widgets.SelectionSlider(options=names, value=criterion, description="Criterion", layout=wide())
    limit = widgets.SelectionSlider(
        options=_thresholds(criterion), description="Threshold", layout=wide(), value=_default(criterion)
    )
    which = position_slider("Token", trace["generated_token"], token)

    def draw() -> str:
        found = exit_iteration(trace, rule.value, limit.value)
        return _exits(trace, found, which.value) + _chosen(trace, which.value, found["exit_iteration"])

    box = redrawn(draw, limit, which)

    def change_rule(_change: object) -> None:
        limit.options = _thresholds(rule.value)  # chooses the first of them
        limit.value = _default(rule.value)
        box.children[-1].value = draw()  # two rules may have the same thresholds

    rule.observe(change_rule, names="value")
    box.children = (rule, *box.children)
    return box


def _need_readouts(trace: xr.Dataset) -> None:
    select_decoding(trace)
    if "readout_text" not in trace.variables:
        msg = "This decoding has no readouts to show. Run it with readout_top=1 or more."
        raise TraceError(msg)


def _thresholds(criterion: str) -> list[tuple[str, float]]:
    return [(f"{threshold:.2g}", threshold) for threshold in threshold_sweep(criterion)]


def _default(criterion: str) -> float:
    usual = exit_threshold(criterion)
    return min(threshold_sweep(criterion), key=lambda threshold: abs(threshold - usual))


def _text(trace: xr.Dataset, stopped: xr.DataArray, chosen: int, iteration: int) -> str:
    """Write the text, each token as it would be where it stopped."""
    said = trace.isel(rank=0).sel(iteration=stopped)
    same = (said["readout_id"] == trace["token_id"]).values
    spans = [
        f"<span style='{CHOSEN if place == chosen else PIECE}{'' if kept else _OTHER}'>{escaped(text)}</span>"
        for place, text, kept in zip(
            trace["generated_token"].values.tolist(), said["readout_text"].values.tolist(), same, strict=True
        )
    ]
    return (
        f"<div>If every token had stopped at iteration <b>{iteration}</b>, {same.sum()} of {same.size} would "
        f"be the same.</div><div style='line-height:1.9;margin:0.6em 0'>… {''.join(spans)}</div>"
    )


def _chosen(trace: xr.Dataset, place: int, stopped: xr.DataArray) -> str:
    """Write the readout of one token where it stopped."""
    iteration = int(stopped.sel(generated_token=place))
    cell = trace.sel(generated_token=place, iteration=iteration)
    caption = (
        f"Token {place} at iteration <b>{iteration}</b>: <b>{quoted(cell['readout_text'].values[0])}</b>; "
        f"taken was {quoted(str(cell['token_text'].item()))}. KL(end ‖ here): {cell['kl'].item():.2g} nats."
    )
    return readout_table(cell, caption, "token here")


def _exits(trace: xr.Dataset, found: xr.Dataset, chosen: int) -> str:
    """Write a bar for each token, as long as it would have iterated."""
    last = found.attrs["iterations"]
    rows = "".join(
        f"<tr style='{'font-weight:bold' if place == chosen else ''}'><td style='{_LEFT}white-space:pre'>"
        f"{quoted(str(trace['token_text'].sel(generated_token=place).item()))}</td>"
        f"<td style='{_LEFT}width:16rem'><span style='{_BAR}width:{100 * stop / last:.1f}%;background:"
        f"{'#31688e' if same else '#b45309'}'></span></td><td>{stop}{'' if same else ' (another token)'}</td>"
        "</tr>"
        for place, stop, same in zip(
            trace["generated_token"].values.tolist(),
            found["exit_iteration"].values.tolist(),
            found["same_token"].values.tolist(),
            strict=True,
        )
    )
    return (
        f"<div style='margin:0.6em 0'>Saved: <b>{found['saved'].mean().item():.0%}</b> of the iterations. "
        f"Paid: <b>{found['kl'].mean().item():.2g} nats</b> of KL, mean over the tokens. The likeliest token "
        f"would be the same in <b>{int(found['same_token'].sum())} of {found.sizes['generated_token']}</b> "
        f"places.</div><table style='line-height:1.3'><thead><tr><th scope='col' style='{_LEFT}'>token</th>"
        f"<th scope='col' style='{_LEFT}'>iterations until the exit</th><td></td></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )

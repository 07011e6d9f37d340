"""Sliders over exit rules: where each token of a decoding would have stopped."""

from __future__ import annotations

import ipywidgets as widgets
import xarray as xr

from latentkit.criteria import exit_threshold
from latentkit.measure import exit_iteration
from latentkit.sliders.controls import position_slider, stacked, wide
from latentkit.sliders.decoding import chosen_readout
from latentkit.sliders.tables import quoted
from latentkit.view.decoding import select_readouts
from latentkit.view.exits import threshold_sweep

__all__ = ["exit_sliders"]

_LEFT = "text-align:left;padding-right:1rem;"
_BAR = "display:inline-block;height:0.8em;"


def exit_sliders(
    trace: xr.Dataset, *, criterion: str | None = None, token: int | None = None
) -> widgets.VBox:
    """Return a bar per token and one token's readout below three sliders."""
    select_readouts(trace)
    start = "kl" if criterion is None else criterion
    exit_iteration(trace, start)  # raises an error if the trace or the criterion is unsuitable
    names = [str(name) for name in trace["criterion"].values]
    # Not a dropdown: in a notebook, JupyterLab handles the arrow keys before a dropdown does.
    rule = widgets.SelectionSlider(options=names, value=start, description="Criterion", layout=wide())
    threshold = widgets.SelectionSlider(
        options=_thresholds(start), description="Threshold", layout=wide(), value=_default(start)
    )
    first = int(trace["generated_token"].min()) if token is None else token
    which = position_slider("Token", trace["generated_token"], first, argument="token")

    def draw() -> str:
        found = exit_iteration(trace, rule.value, threshold.value)
        return _bars(trace, found, which.value) + chosen_readout(trace, which.value, found["exit_iteration"])

    box = stacked(draw, threshold, which)

    def change_rule(_change: object) -> None:
        threshold.options = _thresholds(rule.value)  # selects the first of them
        threshold.value = _default(rule.value)
        box.children[-1].value = draw()  # needed if both rules have the same thresholds

    rule.observe(change_rule, names="value")
    box.children = (rule, *box.children)
    return box


def _thresholds(criterion: str) -> list[tuple[str, float]]:
    return [(f"{threshold:.2g}", threshold) for threshold in threshold_sweep(criterion)]


def _default(criterion: str) -> float:
    default = exit_threshold(criterion)
    return min(threshold_sweep(criterion), key=lambda threshold: abs(threshold - default))


def _bars(trace: xr.Dataset, found: xr.Dataset, chosen: int) -> str:
    """Return a table with a bar per token, as long as its iterations."""
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

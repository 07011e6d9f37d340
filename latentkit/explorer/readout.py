"""What a model would say next, as a small table in HTML: tokens are data and are escaped here."""

from __future__ import annotations

import html

import xarray as xr

from latentkit.plot.labels import visible_token

__all__ = ["readout_html"]

_BEFORE = 24  # tokens of the text shown before the guess
_PIECE = "border:1px solid #8888;border-radius:3px;padding:0 3px;margin:1px;white-space:pre;"
_CHOSEN = _PIECE + "font-weight:bold;border:2px solid #31688e;"
_LEFT = "text-align:left;"
_BAR = "display:inline-block;height:0.8em;background:#31688e;"


def readout_html(trace: xr.Dataset, token: int, iteration: int) -> str:
    """Write the likeliest next tokens after ``token``, if the model were stopped at ``iteration``."""
    cell = trace.sel(token=token, iteration=iteration)
    texts, chances = cell["readout_text"].values.tolist(), cell["readout_probability"].values.tolist()
    rows = "".join(
        f"<tr><td style='{_LEFT}white-space:pre'>{_quoted(text)}</td><td>{chance:.1%}</td>"
        f"<td style='{_LEFT}width:16rem'><span style='{_BAR}width:{100 * chance:.1f}%'></span></td></tr>"
        for text, chance in zip(texts, chances, strict=True)
    )
    distance = f"{cell['distance'].item():.3g}"
    return (
        f"<div style='line-height:1.9;margin:0.6em 0'>{_text_so_far(trace, token)}</div>"
        "<table style='line-height:1.4'><caption style='text-align:left;padding:0.3em 0'>"
        f"If stopped at iteration <b>{iteration}</b>, the next token would be <b>{_quoted(texts[0])}</b>. "
        f"Distance of the state from its limit: {distance}.</caption>"
        f"<thead><tr><th scope='col' style='{_LEFT}min-width:9rem'>next token</th>"
        "<th scope='col' style='padding-right:1rem'>probability</th><td></td></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _text_so_far(trace: xr.Dataset, token: int) -> str:
    """Show the text that the model has read, token by token; the chosen one is marked."""
    past = trace["token_text"].sel(token=slice(token - _BEFORE, token)).values.tolist()
    cut = "… " if token - _BEFORE > int(trace["token"].min()) else ""
    spans = [f"<span style='{_PIECE}'>{_escaped(text)}</span>" for text in past[:-1]]
    return cut + "".join(spans) + f"<span style='{_CHOSEN}'>{_escaped(past[-1])}</span> …"


def _quoted(text: str) -> str:
    return f"“{_escaped(text)}”"


def _escaped(text: str) -> str:
    return html.escape(visible_token(text))

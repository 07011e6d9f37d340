"""Readouts and texts as HTML; tokens are data and are escaped here."""

from __future__ import annotations

import html

import xarray as xr

from latentkit.view.labels import visible_token

__all__ = ["BAR", "CHOSEN", "LEFT", "PIECE", "escaped", "quoted", "readout_html", "readout_table"]

_BEFORE = 24  # tokens of text shown before the chosen one
PIECE = "border:1px solid #8888;border-radius:3px;padding:0 3px;margin:1px;white-space:pre;"
CHOSEN = PIECE + "font-weight:bold;border:2px solid #31688e;"
LEFT = "text-align:left;"
BAR = "display:inline-block;height:0.8em;background:#31688e;"


def readout_html(trace: xr.Dataset, token: int, iteration: int) -> str:
    """Return the text up to ``token`` and the likeliest next tokens if the model stopped at ``iteration``."""
    cell = trace.sel(token=token, iteration=iteration)
    distance = f"{cell['distance'].item():.3g}"
    caption = (
        f"If stopped at iteration <b>{iteration}</b>, the next token would be "
        f"<b>{quoted(cell['readout_text'].values[0])}</b>. Distance of the state from its limit: {distance}."
    )
    so_far = f"<div style='line-height:1.9;margin:0.6em 0'>{_text_so_far(trace, token)}</div>"
    return so_far + readout_table(cell, caption, "next token")


def readout_table(cell: xr.Dataset, caption: str, heading: str) -> str:
    """Return one readout as a table: the likeliest tokens with their probabilities, and a caption in HTML."""
    texts, chances = cell["readout_text"].values.tolist(), cell["readout_probability"].values.tolist()
    rows = "".join(
        f"<tr><td style='{LEFT}white-space:pre'>{quoted(text)}</td><td>{chance:.1%}</td>"
        f"<td style='{LEFT}width:16rem'><span style='{BAR}width:{100 * chance:.1f}%'></span></td></tr>"
        for text, chance in zip(texts, chances, strict=True)
    )
    return (
        f"<table style='line-height:1.4'><caption style='text-align:left;padding:0.3em 0'>{caption}</caption>"
        f"<thead><tr><th scope='col' style='{LEFT}min-width:9rem'>{heading}</th>"
        "<th scope='col' style='padding-right:1rem'>probability</th><td></td></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _text_so_far(trace: xr.Dataset, token: int) -> str:
    """Return the text that the model has read, token by token, with the chosen token marked."""
    past = trace["token_text"].sel(token=slice(token - _BEFORE, token)).values.tolist()
    cut = "… " if token - _BEFORE > int(trace["token"].min()) else ""
    spans = [f"<span style='{PIECE}'>{escaped(text)}</span>" for text in past[:-1]]
    return cut + "".join(spans) + f"<span style='{CHOSEN}'>{escaped(past[-1])}</span> …"


def quoted(text: str) -> str:
    """Return a token as HTML in quotation marks."""
    return f"“{escaped(text)}”"


def escaped(text: str) -> str:
    """Return a token as HTML with every character visible and none of them markup."""
    return html.escape(visible_token(text))

"""The live page: a model that runs inside one HTML file, without a kernel, an installation or a network."""

from __future__ import annotations

import argparse
import base64
import html
import json
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from latentkit import criteria
from latentkit.arguments import flag, new_file, plain_text
from latentkit.explorer.bundle import bundle
from latentkit.explorer.data import pack
from latentkit.explorer.packing import KERNEL, pack_model
from latentkit.explorer.page import style
from latentkit.explorer.presets import REFUSED, presets
from latentkit.files import write_file
from latentkit.trace import build_trace

__all__ = ["live_html", "page_command", "save_live_html"]

_FOLDER = Path(__file__).parent / "static"
_PROMPT = "The capital of France is"
_LOADING = "The model is loading. If this text stays, scripts are not allowed here, or the page is damaged."
_DAMAGED = "This page is damaged or cut off. Save or download it again."


def save_live_html(
    model: Any, path: str | os.PathLike[str], *, prompt: str = _PROMPT, guided: bool = False
) -> Path:
    """Save a page in which a model runs on any prompt, as one HTML file that needs no network.

    Parameters
    ----------
    model : RecurrentModel
        Of Huginn's architecture with a byte-level BPE tokenizer: ``load_model("nano")``, or one trained with
        `latentkit.training`. Its weights are rounded to bfloat16, as nano's are stored.
    path : path
        For example ``"live.html"``.
    prompt : str
        First text of the prompt box.
    guided : bool
        Whether the guided tour is open at first.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ModelError
        If the page cannot run the model.
    ArgumentError
        If an argument is of the wrong type, or the folder does not exist.
    FileError
        If the file cannot be written; an earlier one is then unchanged.

    Notes
    -----
    The page computes what `run_recurrence` computes, with the same token ids and initial states. Scripts in
    the page can call ``await latentkit.trace({prompt, system, chat, iterations, seed, keep})``. A trace saved
    in the page as JSON opens with `open_trace`.
    """
    path = new_file("path", path, "live.html")
    return write_file(path, live_html(model, prompt=prompt, guided=guided))


def live_html(model: Any, *, prompt: str = _PROMPT, guided: bool = False) -> str:
    """Return the live page as text; see `save_live_html`.

    The scripts come before the model and an empty element comes last, so that a page that was cut off in
    transit can report it.
    """
    prompt, guided = plain_text("prompt", prompt), flag("guided", guided)
    block = pack_model(model)
    title = html.escape(f"{model.name} in a page")
    settings = json.dumps(_settings(model, prompt, guided=guided), ensure_ascii=True).replace("<", "\\u003c")
    data = {
        "lv-settings": settings,
        "lv-worker": f"(() => {{\n{bundle(_FOLDER / 'engine' / 'worker.js')}\n}})();",
        "lv-kernel": _base64(KERNEL.read_bytes()),
        "lv-model": _base64(block),
    }
    assert not any("</script" in text or "<!--" in text for text in (*data.values(), _script()))
    held = "".join(f'<script type="text/plain" id="{name}">{text}</script>\n' for name, text in data.items())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style()}{_style()}</style>\n"
        f"<script>{_WHOLE}</script>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{_LEAD}</p>\n"
        f'<p id="lv-loading">{_LOADING}</p>\n</main>\n<script type="module">\n{_script()}\n</script>\n'
        f'{held}<script type="text/plain" id="lv-end">end</script>\n</body>\n</html>\n'
    )


_LEAD = (
    "This small language model repeats one block of layers. It runs inside this page: nothing is sent "
    "anywhere. Type a prompt and press Run. The picture shows, for every token and iteration, how far the "
    "state is from where it ends up."
)
# runs even if the script of the page is cut off
_WHOLE = (
    "addEventListener('load',()=>{const said=document.getElementById('lv-loading');"
    "if(said&&!document.getElementById('lv-end')){said.setAttribute('role','alert');"
    f"said.textContent='{_DAMAGED}'}}}});"
)


@lru_cache
def _script() -> str:
    return bundle(_FOLDER / "live" / "main.js")


@lru_cache
def _style() -> str:
    return (_FOLDER / "live" / "live.css").read_text(encoding="utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _settings(model: Any, prompt: str, *, guided: bool) -> dict[str, Any]:
    """Return what the page's script needs beside the model."""
    from latentkit.run.provenance import provenance

    rules = [
        {"name": name, "threshold": rule.threshold, "hits": rule.hits, "counts": rule.counts}
        for name, rule in criteria.EXIT_RULES.items()
    ]
    return {
        "name": model.name,
        "attrs": provenance(model),
        "prompt": prompt,
        "presets": presets(),
        "rules": rules,
        "refused": list(REFUSED),
        "template": _base64(_template()),
        "guided": guided,
    }


def _template() -> bytes:
    """Return the explorer's data of an empty trace: words, variables, exit rules and colour maps."""
    cell = (1, 3)
    arrays: dict[str, Any] = dict.fromkeys(("distance", "step_size", "entropy", "kl"), np.zeros(cell, "f4"))
    arrays |= {
        "readout_id": np.zeros((*cell, 1), "i4"),
        "readout_probability": np.zeros((*cell, 1), "f4"),
        "readout_text": np.full((*cell, 1), "", dtype=object),
        "token": np.arange(1),
        "token_text": np.array([""], dtype=object),
        "token_id": np.zeros(1, int),
        "iteration": np.arange(3),
    }
    return pack([build_trace("recurrence", arrays, {"limit": 128})], [""])


def page_command(argv: Sequence[str]) -> str:
    """Run ``latentkit page`` and return the line that it prints."""
    from latentkit.models import load_model

    parser = argparse.ArgumentParser(
        prog="latentkit page", description="Save a page in which a model runs, as one HTML file."
    )
    parser.add_argument("path", help="file to write, such as live.html")
    parser.add_argument("--model", default="nano", help="nano (the default), or a folder with a model")
    parser.add_argument("--prompt", default=_PROMPT, help="first text of the prompt box")
    parser.add_argument("--guided", action="store_true", help="open the guided tour at first")
    asked = parser.parse_args(list(argv))
    path = save_live_html(load_model(asked.model), asked.path, prompt=asked.prompt, guided=asked.guided)
    return f"Saved {path} ({path.stat().st_size / 1e6:.1f} MB). Open it in a browser; it needs no network."

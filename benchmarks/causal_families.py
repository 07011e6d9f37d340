"""Which causal families of transformers `run_layer_lens` and `run_layer_effect` read, at tiny random sizes.

    python benchmarks/causal_families.py                 # all families; writes benchmarks/causal_families.md
    python benchmarks/causal_families.py llama bamba     # these families; replaces their rows in the table

A family is *read* if the last row of the lens is 0, the effect of ``do="identity"`` is 0, the effect of
skipping is not, and the greedy tokens equal those found by reading the whole sequence again for each token.
It is *refused* if latentkit raises one of its own errors with the reason. Each family runs in a child process
with a time limit, so a crash ends only that child.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import platform
import queue
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

import latentkit as lk
from latentkit.errors import LatentkitError
from latentkit.models.layered.causal import CausalModel

TABLE = Path(__file__).with_suffix(".md")
IDS = [3, 1, 4, 1, 5, 9, 2, 6]
SECONDS = 120
MOST_WEIGHTS = 20_000_000

#: Size fields of configurations, by the value for a tiny model.
SIZES: dict[int, str] = {
    96: "vocab_size vocab_size_per_layer_input",
    64: "max_position_embeddings n_positions n_ctx max_seq_len context_length attn_window_size lm_vocab_size",
    48: "intermediate_size n_inner ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff dff ffn_hidden_size "
    "feed_forward_proj_dim ffn_intermediate_size shared_intermediate_size",
    32: "hidden_size n_embd d_model emb_dim embedding_size embedding_dim model_dim lru_width "
    "word_embed_proj_dim dim",
    16: "moe_intermediate_size shared_expert_intermediate_size moe_shared_expert_intermediate_size "
    "hidden_size_per_layer_input kv_lora_rank q_lora_rank expert_ffn_hidden_size mamba_d_head",
    8: "head_dim qk_nope_head_dim qk_rope_head_dim v_head_dim mamba_d_state state_size d_state "
    "linear_key_head_dim linear_value_head_dim mamba_head_dim d_kv global_head_dim index_head_dim chunk_size "
    "mamba_chunk_size ssm_state_size mamba_dt_rank",
    4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads "
    "rotary_dim num_experts num_local_experts n_routed_experts moe_num_experts linear_num_value_heads "
    "mamba_n_heads mamba_num_heads n_mamba_heads index_n_heads index_topk attn_heads",
    3: "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers",
    2: "num_key_value_heads num_kv_heads num_experts_per_tok num_experts_per_token top_k_experts moe_topk "
    "moe_top_k moe_k linear_num_key_heads num_selected_experts",
    1: "n_group topk_group n_shared_experts mamba_n_groups first_k_dense_replace bos_token_id eos_token_id "
    "num_shared_experts n_groups",
    0: "pad_token_id",
}
TINY = {name: value for value, names in SIZES.items() for name in names.split()}

#: Sizes whose default is None.
WITHOUT_DEFAULT = {"bos_token_id", "eos_token_id", "pad_token_id", "num_experts_per_tok", "n_routed_experts"}

#: Corrections to the values above, by family.
EXCEPTIONS: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention", "mamba"], "mamba_d_head": "auto"},
    "jamba": {
        "attn_layer_offset": 1,
        "attn_layer_period": 2,
        "expert_layer_offset": 1,
        "expert_layer_period": 2,
    },
    "kimi_linear": {"num_hidden_layers": 4},
}


class Outcome(NamedTuple):
    """Result for one family."""

    result: str
    detail: str


def tiny_config(family: str) -> Any:
    """Derive a small configuration from the family's default one."""
    cls = CONFIG_MAPPING[family]
    return cls(**{**_small(cls()), **EXCEPTIONS.get(family, {})})


def _small(config: Any) -> dict[str, Any]:
    """Return tiny values for all size fields of a configuration and its nested configurations."""
    found: dict[str, Any] = {}
    names = {field.name for field in dataclasses.fields(config)}
    for name in names:
        try:
            value = getattr(config, name, None)
        except Exception:  # an attribute that differs between layers
            continue
        if isinstance(value, transformers.PretrainedConfig):
            found[name] = {"model_type": value.model_type, **_small(value)}
        elif name in TINY and (isinstance(value, int) or name in WITHOUT_DEFAULT):
            found[name] = TINY[name]
    if "kv_lora_rank" in names and "num_key_value_heads" in found:  # latent attention has one key per head
        found["num_key_value_heads"] = found["num_attention_heads"]
    return found


def random_module(family: str) -> Any:
    """Build a network with random weights whose norms and biases are not neutral."""
    config = tiny_config(family)
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())
    if weights > MOST_WEIGHTS:
        msg = f"{weights:,} weights"
        raise ValueError(msg)
    torch.manual_seed(0)
    module = AutoModelForCausalLM.from_config(config, trust_remote_code=False).eval().float()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() > 1:
                weight.mul_(3)
            else:
                weight.add_(torch.empty_like(weight).uniform_(-0.2, 0.2))
    return module


def outcome_of(family: str) -> Outcome:
    """Build a model of one family and run all checks on it."""
    try:
        module = random_module(family)
        with torch.no_grad():
            module(input_ids=torch.tensor([IDS]), use_cache=False)
    except Exception as error:  # transformers raises errors of many types
        return Outcome("not built", _first_line(error))
    try:
        return _read(CausalModel(module, name=family))
    except LatentkitError as error:
        return Outcome("refused", str(error))
    except Exception as error:  # an error of another library: this script searches for these
        return Outcome("ERROR", _first_line(error))


def _read(model: CausalModel) -> Outcome:
    options: dict[str, Any] = {"new_tokens": 3, "progress": False}
    lens = lk.run_layer_lens(model, IDS, **options)
    same = lk.run_layer_effect(model, IDS, do="identity", **options)
    skipped = lk.run_layer_effect(model, IDS, do="skip", **options)
    wrong = []
    if (lens.kl[-1] != 0).any():
        wrong.append(f"last row of the lens {float(lens.kl[-1].max()):.3g}")
    if (same.kl != 0).any():
        wrong.append(f"effect of identity {float(same.kl.max()):.3g}")
    if not float(skipped.kl.max()) > 0 or not np.isfinite(skipped.kl).all():
        wrong.append("no effect of skipping")
    if lens.token_id.values.tolist() != (wanted := _greedy(model, 3)):
        wrong.append(f"tokens {lens.token_id.values.tolist()} instead of {wanted}")
    return Outcome("WRONG", "; ".join(wrong)) if wrong else Outcome("read", _summary(model))


@torch.no_grad()
def _greedy(model: CausalModel, new_tokens: int) -> list[int]:
    """Decode greedily; the model reads the whole sequence again for each token."""
    ids = list(IDS)
    for _ in range(new_tokens):
        logits = model.module(input_ids=torch.tensor([ids]), use_cache=False).logits
        ids.append(int(logits[0, -1].argmax()))
    return ids[len(IDS) :]


def _summary(model: CausalModel) -> str:
    stacks = dict.fromkeys(layer.stack for layer in model.layers)
    head = "linear head" if model.head.weight is not None else "other head"
    return f"{len(model.layers)} layers ({', '.join(stacks)}), {head}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]


def _child(family: str, found: Any) -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    found.put(outcome_of(family))


def guarded(family: str) -> Outcome:
    """Run one family in a child process with a time limit."""
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    child = context.Process(target=_child, args=(family, found))
    child.start()
    try:
        return Outcome(*found.get(timeout=SECONDS))
    except queue.Empty:
        alive = child.is_alive()
        return Outcome("ERROR", f"no answer after {SECONDS} s" if alive else f"exit code {child.exitcode}")
    finally:
        child.kill()
        child.join()


def table(outcomes: dict[str, Outcome]) -> str:
    """Write the outcomes as a Markdown table, after a summary."""
    results = [outcome.result for outcome in outcomes.values()]
    counts = ", ".join(f"{results.count(name)} {name}" for name in sorted(set(results), key=results.index))
    rows = [
        f"| {family} | {outcome.result} | {outcome.detail.replace('|', '/')} |"
        for family, outcome in sorted(outcomes.items(), key=lambda item: (item[1].result != "read", item[0]))
    ]
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}, Python "
    versions += platform.python_version()
    return "\n".join(
        [
            "# Causal families of transformers, read layer by layer",
            "",
            "Written by `python benchmarks/causal_families.py`, whose docstring explains the results.",
            f"{versions}: of {len(outcomes)} families {counts}.",
            "",
            "| family | result | detail |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Check the families named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("families", nargs="*")
    chosen = parser.parse_args().families
    torch.set_num_threads(1)
    found = {}
    for family in chosen or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        found[family] = guarded(family)
        print(f"{family:28} {found[family].result:10} {found[family].detail[:150]}", flush=True)
    earlier = written() if chosen and TABLE.is_file() else {}
    TABLE.write_text(table({**earlier, **found}), encoding="utf-8")


def written() -> dict[str, Outcome]:
    """Read the outcomes in the existing table."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    rows = [line.strip("| ").split(" | ", 2) for line in lines]
    return {family: Outcome(result, detail) for family, result, detail in rows}


if __name__ == "__main__":
    main()

"""Causal language models of transformers at small random sizes, with norms that are not neutral."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from latentkit.models.layered.causal import CausalModel

_SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
_GROUPED = {**_SIZES, "num_key_value_heads": 2}
_GPT2 = {"vocab_size": 96, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
_ENDS = {"bos_token_id": 0, "eos_token_id": 0}
_HRM = {**_SIZES, "num_hidden_layers": 2, "head_dim": 8, "H_cycles": 2, "L_cycles": 3, "embedding_scale": 1.0}

#: Name → (configuration class, its arguments).
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _GROUPED),
    "qwen2": ("Qwen2Config", _GROUPED),
    "qwen3": ("Qwen3Config", {**_GROUPED, "head_dim": 8}),
    "mistral": ("MistralConfig", {**_GROUPED, "sliding_window": 4}),
    "gpt2": ("GPT2Config", {**_GPT2, **_ENDS}),
    "gpt_neox": ("GPTNeoXConfig", _SIZES),
    "gemma2": ("Gemma2Config", {**_GROUPED, "head_dim": 8, "final_logit_softcapping": 3.0}),
    "gemma3": ("Gemma3TextConfig", {**_GROUPED, "head_dim": 8}),
    "olmo2": ("Olmo2Config", _GROUPED),
    "phi3": ("Phi3Config", _GROUPED),
    "hrm_text": ("HrmTextConfig", _HRM),
    # Heads with a scale, a divisor, a bias; a decoder inside the base model; experts; the residual inside.
    "cohere": ("CohereConfig", {**_GROUPED, "logit_scale": 0.25}),
    "granite": ("GraniteConfig", {**_GROUPED, "logits_scaling": 4.0}),
    "phi": ("PhiConfig", _GROUPED),
    "opt": ("OPTConfig", {**_SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "mixtral": ("MixtralConfig", {**_GROUPED, "num_local_experts": 2}),
    "bloom": ("BloomConfig", {"vocab_size": 96, "hidden_size": 32, "n_layer": 3, "n_head": 4, **_ENDS}),
}
ASKED_FOR = list(FAMILIES)[:11]


def transformers_model(name: str, *, seed: int = 0, dtype: Any = None, **changes: Any) -> Any:
    """A random network whose norms and biases are not neutral, and whose layers differ in what they say."""
    kind, sizes = FAMILIES[name]
    config = getattr(transformers, kind)(**{**sizes, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for weight in module.parameters():
                if weight.dim() > 1:
                    weight.mul_(5)
                else:
                    weight.add_(torch.empty_like(weight).uniform_(-0.3, 0.3))
    return module if dtype is None else module.to(dtype)


def causal_model(name: str, **options: Any) -> CausalModel:
    return CausalModel(transformers_model(name, **options), name=name)

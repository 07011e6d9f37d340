"""Small models of the families with random weights: the architecture alone, without training.

Sizes are small enough for a laptop, and vocabulary and tokenizer are nano's, so that one text has the same
tokens in every family. All matrices are drawn by one rule, whatever the family's own initialisation is:
normal, with a variance of one over the number of inputs. Embeddings have variance 1, norms 1 and biases 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from latentkit.models.family.loading import FAMILIES, Build
from latentkit.models.family.model import LoopedDecoder, LoopedModel
from latentkit.models.family.network import LoopedNetwork
from latentkit.models.family.retrofit import RetrofitNetwork
from latentkit.models.stored.pretrained import load_tokenizer

__all__ = ["UNTRAINED", "untrained"]

_NANO = Path(__file__).parent.parent / "nano"
_VOCABULARY, _HIDDEN, _HEADS, _INNER, _CONTEXT = 4096, 128, 4, 256, 512
_COMMON = {
    "vocab_size": _VOCABULARY, "hidden_size": _HIDDEN, "intermediate_size": _INNER,
    "num_attention_heads": _HEADS, "num_key_value_heads": _HEADS, "head_dim": _HIDDEN // _HEADS,
    "max_position_embeddings": _CONTEXT, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0,
}  # fmt: skip

#: Name → (``model_type``, config). The number of layers and loops is small; all else is as published.
UNTRAINED: dict[str, tuple[str, Mapping[str, Any]]] = {
    "ouro-untrained": ("ouro", {**_COMMON, "num_hidden_layers": 4, "total_ut_steps": 4}),
    "nanbeige-untrained": ("nanbeige", {
        **_COMMON, "num_hidden_layers": 4, "num_loops": 2, "num_key_value_heads": 2,
        "kv_channels": _HIDDEN // _HEADS, "skip_loop_final_norm": False,
    }),
    "hrm-text-untrained": ("hrm_text", {
        **_COMMON, "num_hidden_layers": 2, "H_cycles": 2, "L_cycles": 3, "embedding_scale": 1.0,
    }),
    "retrofit-untrained": ("huginn_raven", {
        "vocab_size": _VOCABULARY, "padded_vocab_size": _VOCABULARY, "n_embd": _HIDDEN, "n_heads": _HEADS,
        "num_key_value_heads": 2, "head_dim": _HIDDEN // _HEADS, "intermediate_size": _INNER,
        "n_layers_in_prelude": 1, "n_layers_in_recurrent_block": 2, "n_layers_in_coda": 1,
        "norm_eps": 1e-5, "rope_theta": 10_000.0, "max_position_embeddings": _CONTEXT,
        "mean_recurrence": 32, "init_values": {"std": 0.0087, "embed_scale": 1.0},
    }),
    "parcae-untrained": ("ParcaeConfig", {
        "_class_name": "ParcaeConfig", "padded_vocab_size": _VOCABULARY, "n_embd": _HIDDEN,
        "num_attention_heads": _HEADS, "num_key_value_heads": _HEADS, "intermediate_size": _INNER,
        "recurrent_embedding_dimension": _HIDDEN, "recurrent_intermediation_embedding_dimension": _INNER,
        "n_layers_in_prelude": 2, "n_layers_in_recurrent_block": 2, "n_layers_in_coda": 2,
        "mean_recurrence": 8, "mean_backprop_depth": 4, "block_size": _CONTEXT, "norm_eps": 1e-5,
    }),
    "albert-untrained": ("albert", {
        "vocab_size": _VOCABULARY, "embedding_size": 64, "hidden_size": _HIDDEN, "num_hidden_layers": 12,
        "num_hidden_groups": 1, "inner_group_num": 1, "num_attention_heads": _HEADS,
        "intermediate_size": _INNER, "hidden_act": "gelu_new", "max_position_embeddings": _CONTEXT,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    }),
}  # fmt: skip


def untrained(name: str, *, dtype: torch.dtype | None, device: torch.device | None) -> LoopedModel:
    """Build a small model of a family with random weights from a fixed seed, with nano's tokenizer.

    Parameters
    ----------
    name : str
        A key of `UNTRAINED`.
    dtype, device
        None: float32 on the CPU.
    """
    kind, config = UNTRAINED[name]
    build: Build = (
        (lambda given: RetrofitNetwork(given, olmo=False)) if kind == "huginn_raven" else FAMILIES[kind][0]
    )
    model = LoopedDecoder if kind == "huginn_raven" else FAMILIES[kind][1]
    network = build(config).requires_grad_(requires_grad=False)
    _draw(network, torch.Generator().manual_seed(0))
    network = network.tie().to(device=device or torch.device("cpu"), dtype=dtype or torch.float32)
    return model(network, load_tokenizer(_NANO), name=name)


def _draw(network: LoopedNetwork, generator: torch.Generator) -> None:
    """Draw all weights in place, in the order of their names."""
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() > 1:
                std = 1.0 if isinstance(module, nn.Embedding) else weight.shape[1] ** -0.5
                weight.normal_(0.0, std, generator=generator)
            else:  # a norm; or a bias, a start, or the logarithm of a decay
                weight.fill_(1.0 if name == "weight" else 0.0)

"""Layers shared by the looped families: rotary embedding by halves, grouped attention, gated MLP.

Huginn's norm, linear layer and fused MLP (`latentkit.models.blocks`) are reused where the results agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.blocks import KeyValueCache, Linear

__all__ = [
    "LlamaAttention",
    "LlamaMLP",
    "attend_grouped",
    "inverse_frequencies",
    "rms",
    "rotary_table",
    "rotate_halves",
]


def inverse_frequencies(
    head_dim: int, theta: float, scaling: Mapping[str, Any] | None = None
) -> Float[Tensor, " pair"]:
    """Return theta^(-2j/d) for each pair of channels, in float32 and rescaled according to the config.

    Parameters
    ----------
    head_dim : int
    theta : float
    scaling : mapping, optional
        ``rope_scaling`` of the config: of type "llama3", or None.

    Raises
    ------
    ModelError
        If the scaling has another type.
    """
    pair = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu")
    plain = torch.tensor(theta, device="cpu") ** (-pair / head_dim)
    kind = (scaling or {}).get("rope_type", (scaling or {}).get("type"))
    if scaling is None or kind in (None, "default"):
        return plain
    if kind != "llama3":
        raise ModelError(f"The config says rope_scaling of type {kind!r}; only 'llama3' and none are known.")
    factor, low, high = (scaling[name] for name in ("factor", "low_freq_factor", "high_freq_factor"))
    # Number of full rotations within the original context length.
    turns = scaling["original_max_position_embeddings"] * plain / (2 * math.pi)
    share = ((turns - low) / (high - low)).clamp(0, 1)
    scaled: Tensor = (1 - share) * plain / factor + share * plain
    return scaled


def rotary_table(
    frequencies: Float[Tensor, " pair"], positions: Int[Tensor, " token"]
) -> Float[Tensor, "token pair 2"]:
    """Return cosine and sine of the rotary angles, in float32."""
    angle = positions.float()[:, None] * frequencies.to(positions.device)
    return torch.stack((angle.cos(), angle.sin()), dim=-1)


def rotate_halves(
    x: Float[Tensor, "batch token head channel"], table: Float[Tensor, "token pair 2"]
) -> Float[Tensor, "batch token head channel"]:
    """Rotate each pair of channels (j, j + d/2) by the angle of the position."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = table[:, None].unbind(-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.to(x.dtype)


def rms(x: Float[Tensor, "... channel"], eps: float) -> Float[Tensor, "... channel"]:
    """Scale each vector to unit mean square in float32, without a weight."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def attend_grouped(
    q: Float[Tensor, "batch token head channel"],
    k: Float[Tensor, "batch token group channel"],
    v: Float[Tensor, "batch token group channel"],
    cache: KeyValueCache | None = None,
    key: int = 0,
    *,
    mask: Tensor | None = None,
) -> Float[Tensor, "batch token wide"]:
    """Compute grouped attention to the same and all earlier positions.

    Query head j uses key and value head j // (heads / groups).

    Parameters
    ----------
    q, k, v : Tensor
        Queries, keys and values; the rotary embedding is already applied to q and k.
    cache : KeyValueCache, optional
        Stores the earlier positions, under ``key``.
    mask : Tensor, optional
        True where a query attends to a key; it replaces the causal mask.
    """
    heads = q.shape[2]
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if cache is not None:
        k, v = cache.update(key, k, v)
    k, v = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (k, v))
    queries, keys = q.shape[2], k.shape[2]
    if mask is None and 1 < queries < keys:
        mask = torch.ones(queries, keys, dtype=torch.bool, device=q.device).tril(keys - queries)
    causal = mask is None and queries > 1
    return (
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal).transpose(1, 2).flatten(2)
    )


class LlamaAttention(nn.Module):
    """Rotary attention with grouped key and value heads and the tensor names of Llama."""

    def __init__(self, hidden: int, heads: int, groups: int, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.q_proj = Linear(hidden, heads * head_dim, bias=False)
        self.k_proj = Linear(hidden, groups * head_dim, bias=False)
        self.v_proj = Linear(hidden, groups * head_dim, bias=False)
        self.o_proj = Linear(heads * head_dim, hidden, bias=False)

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Attend to the same and all earlier positions; ``key`` identifies the call in the cache."""
        q, k, v = (
            part(x).unflatten(-1, (-1, self.head_dim)) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        out: Tensor = self.o_proj(
            attend_grouped(rotate_halves(q, rope), rotate_halves(k, rope), v, cache, key)
        )
        return out


class LlamaMLP(nn.Module):
    """SiLU-gated feed-forward layer with separate matrices and the tensor names of Llama."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = Linear(hidden, inner, bias=False)
        self.up_proj = Linear(hidden, inner, bias=False)
        self.down_proj = Linear(inner, hidden, bias=False)

    def forward(self, x: Float[Tensor, "... hidden"]) -> Float[Tensor, "... hidden"]:
        """Return down(SiLU(gate) · up)."""
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out

"""Layers of Huginn: norm, rotary embedding, attention, gated MLP, sandwich block.

Shapes and the order of rounding steps match the released model, so the results are identical.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentkit.models.config import HuginnConfig

__all__ = ["Embedding", "GatedMLP", "KeyValueCache", "Linear", "RMSNorm", "SandwichBlock", "rope_table"]


class KeyValueCache(Protocol):
    """Interface of a key-value cache, as attention uses it."""

    def update(self, key: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values under block ``key``; return all its entries, oldest position first."""
        ...


class Linear(nn.Linear):
    """Linear layer without initialisation; its values come from a checkpoint or from `init_weights`.

    Initialisation here would be redundant. A module for a checkpoint is first built on torch's meta device,
    where initialisation would also import a compiler.
    """

    def reset_parameters(self) -> None:
        """Do nothing; the values stay uninitialised."""


class Embedding(nn.Embedding):
    """Embedding table without initialisation, for the same reason as `Linear`."""

    def reset_parameters(self) -> None:
        """Do nothing; the values stay uninitialised."""


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32 and cast back before the weight is applied."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Float[Tensor, "... hidden"]) -> Float[Tensor, "... hidden"]:
        """Scale each vector to unit mean square, then multiply it by the weight."""
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return scaled.to(x.dtype) * self.weight


def rope_table(config: HuginnConfig, positions: Int[Tensor, " token"]) -> Float[Tensor, "token pair 2"]:
    """Return cosine and sine of the rotary angles, base^(-2j/d) times the position, in float32."""
    pair = torch.arange(0, config.head_dim, 2, device=positions.device, dtype=torch.float32)
    frequency = 1.0 / (config.rope_base ** (pair / config.head_dim))
    angle = positions.float()[:, None] * frequency
    return torch.stack((angle.cos(), angle.sin()), dim=-1)


def rotate(
    x: Float[Tensor, "batch token head channel"], table: Float[Tensor, "token pair 2"]
) -> Float[Tensor, "batch token head channel"]:
    """Rotate the channel pairs (0, 1), (2, 3), … of each head by the angles of the position."""
    even, odd = x.float().reshape(*x.shape[:-1], -1, 2).unbind(-1)
    cos, sin = table[:, None].unbind(-1)
    turned = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return turned.flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Causal self-attention; ``Wqkv`` holds all query heads, then all key heads, then all value heads."""

    def __init__(self, config: HuginnConfig) -> None:
        super().__init__()
        h, heads = config.n_embd, config.n_heads
        self.heads = heads
        self.Wqkv = Linear(h, 3 * h, bias=False)
        self.proj = Linear(h, h, bias=False)
        self.qk_bias = nn.Parameter(torch.zeros(2, 1, heads, config.head_dim)) if config.qk_bias else None

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Attend to the same and all earlier positions; ``key`` identifies the block in the cache."""
        q, k, v = self.Wqkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        if self.qk_bias is not None:
            q, k = q + self.qk_bias[0], k + self.qk_bias[1]
        q, k, v = (t.transpose(1, 2) for t in (rotate(q, rope).to(v.dtype), rotate(k, rope).to(v.dtype), v))
        if cache is not None:
            k, v = cache.update(key, k, v)
        mixed = _attend(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute causal attention, aligned to the lower right if there are more keys than queries."""
    queries, keys = q.shape[2], k.shape[2]
    if queries == keys:
        return F.scaled_dot_product_attention(q, k, v, is_causal=queries > 1)
    if queries == 1:
        return F.scaled_dot_product_attention(q, k, v)
    mask = torch.ones(queries, keys, dtype=torch.bool, device=q.device).tril(keys - queries)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class GatedMLP(nn.Module):
    """SiLU-gated feed-forward layer; the first half of ``fc`` is the gate."""

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.fc = Linear(inputs, 2 * inner, bias=False)
        self.proj = Linear(inner, outputs, bias=False)

    def forward(self, x: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        """Return proj(SiLU(gate) · up)."""
        gate, up = self.fc(x).chunk(2, dim=-1)
        out: Tensor = self.proj(F.silu(gate) * up)
        return out


class SandwichBlock(nn.Module):
    """Attention and MLP with one norm before each part and one norm after each residual sum."""

    def __init__(self, config: HuginnConfig) -> None:
        super().__init__()
        h, eps = config.n_embd, config.norm_eps
        self.norm_1, self.norm_2 = RMSNorm(h, eps), RMSNorm(h, eps)
        self.norm_3, self.norm_4 = RMSNorm(h, eps), RMSNorm(h, eps)
        self.attn = Attention(config)
        self.mlp = GatedMLP(h, config.intermediate_size, h)

    def forward(
        self,
        x: Float[Tensor, "batch token hidden"],
        rope: Float[Tensor, "token pair 2"],
        cache: KeyValueCache | None = None,
        key: int = 0,
    ) -> Float[Tensor, "batch token hidden"]:
        """Run the block and return the residual stream."""
        x = self.norm_2(self.attn(self.norm_1(x), rope, cache, key) + x)
        out: Tensor = self.norm_4(self.mlp(self.norm_3(x)) + x)
        return out

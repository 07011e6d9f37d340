"""Configuration of a recurrent-depth model, as stored in its ``config.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from latentkit.errors import ModelError, nearest

__all__ = ["INJECTIONS", "HuginnConfig"]

INJECTIONS = ("linear", "add", "gate", "ffn")


@dataclass(frozen=True)
class HuginnConfig:
    """Configuration of a model, with the field names of the released ``config.json``.

    Fields that are unused, or that follow from other fields, are omitted. The released file has no
    ``injection_scale``: latentkit adds this field, with default 1. It is the initial weight of the prelude's
    last norm in fresh weights. Smaller values make each iteration keep more of the state.
    """

    n_embd: int = 5280
    n_heads: int = 55
    n_layers_in_prelude: int = 2
    n_layers_in_recurrent_block: int = 4
    n_layers_in_coda: int = 2
    intermediate_size: int = 17920
    vocab_size: int = 65536
    block_size: int = 4096
    rope_base: float = 50000
    norm_eps: float = 1e-6
    qk_bias: bool = True
    bias: bool = False
    tie_embeddings: bool = True
    injection_type: str = "linear"
    mean_recurrence: int = 32
    mean_backprop_depth: int = 8
    injection_scale: float = 1.0

    def __post_init__(self) -> None:
        sizes = [f.name for f in fields(self) if f.type == "int"]
        for name in sizes:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ModelError(
                    f"The config says {name} = {value!r}; it must be a whole number of at least 1."
                )
        self._check_numbers()
        if self.n_embd % self.n_heads or (self.n_embd // self.n_heads) % 2:
            raise ModelError(
                f"The config says n_embd = {self.n_embd} and n_heads = {self.n_heads}; the first must be "
                "divisible by the second, with an even quotient (rotary embeddings turn pairs)."
            )
        if self.injection_type not in INJECTIONS:
            raise ModelError(
                f"The config says injection_type = {self.injection_type!r}. "
                f"{nearest(str(self.injection_type), INJECTIONS)}"
            )

    def _check_numbers(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "float" and not (_is_number(value) and 0 < value < math.inf):
                raise ModelError(f"The config says {field.name} = {value!r}; it must be a number above 0.")
            if field.type == "bool" and not isinstance(value, bool):
                raise ModelError(f"The config says {field.name} = {value!r}; it must be true or false.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HuginnConfig:
        """Read a released ``config.json``; unused fields are ignored.

        Raises
        ------
        ModelError
            If a size is missing or invalid.
        """
        values = dict(values)
        if "tie_word_embeddings" in values:
            values.setdefault("tie_embeddings", values["tie_word_embeddings"])
        if "padded_vocab_size" in values:  # number of rows of the embedding
            values["vocab_size"] = values["padded_vocab_size"]
        known = {f.name for f in fields(cls)}
        needed = ("n_embd", "n_heads", "n_layers_in_prelude", "n_layers_in_recurrent_block")
        missing = [name for name in (*needed, "n_layers_in_coda", "vocab_size") if name not in values]
        if missing:
            raise ModelError(
                f"The config lacks {', '.join(missing)}. A recurrent-depth model in the released layout has "
                "them; is this config.json that of another kind of model?"
            )
        return cls(**{name: value for name, value in values.items() if name in known})

    def to_dict(self) -> dict[str, Any]:
        """Return the config as a ``config.json`` that `from_dict` and the released code can read."""
        return {
            "architectures": ["RavenForCausalLM"],
            "model_type": "huginn_raven",
            **asdict(self),
            "padded_vocab_size": self.vocab_size,
            "n_layers": self.n_layers_in_prelude + self.n_layers_in_recurrent_block + self.n_layers_in_coda,
            "num_key_value_heads": self.n_heads,
            "head_dim": self.head_dim,
            "effective_expected_depth": self.effective_depth,
        }

    @property
    def head_dim(self) -> int:
        """Number of channels per attention head."""
        return self.n_embd // self.n_heads

    @property
    def effective_depth(self) -> int:
        """Number of blocks applied to a token at the mean number of iterations."""
        core = self.n_layers_in_recurrent_block * self.mean_recurrence
        return self.n_layers_in_prelude + core + self.n_layers_in_coda

    @property
    def init_std(self) -> float:
        """Standard deviation sqrt(2 / (5 h)) of fresh weights; it also scales the initial state."""
        return math.sqrt(2 / (5 * self.n_embd))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

"""Settings of a training run; the size determines most of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from latentkit.errors import ArgumentError, nearest
from latentkit.models.config import HuginnConfig

__all__ = ["SIZES", "Settings"]

# hidden size, heads, intermediate size, blocks in prelude, core and coda
SIZES: dict[str, tuple[int, int, int, tuple[int, int, int]]] = {
    "micro": (32, 2, 64, (1, 1, 1)),  # for tests
    "nano": (256, 4, 1024, (1, 1, 1)),
    "small": (512, 8, 2048, (1, 2, 1)),
    "medium": (768, 12, 3072, (2, 4, 2)),
}

AUTOCAST = ("auto", "yes", "no")


@dataclass(frozen=True)
class Settings:
    """A training run, apart from its data.

    Parameters
    ----------
    size : str
        One of `SIZES`.
    tokens, minutes : int, float
        Budget; the run ends at the limit that is reached first, and 0 means no limit. Only a run limited by
        tokens is reproducible.
    seed : int
        Seed of the weights, the order of the data, the numbers of iterations and the initial states.
    rows, length : int
        Number of rows of a batch, and their length in tokens.
    mean_recurrence : int
        Mean of the log-normal Poisson distribution of the number of iterations.
    loop : bool
        Repeat the core. If False, each of its `mean_recurrence` passes has its own block, and every step runs
        each block once: a control without the loop at about equal compute.
    backprop_depth : int
        Number of iterations with gradient, counted from the last.
    recurrence_ramp : float
        Share of the budget during which the mean grows from a third of its value to its full value.
    shallow_share : float
        Share of the steps that run 1 to 4 iterations only, so that the model can be read out early.
    early_readout : float
        Weight of a second loss, on a quarter of the rows, at one of the first 4 iterations, which is drawn at
        each step. It makes r = 1 and r = 2 usable if the mean is high; 0 omits this loss.
    injection : str
        How the prelude's output enters each iteration.
    injection_scale : float
        Initial value of the prelude's last norm, that is the initial scale of the injected signal. With a
        smaller value each iteration keeps more of the state.
    hold_injection : bool
        Keep that norm at its initial value. If it is trained, it grows, and the state loses its influence.
    matrix_rate, other_rate : float
        Learning rates of Muon (matrices of the blocks) and of AdamW (embedding, norms, biases).
    warmup, decay : float
        Shares of the budget during which the rate rises from 0 and falls to 0.
    weight_decay : float
        Decoupled weight decay, for the matrices of the blocks only.
    autocast : str
        Multiply in bfloat16: "yes", "no", or "auto", which means yes if the processor or the GPU has bfloat16
        instructions. Without them bfloat16 is a hundred times slower than float32.
    compile : bool
        Compile the blocks.
    """

    size: str = "nano"
    tokens: int = 0
    minutes: float = 0.0
    seed: int = 0
    vocab_size: int = 4736
    context: int = 1024
    rows: int = 16
    length: int = 256
    mean_recurrence: int = 12
    loop: bool = True
    backprop_depth: int = 8
    recurrence_ramp: float = 0.4
    shallow_share: float = 0.1
    early_readout: float = 0.0
    injection: str = "add"
    injection_scale: float = 1.0
    hold_injection: bool = False
    matrix_rate: float = 0.02
    other_rate: float = 3e-3
    warmup: float = 0.02
    decay: float = 0.35
    weight_decay: float = 0.02
    autocast: str = "auto"
    compile: bool = True
    # Share by name of the source; only stored in checkpoints, as a record.
    mixture: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ArgumentError(f"No size named '{self.size}'. {nearest(self.size, SIZES)}")
        if self.autocast not in AUTOCAST:
            raise ArgumentError(f"No autocast '{self.autocast}'. {nearest(self.autocast, AUTOCAST)}")
        if self.tokens <= 0 and self.minutes <= 0:
            raise ArgumentError("Training has no end. Pass tokens or minutes above 0.")

    @property
    def config(self) -> HuginnConfig:
        """Configuration of the architecture of this size."""
        hidden, heads, intermediate, (prelude, core, coda) = SIZES[self.size]
        core, mean = (core, self.mean_recurrence) if self.loop else (core * self.mean_recurrence, 1)
        return HuginnConfig(
            n_embd=hidden,
            n_heads=heads,
            n_layers_in_prelude=prelude,
            n_layers_in_recurrent_block=core,
            n_layers_in_coda=coda,
            intermediate_size=intermediate,
            vocab_size=self.vocab_size,
            block_size=self.context,
            injection_type=self.injection,
            mean_recurrence=mean,
            mean_backprop_depth=self.backprop_depth,
            injection_scale=self.injection_scale,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for a checkpoint."""
        return asdict(self)

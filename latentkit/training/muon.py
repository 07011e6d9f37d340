"""Muon: momentum with a nearly orthogonal update, for the matrices of the blocks.

torch has this optimiser too (`torch.optim.Muon`), but multiplies in bfloat16 on every device. On a processor
without bfloat16 instructions, its five multiplications take three times as long as the rest of a training
step of nano. This module chooses the precision by the device, as the rest of a run does.

References
----------
.. [1] Jordan et al. (2024), *Muon: An optimizer for hidden layers in neural networks*,
   https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from latentkit.training.precision import has_bfloat16

__all__ = ["Muon", "nearly_orthogonal"]

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # steepest at zero among those that keep values within 0.7 and 1.2
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with a nearly orthogonal update.

    Parameters
    ----------
    params : iterable of Parameter
        Matrices only.
    lr, weight_decay : float
        Learning rate and decoupled weight decay. For a matrix with more rows than columns, the learning rate
        is multiplied by the square root of their ratio.
    momentum : float
        Share of the previous momentum that is kept.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], *, lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, group)

    def _update(self, matrix: Tensor, group: dict[str, float]) -> None:
        state, gradient = self.state[matrix], matrix.grad
        assert gradient is not None
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        kept = state["momentum_buffer"]
        kept.lerp_(gradient, 1 - group["momentum"])
        precision = torch.bfloat16 if has_bfloat16(matrix.device) else torch.float32
        update = nearly_orthogonal(gradient.lerp(kept, group["momentum"]).to(precision))
        rows, columns = matrix.shape
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))


def nearly_orthogonal(matrix: Tensor) -> Tensor:
    """Bring all singular values near 1 by five steps of a Newton-Schulz iteration.

    Examples
    --------
    >>> values = torch.linalg.svdvals(nearly_orthogonal(torch.tensor([[9.0, 1.0, 0.0], [0.0, 0.5, 2.0]])))
    >>> bool((values > 0.6).all() and (values < 1.3).all())
    True
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x

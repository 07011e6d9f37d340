"""Divergences between predictions, computed from states without holding all logits at once.

With a linear head z = W x, the cross term of KL(p ‖ q) needs p only through E_p[W] = pᵀW:

    KL(p ‖ q) = logsumexp(z_q) − logsumexp(z_p) − ⟨E_p[W], x_q − x_p⟩

so one pass over W, a tile of the vocabulary at a time, gives everything, and equal states give exactly zero.
A soft-cap breaks the identity; such heads, and the other divergences, are streamed in chunks of rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from latentkit import criteria
from latentkit.models.layered.unrolled import Head

__all__ = ["divergence_bytes", "divergence_of_states"]

_TILE = 2**19  # logits held at once: rows × tile, small enough for a processor's cache
_SMALLEST = 1e-20  # a smaller sum of exponentials may have lost terms
_SUMMED = 64  # terms added in float32 before the sum continues in float64
_CHUNK = 2**22  # logits held at once for each of reference and approximation, where they are streamed


def divergence_bytes(head: Head, name: str, rows: int, hidden: int, vocabulary: int) -> int:
    """Return the size of what `divergence_of_states` holds at once for so many rows."""
    if name == "kl" and head.weight is not None:
        return rows * hidden * (4 + 3 * 8) + 2 * _TILE * 4  # the rows, differences in float64, and tiles
    return 6 * 4 * min(_CHUNK, rows * vocabulary)


@torch.no_grad()
def divergence_of_states(
    head: Head,
    reference: Float[Tensor, "reference hidden"],
    approximation: Float[Tensor, "row hidden"],
    pair: Int[Tensor, " row"],
    name: str = "kl",
    *,
    other_head: Head | None = None,
) -> Float[Tensor, " row"]:
    """Compare the prediction of each row with that of its reference.

    Parameters
    ----------
    head : Head
        From states to logits.
    reference, approximation : Tensor [reference | row, hidden]
        Inputs of the head, already normalised.
    pair : Tensor [row]
        Which reference belongs to each row.
    name : str
        A key of `latentkit.criteria.DIVERGENCES`.
    other_head : Head, optional
        Head of the approximations, if they come from another model.

    Returns
    -------
    Tensor [row]
        Nats in float64, on the CPU, not clamped.
    """
    if name == "kl" and head.weight is not None and other_head is None:
        return _tiled_kl(head, reference, approximation, pair)
    return _streamed((head, other_head or head), reference, approximation, pair, name)


def _tiled_kl(head: Head, reference: Tensor, approximation: Tensor, pair: Tensor) -> Tensor:
    """Apply the identity to rows that differ from their reference; the others are exactly 0."""
    pair = pair.to(reference.device)
    found = torch.zeros(len(approximation), dtype=torch.float64, device=reference.device)
    differ = torch.nonzero((approximation != reference[pair]).any(1))[:, 0]
    if not len(differ):
        return found.cpu()
    count, pair = len(reference), pair[differ]
    rows = torch.cat((reference, approximation[differ])).float() * head.scale
    total, expected = _sums(head, rows, count, None)
    log_total = total.log()
    # Unshifted sums of exp(z) are accurate unless they leave the range of float32; NaN is recomputed too.
    if not ((total > _SMALLEST) & (total < torch.inf)).all() or not expected.isfinite().all():
        shift = _largest(head, rows)
        total, expected = _sums(head, rows, count, shift)
        log_total = shift.double() + total.log()
    expected /= total[:count, None]
    apart = rows[count:].double() - rows[:count].double()[pair]
    found[differ] = log_total[count:] - log_total[:count][pair] - (expected[pair] * apart).sum(1)
    return found.cpu()


def _sums(head: Head, rows: Tensor, count: int, shift: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return Σ exp(z − shift) [row] and, for the first ``count`` rows, that weighted by W [row, hidden]."""
    total = rows.new_zeros(len(rows), dtype=torch.float64)
    expected = rows.new_zeros(count, rows.shape[1], dtype=torch.float64)
    for logits, weight in _tiles(head, rows):
        if shift is not None:
            logits.sub_(shift[:, None])
        terms = logits.exp_()
        total += terms.sum(1)
        blocks = zip(torch.split(terms[:count], _SUMMED, 1), torch.split(weight, _SUMMED), strict=True)
        for part, words in blocks:
            expected += part @ words
    return total, expected


def _largest(head: Head, rows: Tensor) -> Tensor:
    """Return the largest logit of each row."""
    top = rows.new_full((len(rows),), -torch.inf)
    for logits, _ in _tiles(head, rows):
        top = torch.maximum(top, logits.amax(1))
    return top


def _tiles(head: Head, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits and rows of the head's matrix, a tile of the vocabulary at a time, in the same memory."""
    assert head.weight is not None
    tile = max(_SUMMED, _TILE // len(rows) // _SUMMED * _SUMMED)
    room = rows.new_empty(len(rows), tile)
    for start in range(0, len(head.weight), tile):
        weight = head.weight[start : start + tile].float()
        logits = torch.mm(rows, weight.T, out=room if len(weight) == tile else None)
        if head.bias is not None:
            logits += head.scale * head.bias[start : start + tile].float()
        yield logits, weight


def _streamed(
    heads: tuple[Head, Head], reference: Tensor, approximation: Tensor, pair: Tensor, name: str
) -> Tensor:
    """Compute whole distributions, a chunk of rows at a time; each is computed once."""
    head, other = heads
    between = criteria.DIVERGENCES[name].between
    found = torch.empty(len(approximation), dtype=torch.float64)
    vocabulary = head.logits(reference[:1]).shape[-1]
    size = max(1, _CHUNK // vocabulary)
    for start in range(0, len(reference), size):
        p = criteria.log_softmax(head.logits(reference[start : start + size]))
        rows = torch.nonzero((pair >= start) & (pair < start + size))[:, 0]
        for chosen in torch.split(rows, len(p)):  # chunks of equal size, so that equal states round equally
            q = criteria.log_softmax(other.logits(approximation[chosen.to(approximation.device)]))
            found[chosen] = between(p[(pair[chosen] - start).to(p.device)], q).double().cpu()
    return found

"""Figures of a model card as Markdown: one model, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from latentkit.training.evaluation.cost import Cost

if TYPE_CHECKING:
    from latentkit.training.evaluation.evaluate import Figures

__all__ = ["compare", "report"]


def report(figures: Figures, cost: Cost | None = None) -> str:
    """Return the figures as Markdown for the model card."""
    rows = {
        "bits per byte, books": figures.bits_per_byte,
        "bits per byte, documentation": figures.documentation,
    }
    at = list(figures.bits_per_byte)
    lines = [_row("iterations", at), "|---|" + "---|" * len(at)]
    lines += [_row(name, [f"{row[r]:.3f}" for r in at]) for name, row in rows.items() if row]
    lines += [""]
    for name, values in (("held-out books", figures.settling_text), ("Faust", figures.settling_faust)):
        low, middle, high = values
        lines += [f"Settling iteration, {name} (10th, 50th, 90th percentile): {low:g}, {middle:g}, {high:g}"]
    lines += [
        f"Faust tokens under 2 % at iteration 64: {figures.faust_settled:.1%}",
        f"Tokens that do not reach 1 % by iteration 128: {figures.unsettled:.1%}{_said(figures)}",
    ]
    for kind, medians in figures.settling_hops.items():
        said = f"{_by_steps(medians)}; rank correlation {figures.hops_correlation[kind]:.2f}"
        lines += [f"Settling iteration of an answer (median) by steps of {kind}: {said}"]
    if figures.first_iterations:
        said = _by_steps(figures.first_iterations)
        lines += [f"First iteration with 90 % of the final accuracy, by steps of facts: {said}"]
    if cost:
        weights = f"Weights: {cost.megabytes:.1f} MB, loaded in {cost.load:.2f} s; "
        lines += [f"{weights}60 tokens × 128 iterations with readouts: {cost.trace:.1f} s"]
    return "\n".join([*lines, *_accuracy(figures)])


def compare(several: Mapping[str, Figures]) -> str:
    """Return a Markdown table with a column per model; each figure is at its best number of iterations.

    Parameters
    ----------
    several : mapping of str to Figures
        Figures by name of the model, for example nano and the control that was trained without the loop.
    """
    lines = [_row("at the best number of iterations", several), "|---|" + "---|" * len(several)]
    best = [min(f.bits_per_byte.items(), key=lambda pair: pair[1]) for f in several.values()]
    lines += [_row("bits per byte, books", [f"{bits:.3f} (r = {r})" for r, bits in best])]
    if all(figures.documentation for figures in several.values()):
        bits = [f"{min(figures.documentation.values()):.3f}" for figures in several.values()]
        lines += [_row("bits per byte, documentation", bits)]
    for kind, steps in next(iter(several.values())).accuracy:
        shares = [f"{max(figures.accuracy[kind, steps].values()):.2f}" for figures in several.values()]
        lines += [_row(f"{kind}, {steps or 'all'}", shares)]
    return "\n".join(lines)


def _accuracy(figures: Figures) -> list[str]:
    if not figures.accuracy:
        return []
    at = list(next(iter(figures.accuracy.values())))
    lines = [
        "",
        "| problem | steps | " + " | ".join(f"r = {r}" for r in at) + " |",
        "|---|---|" + "---|" * len(at),
    ]
    for (kind, steps), row in figures.accuracy.items():
        lines += [f"| {kind} | {steps or 'all'} | " + " | ".join(f"{row[r]:.2f}" for r in at) + " |"]
    return lines


def _row(name: str, cells: object) -> str:
    return f"| {name} | " + " | ".join(map(str, cells)) + " |"  # type: ignore[call-overload]


def _by_steps(values: Mapping[int, float | None]) -> str:
    return ", ".join(
        f"{'never' if value is None else format(value, 'g')} at {steps}" for steps, value in values.items()
    )


def _said(figures: Figures) -> str:
    kinds = figures.unsettled_kinds
    return f" ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})" if kinds else ""

"""Example prompts of the live page: the published ones, facts, and graded problems."""

from __future__ import annotations

from typing import Any

from latentkit.prompts import FIGURES, SAFETY

__all__ = ["REFUSED", "presets"]

#: Texts that the page traces and never answers.
REFUSED = (SAFETY,)

_FIGURES = {
    "F1": "F1: an answer about Goethe's Faust",
    "F2": "F2: the safety prompt (traced, never answered)",
    "F3": "F3: the system prompt itself",
}
_FACTS = (
    "The capital of France is",
    "The opposite of hot is",
    "The word for a young dog is",
    "The month after May is",
    "The author of Faust is",
    "The capital of the land where the Loire flows is",
    "The capital of the homeland of the composer of A German Requiem is",
)
_STEPS = (1, 3, 6)


def presets() -> list[dict[str, Any]]:
    """Return the examples in their order, each with ``group``, ``label`` and what the form takes."""
    published = [
        _preset("Published prompts", label, figure.user, figure.system, figure.answer, chat=True)
        for name, label in _FIGURES.items()
        for figure in [FIGURES[name]]
    ]
    facts = [_preset("Facts", text, text) for text in _FACTS]
    return [*published, *facts, *_problems()]


def _problems() -> list[dict[str, Any]]:
    """Return held-out problems of several difficulties, with their answers in the label."""
    from latentkit.problems.generator import draw_problems

    found = [draw_problems("composition", 1, steps=steps)[0] for steps in _STEPS]
    found += [draw_problems("path", 1, steps=steps)[0] for steps in _STEPS]
    return [
        _preset(
            "Graded problems",
            f"{one.kind}, {one.steps} {'step' if one.steps == 1 else 'steps'} (answer: {one.answer.strip()})",
            one.prompt,
            chat=one.chat,
        )
        for one in found
    ]


def _preset(
    group: str,
    label: str,
    prompt: str,
    system: str | None = None,
    answer: str | None = None,
    *,
    chat: bool = False,
) -> dict[str, Any]:
    texts = {"prompt": prompt, "system": system, "answer": answer or ""}
    return {"group": group, "label": label, **texts, "chat": chat}

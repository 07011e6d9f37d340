"""What the tests of sliders share: the parts of a box, and the axes that it draws."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest


def sliders(box: Any) -> dict[str, Any]:
    """Return the controls of a box by their names."""
    return {child.description: child for child in box.children[:-1]}


def shown(box: Any) -> str:
    """Return the HTML below the controls."""
    text: str = box.children[-1].value
    return text


def alt(box: Any) -> str:
    """Return the alt text of the picture below the controls."""
    return html.unescape(shown(box).split('alt="', 1)[1].split('"', 1)[0])


def recorded(monkeypatch: pytest.MonkeyPatch, subject: str, plot: Callable[..., Any]) -> list[Any]:
    """Record the axes that the sliders of a subject draw from here on, the latest last."""
    axes: list[Any] = []

    def draw(*arguments: Any, **options: Any) -> Any:
        axes.append(plot(*arguments, **options))
        return axes[-1]

    monkeypatch.setattr(f"latentkit.sliders.{subject}.{plot.__name__}", draw)
    return axes

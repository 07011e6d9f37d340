"""One dot per name on an axis: where one value lies among others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from latentkit.errors import ArgumentError, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_dots"]


def plot_dots(values: Mapping[str, float], *, highlight: str | Sequence[str], label: str = "") -> Axes:
    """Draw one dot per value, from small to large, with one or several of them marked.

    Parameters
    ----------
    values : mapping from name to number
        At least two.
    highlight : str or sequence of str
        The names that are marked, by colour, shape and text.
    label : str, optional
        Label of the axis.

    Returns
    -------
    Axes
        Axes of a new figure, with alt text.

    Raises
    ------
    ArgumentError
        If a name in ``highlight`` is not one of the names.
    """
    from matplotlib import pyplot as plt

    from latentkit.plot.drawing.alt import set_alt_text

    chosen = [highlight] if isinstance(highlight, str) else list(highlight)
    for name in chosen:
        if name not in values:
            msg = f"No value is named {name!r}. {nearest(name, values)}"
            raise ArgumentError(msg)
    names = sorted(values, key=lambda name: values[name])
    _, ax = plt.subplots(figsize=(7, 0.6 + 0.21 * len(names)), layout="constrained")
    for row, name in enumerate(names):
        marked = name in chosen
        ax.plot(values[name], row, "D" if marked else "o", color="#d95f02" if marked else "#31688e")
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.8, len(names) - 0.2)
    for name in chosen:
        ax.get_yticklabels()[names.index(name)].set_fontweight("bold")
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel(label)
    set_alt_text(
        ax,
        f"One dot for each of {len(names)} names, by {label or 'value'}, from {names[0]} "
        f"({values[names[0]]:.3g}) to {names[-1]} ({values[names[-1]]:.3g}). "
        f"{_marked(values, names, chosen)}",
    )
    return ax


def _marked(values: Mapping[str, float], names: Sequence[str], chosen: Sequence[str]) -> str:
    """Return the sentence about the marked names."""
    if len(chosen) == 1:
        larger = sum(values[name] > values[chosen[0]] for name in names)
        return f"“{chosen[0]}” is marked at {values[chosen[0]]:.3g}; {larger} are larger."
    placed = ", ".join(f"{name} ({values[name]:.3g})" for name in sorted(chosen, key=values.__getitem__))
    return f"Marked are {placed}."

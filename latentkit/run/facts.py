"""Values derived from a model's facts: the default depth, possible starts, attributes of a trace."""

from __future__ import annotations

from typing import Any

from latentkit.errors import ArgumentError
from latentkit.models.contract import facts_of
from latentkit.run.arguments import iteration_count

__all__ = ["asked_iterations", "fact_attrs", "need_starts"]


def asked_iterations(model: Any, iterations: object, default: int) -> int:
    """Return a checked number of iterations; None: the trained one, or a default where there is none."""
    if iterations is None:
        return facts_of(model).trained_iterations or default
    return iteration_count("iterations", iterations)


def fact_attrs(model: Any) -> dict[str, int | str]:
    """Return the facts as attributes of a trace; a model without iterations has none."""
    if not hasattr(model, "step"):
        return {}
    facts = facts_of(model)
    trained = "any" if facts.trained_iterations is None else facts.trained_iterations
    return {"seeded": int(facts.seeded), "causal": int(facts.causal), "trained_iterations": trained}


def need_starts(model: Any, what: str, instead: str) -> None:
    """Refuse several starts of a model that has only one; the message names an alternative."""
    if not facts_of(model).seeded:
        msg = (
            f"{model.name} starts from its input and not from a seed, so {what} would all be the same run. "
            f"{instead}"
        )
        raise ArgumentError(msg)

"""How many held-out problems a model answers, by kind, difficulty and number of iterations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from latentkit.models.chat import BEGIN_TEXT, END_TURN, render_chat
from latentkit.problems import generator as tasks

__all__ = ["by_difficulty", "share_right"]

# None: of all difficulties, as training draws them.
STEPS: dict[str, tuple[int | None, ...]] = {
    "composition": (1, 2, 3, 4, 6),
    "floors": (1, 2, 3, 4),
    "path": (1, 2, 3, 4),
    "sums": (1, 2, 4),
    "parity": (1, 2, 4),
    "lookup": (1,),
    "sorting": (1, 2, 3, 4),
    "addition": (1, 2, 3, None),
}
ITERATIONS = (1, 2, 4, 8, 16, 32)


def by_difficulty(model: Any, *, problems: int = 100) -> dict[tuple[str, int | None], dict[int, float]]:
    """Return, for each kind and number of steps, the share answered right by number of iterations."""
    return {
        (kind, steps): share_right(
            model, [tasks.make_problem(kind, seed=i, steps=steps) for i in range(problems)]
        )
        for kind, several in STEPS.items()
        for steps in several
    }


def share_right(
    model: Any, problems: Sequence[tasks.Problem], *, iterations: Sequence[int] = ITERATIONS, seed: int = 0
) -> dict[int, float]:
    """Share of problems whose whole answer the model would write, choosing the likeliest token each time.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    problems : sequence of Problem
        From `tasks.make_problem`.
    iterations : sequence of int
        Where to stop.
    seed : int
        Of the initial state.

    Returns
    -------
    dict of int to float
        By number of iterations, 0 to 1. A chat answer counts only if the turn ends after it.

    Notes
    -----
    The right answer is given to the model and each of its tokens compared with the likeliest one. They all
    agree exactly if the model, left alone, would have written that answer.
    """
    ids, answers = batch_of(model.tokenizer, problems)
    asked = torch.zeros_like(ids, dtype=torch.bool)
    for row, answer in zip(asked, answers, strict=True):
        row[answer] = True
    result = {}
    for i, logits in logits_at(model, ids, iterations, seed):
        right = (logits.argmax(-1).cpu() == ids[:, 1:]) | ~asked[:, 1:]
        result[i] = float(right.all(dim=1).float().mean())
    return result


def batch_of(tokenizer: Any, problems: Sequence[tasks.Problem]) -> tuple[torch.Tensor, list[slice]]:
    """Put problems and their answers into one batch; also return where in its row each answer stands.

    Rows are filled up with token 0 at their ends: attention is causal, so what follows is never read.
    """
    rows = [_encode(tokenizer, problem) for problem in problems]
    ids = torch.zeros(len(rows), max(len(prompt) + len(answer) for prompt, answer in rows), dtype=torch.long)
    for row, (prompt, answer) in zip(ids, rows, strict=True):
        row[: len(prompt) + len(answer)] = torch.tensor(prompt + answer)
    return ids, [slice(len(prompt), len(prompt) + len(answer)) for prompt, answer in rows]


def logits_at(
    model: Any, ids: torch.Tensor, iterations: Sequence[int], seed: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield each wanted number of iterations and the logits after all tokens but the last."""
    context = model.embed(ids)
    state = model.initial_state(context, seed)
    for i in range(1, max(iterations) + 1):
        state = model.step(state, context)
        if i in iterations:
            yield i, model.readout(state, context)[:, :-1]


def _encode(tokenizer: Any, problem: tasks.Problem) -> tuple[list[int], list[int]]:
    prompt, answer = BEGIN_TEXT + problem.prompt, problem.answer
    if problem.chat:
        prompt = render_chat([{"role": "user", "content": problem.prompt}], add_generation_prompt=True)
        answer += END_TURN
    return (
        tokenizer.encode(prompt, add_special_tokens=False),
        tokenizer.encode(answer, add_special_tokens=False),
    )

"""Grading: whether a model's answers to problems are right, by number of iterations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from latentkit.models.chat import END_TURN
from latentkit.problems.generator import Problem, draw_problems
from latentkit.run.prompting import encode

__all__ = ["batch_of", "batches", "by_difficulty", "count_right", "logits_at"]

#: Difficulties in a model card; None draws the number of steps as training does.
STEPS: dict[str, tuple[int | None, ...]] = {
    "composition": (1, 2, 3, 4, 6),
    "floors": (1, 2, 3, 4),
    "path": (1, 2, 3, 4),
    "sums": (1, 2, 4),
    "parity": (1, 2, 4),
    "lookup": (1,),
    "sorting": (1, 2, 3, 4),
    "addition": (1, 2, 3, None),
    "facts": (1, 2, 3, 4, 5),
}
ITERATIONS = (1, 2, 4, 8, 16, 32)
_BATCH = 25  # a larger batch pads more and delays an interrupt


def by_difficulty(model: Any, *, problems: int = 100) -> dict[tuple[str, int | None], dict[int, float]]:
    """Return the share of held-out problems answered right, by number of iterations.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    problems : int
        Number of problems of each kind and difficulty, no two alike. A kind may have fewer.

    Returns
    -------
    dict of (kind, steps) to dict of int to float
    """
    shares = {}
    for kind, several in STEPS.items():
        for steps in several:
            drawn = draw_problems(kind, problems, steps=steps)
            counts = [count_right(model, batch, iterations=ITERATIONS) for batch in batches(drawn)]
            shares[kind, steps] = {i: sum(count[i] for count in counts) / len(drawn) for i in ITERATIONS}
    return shares


def batches(problems: Sequence[Problem]) -> list[list[Problem]]:
    """Split problems into batches of similar length."""
    ordered = sorted(problems, key=lambda problem: len(problem.prompt))
    return [ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH)]


def count_right(
    model: Any, problems: Sequence[Problem], *, iterations: Sequence[int], seed: int = 0
) -> dict[int, int]:
    """Count the problems whose whole answer the model would generate greedily.

    Parameters
    ----------
    model : RecurrentModel
        With a tokenizer.
    problems : sequence of Problem
        From `latentkit.problems.make_problem`; they form one batch.
    iterations : sequence of int
        Numbers of iterations after which the answers are read out.
    seed : int
        Seed of the initial state.

    Returns
    -------
    dict of int to int
        By number of iterations. A chat answer counts only if the turn ends after it.

    Notes
    -----
    The model reads the right answer, and each of its tokens is compared with the likeliest one. All of them
    agree exactly if greedy decoding would generate that answer.
    """
    ids, answers = batch_of(model.tokenizer, problems)
    graded = torch.zeros_like(ids, dtype=torch.bool)
    for row, answer in zip(graded, answers, strict=True):
        row[answer] = True
    counts = {}
    for i, logits in logits_at(model, ids, iterations, seed):
        right = (logits.argmax(-1).cpu() == ids[:, 1:]) | ~graded[:, 1:]
        counts[i] = int(right.all(dim=1).sum())
    return counts


def batch_of(tokenizer: Any, problems: Sequence[Problem]) -> tuple[torch.Tensor, list[slice]]:
    """Return problems with their answers as one batch, and the position of each answer in its row.

    Rows are padded at the end with token 0; the output of a causal model does not depend on later tokens.
    """
    rows = [_encode(tokenizer, problem) for problem in problems]
    ids = torch.zeros(len(rows), max(len(prompt) + len(answer) for prompt, answer in rows), dtype=torch.long)
    for row, (prompt, answer) in zip(ids, rows, strict=True):
        row[: len(prompt) + len(answer)] = torch.tensor(prompt + answer)
    return ids, [slice(len(prompt), len(prompt) + len(answer)) for prompt, answer in rows]


def logits_at(
    model: Any, ids: torch.Tensor, iterations: Sequence[int], seed: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield each requested number of iterations with the logits after all tokens but the last."""
    context = model.embed(ids)
    state = model.initial_state(context, seed)
    for i in range(1, max(iterations) + 1):
        state = model.step(state, context)
        if i in iterations:
            yield i, model.readout(state, context)[:, :-1]


def _encode(tokenizer: Any, problem: Problem) -> tuple[list[int], list[int]]:
    """Return the token ids of prompt and answer; a chat answer includes the end of the turn."""
    answer: list[int] = tokenizer(problem.answer, add_special_tokens=False)["input_ids"]
    if problem.chat:
        end_turn = tokenizer.get_vocab().get(END_TURN, tokenizer.eos_token_id)
        answer = [*answer, end_turn]
    return encode(tokenizer, problem.prompt, chat=problem.chat), answer

"""Exercises of lesson 1, made from the student's decoding."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from latentkit.classroom.exercise import Exercise, Judgement, whole_answer
from latentkit.classroom.values import Mistake, values_exercise
from latentkit.errors import TraceError
from latentkit.measure import answer_iteration
from latentkit.view.decoding import select_decoding
from latentkit.view.labels import visible_token

__all__ = ["decided_from", "right_at", "whole_text"]


def whole_text(trace: xr.Dataset) -> Exercise:
    """Ask from which iteration on every token of a decoding is the token that was taken.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, greedy, without an exit, with readouts.

    Returns
    -------
    Exercise
        The answer is a whole number.

    Raises
    ------
    TraceError
        If ``trace`` is not a decoding, has no readouts, or its last readouts are not the tokens taken.
    """
    select_decoding(trace)
    if "readout_id" not in trace.variables or not (_guesses(trace)[:, -1] == trace["token_id"].values).all():
        msg = (
            "This exercise needs a decoding whose last readout is the token taken. Run it with readouts, "
            "temperature=0.0 and exit=None."
        )
        raise TraceError(msg)
    passes = trace["iteration"].values.tolist()
    answer = int(answer_iteration(trace).max())

    def judge(given: Any) -> Judgement:
        number = whole_answer(given)
        if number is None or number not in passes:
            return False, f"The answer is a whole number from {passes[0]} to {passes[-1]}; this is {given!r}."
        if number > answer:
            earlier = f"they already were at iteration {number - 1}"
            return False, f"From iteration {number} on all tokens are the ones taken, but {earlier}."
        if number < answer:
            return False, _too_early(trace, number)
        return True, (
            f"From iteration {answer} on the text is complete; of {passes[-1]} iterations, "
            f"{passes[-1] - answer} change no token."
        )

    return Exercise(
        question=(
            "Judge each token after the tokens that were really taken before it, as the slider does. From "
            "which iteration on is every token the one that was taken?"
        ),
        clue=(
            "One token that is still different is enough. Which token of the picture is the last to change?",
            (
                "Move the slider “Iteration” to its right end, where no border is dashed. Then go back one "
                "iteration at a time until a border becomes dashed."
            ),
            "The answer is one step to the right of that iteration.",
        ),
        judge=judge,
    )


def _guesses(trace: xr.Dataset) -> np.ndarray[Any, Any]:
    best = trace["readout_id"].isel(rank=0).transpose("generated_token", "iteration")
    return np.asarray(best.values)


def _mistake(trace: xr.Dataset, iteration: int) -> str:
    """Name a token that differs at an iteration."""
    there = trace.isel(rank=0).sel(iteration=iteration)
    place = int(np.flatnonzero((there["readout_id"] != trace["token_id"]).values)[0])
    said = visible_token(str(there["readout_text"].values[place]))
    taken = visible_token(str(trace["token_text"].values[place]))
    return f"generated token {place} is still “{said}”; the token taken is “{taken}”."


def _too_early(trace: xr.Dataset, iteration: int) -> str:
    if (_guesses(trace)[:, trace["iteration"].values.tolist().index(iteration)] != trace["token_id"]).any():
        return f"At iteration {iteration} {_mistake(trace, iteration)}"
    return f"At iteration {iteration} every token is the one taken, but a later iteration changes one again."


def right_at(trace: xr.Dataset, *, iteration: int) -> Exercise:
    """Ask how many tokens are already the ones taken if every token is stopped at an iteration.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, with readouts.
    iteration : int
        The iteration.

    Returns
    -------
    Exercise
        The answer is a number of tokens.
    """
    ids = _guesses(trace)
    taken = trace["token_id"].values
    column = trace["iteration"].values.tolist().index(iteration)
    right = int((ids[:, column] == taken).sum())
    stays = int((ids[:, column:] == taken[:, None]).all(1).sum())
    listed = int((trace["readout_id"].sel(iteration=iteration) == trace["token_id"]).sum())
    return values_exercise(
        f"How many of the {taken.size} tokens are the ones taken at iteration {iteration}?",
        right,
        hints=(
            "Two arrays of token ids are compared: the likeliest ones at the iteration, and the ones taken.",
            (
                "trace.readout_id has the dimensions generated_token, iteration and rank; rank 0 is the "
                "likeliest."
            ),
            "(one == other).sum() counts equal entries; trace.token_id holds the tokens taken.",
        ),
        right=f"Of these, {stays} do not change any more afterwards.",
        mistakes=[
            Mistake(taken.size - right, "This counts the tokens that are different."),
            Mistake(stays, "This counts only those that stay the same afterwards."),
            Mistake(listed, "This counts the tokens listed at any rank. Take rank 0, the likeliest."),
            Mistake(right / taken.size, "This is a share. The answer is a number of tokens."),
            Mistake((ids[:, column] == taken).astype(float), "These are the single comparisons. Count them."),
        ],
        wrong=lambda _, value: f"It is not {value:g}.",
    )


def decided_from(trace: xr.Dataset) -> Exercise:
    """Ask from which iteration on the top token is the token taken, for each token.

    Parameters
    ----------
    trace : Dataset
        From ``run_decoding``, greedy, without an exit, with readouts.

    Returns
    -------
    Exercise
        The answer has one number for each token.
    """
    wanted = answer_iteration(trace)
    passes = trace["iteration"].values
    equal = _guesses(trace) == trace["token_id"].values[:, None]
    first = passes[equal.argmax(1)]
    changed = _guesses(trace)[:, 1:] != _guesses(trace)[:, :-1]
    return values_exercise(
        "For each token: the first iteration from which its top token no longer changes.",
        wanted,
        hints=(
            "Look for the last iteration at which the top token is still another one.",
            "wrong = trace.readout_id.isel(rank=0) != trace.token_id is true there.",
            (
                'trace.iteration.where(wrong).max("iteration") is the last such iteration; it is missing '
                "(NaN) for "
                "a token that was never wrong."
            ),
        ),
        right=f"All tokens are decided from iteration {int(wanted.max())} on.",
        mistakes=[
            Mistake(first, "These are the first iterations with the right token. Some change once more."),
            Mistake(wanted - 1, "These are the last iterations with another token. Take the next ones."),
            Mistake(
                wanted.where(wanted > 0), "A token that was never wrong is decided from 0 on: fill in NaN."
            ),
            Mistake(changed.sum(1).astype(float), "This is how often the top token changes."),
            Mistake(wanted.max(), "This is the last token of all. The answer has one number for each token."),
        ],
        wrong=lambda row, value: f"At generated token {row}, {value:g} is not the first from which it stays.",
    )

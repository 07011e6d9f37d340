"""Exercises that ask which of several claims a picture supports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from latentkit.classroom.exercise import Exercise, Judgement

__all__ = ["Claim", "claims_exercise"]


class Claim(NamedTuple):
    """A claim about a picture, whether the picture supports it, and the reason."""

    text: str
    supported: bool
    why: str


def claims_exercise(question: str, claims: Sequence[Claim], *, clue: str | tuple[str, ...]) -> Exercise:
    """Ask which claims are supported; the answer names them by their letters.

    Parameters
    ----------
    question : str
        Text above the list of claims.
    claims : sequence of Claim
        A, B, C, … in their order; at most 26.
    clue : str or tuple of str
        Hint of the exercise.

    Returns
    -------
    Exercise
        Its answer is such as "AB", in any order and case; commas and spaces do not count.

    Examples
    --------
    >>> claims = [Claim("It is a cat.", True, "it purrs."), Claim("It is two.", False, "I see one.")]
    >>> exercise = claims_exercise("What is true?", claims, clue="Count.")
    >>> exercise.check("a")
    Right. A: it purrs.
    >>> exercise.check("AB")
    Not yet. B is not supported: I see one.
    """
    by_letter = {chr(ord("A") + number): claim for number, claim in enumerate(claims)}
    right = {letter for letter, claim in by_letter.items() if claim.supported}
    last = max(by_letter)

    def judge(given: Any) -> Judgement:
        named = _letters(given)
        if named is None or not named <= set(by_letter):
            return (
                False,
                f'The answer names claims by letters from A to {last}, such as "AB"; this is {given!r}.',
            )
        if wrong := sorted(named - right):
            return False, f"{wrong[0]} is not supported: {by_letter[wrong[0]].why}"
        if missing := len(right - named):
            more = "one more claim is" if missing == 1 else f"{missing} more claims are"
            return False, f"The claims you named are supported, but {more}, too."
        return True, "\n".join(f"{letter}: {by_letter[letter].why}" for letter in sorted(right))

    listed = "\n".join(f"{letter}. {claim.text}" for letter, claim in by_letter.items())
    reasons = "\n".join(
        f"{letter}: {'yes' if claim.supported else 'no'}, {claim.why}" for letter, claim in by_letter.items()
    )
    return Exercise(
        question=f"{question}\n{listed}",
        clue=clue,
        worked=f"{', '.join(sorted(right))}.\n{reasons}",
        judge=judge,
    )


def _letters(given: Any) -> set[str] | None:
    parts = list(given) if isinstance(given, (str, list, tuple, set, frozenset)) else None
    if parts is None or not all(isinstance(part, str) for part in parts):
        return None
    return {letter for part in parts for letter in part.upper() if letter not in " ,;."} or None

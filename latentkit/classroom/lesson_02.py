"""Exercise of lesson 2: the claims of a published description of a figure."""

from __future__ import annotations

import xarray as xr

from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.classroom.exercise import Exercise
from latentkit.measure import token_slice
from latentkit.trace import check_trace

__all__ = ["index_caption"]

_WORD = "deliberation"  # the first rows of the published figure


def index_caption(trace: xr.Dataset) -> Exercise:
    """Ask which claims of a published description the figure of the system message can support.

    Parameters
    ----------
    trace : Dataset
        Trace of a conversation with the published system message; the explanations use its numbers.

    Returns
    -------
    Exercise
        The answer names claims by their letters, as in "AB".

    Raises
    ------
    TraceError
        If ``trace`` is not a trace.
    ArgumentError
        If the word "deliberation" is not in it.
    """
    rows = token_slice(check_trace(trace), _WORD)
    first, last = trace["distance"].sel(token=rows.start).values[[0, -1]].tolist()
    where = f"row {rows.start}" if rows.stop - rows.start == 1 else f"rows {rows.start} to {rows.stop - 1}"
    claims = [
        Claim(
            "The axis at the bottom counts iterations.", True, "its label says so, and its ticks count them."
        ),
        Claim(
            "The colours stand for values from about 19 to about 39.",
            False,
            "19 to 39 are the numbers beside the rows, and these count tokens. The colour bar has ticks of "
            "its own: 1, 10 and 100.",
        ),
        Claim(
            "Distances fall as the number of iterations grows.",
            True,
            "every row goes from bright on the left to dark on the right, and dark is the lower end of the "
            "colour bar.",
        ),
        Claim(
            "“deliberation” begins at a distance of 22 to 23 and ends at 20 to 21.",
            False,
            "the numbers are taken from the wrong axis. On a scale that spans a factor of a hundred, a step "
            "from 23 to 20 would hardly change the colour, but the row crosses nearly the whole scale. In "
            f"the trace of this lesson the word stands in {where}, whatever its distance: that goes from "
            f"{first:.3g} to {last:.2g}.",
        ),
        Claim(
            "The rows are five different prompts.",
            False,
            "read from top to bottom the rows are one text, token by token.",
        ),
        Claim(
            "The scale of the colours is logarithmic.",
            True,
            "equal steps on the colour bar go from 1 to 10 and from 10 to 100. (This alone contradicts "
            "“from 19 to 39”.)",
        ),
    ]
    return claims_exercise(
        "These are claims of that description. Which of them does the figure support? Answer with their "
        'letters, as in "AB".',
        claims,
        clue="For each number ask first: on which axis does it stand, and what does that axis count?",
    )

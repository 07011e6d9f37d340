"""Exercises of lesson 2: a settling iteration, a factor per iteration, and a published description."""

from __future__ import annotations

from typing import Any

import xarray as xr

from latentkit.classroom.claims import Claim, claims_exercise
from latentkit.classroom.exercise import Exercise
from latentkit.classroom.values import Mistake, values_exercise
from latentkit.measure import settling_iteration, token_slice
from latentkit.trace import check_trace

__all__ = ["factor_per_iteration", "index_caption", "settled_tokens"]

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
            "19 to 39 are the numbers beside the rows, and these count tokens. The colours have "
            "a bar of their own, with its own ticks.",
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
            "from 23 to 20 would hardly change the colour, but the row goes to the dark end of the scale. In "
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
            "on the colour bar, equal steps are equal factors: from 10⁰ to 10¹ is as far as from 10¹ to 10². "
            "(This alone contradicts “from 19 to 39”.)",
        ),
    ]
    return claims_exercise(
        "These are claims of that description. Which of them does the figure support? Answer with their "
        'letters, as in "AB".',
        claims,
        clue=(
            (
                "Some claims are about an axis, some about the colours. Find the place of the figure that "
                "decides."
            ),
            "For each number ask first: on which axis does it stand, and what does that axis count?",
            (
                "Three claims can be read directly from labels and ticks. The others use numbers of one "
                "axis for "
                "another, or name something that is not drawn."
            ),
        ),
    )


def settled_tokens(trace: xr.Dataset, *, threshold: float) -> Exercise:
    """Ask when each token settles: from which iteration on its distance stays below a share of its start.

    Parameters
    ----------
    trace : Dataset
        The tokens that are asked for.
    threshold : float
        Share of the distance at iteration 0.

    Returns
    -------
    Exercise
        The answer has one number for each token; one more than the last iteration if it never settles.
    """
    distance = check_trace(trace)["distance"].astype(float)
    relative: Any = distance / distance.sel(iteration=0)
    last = int(distance["iteration"][-1])
    wanted = settling_iteration(trace, relative=threshold).fillna(last + 1)
    first = (
        (relative < threshold).idxmax("iteration").where((relative < threshold).any("iteration"), last + 1)
    )

    def wrong(row: int, value: float) -> str:
        where = f"At token {int(distance['token'][row])}, {value:g} is"
        if value not in distance["iteration"].values or value > float(wanted[row]):
            return f"{where} not the first iteration from which the distance stays below."
        return f"{where} too early: a later distance is not below."

    return values_exercise(
        f"For each token: the first iteration from which its distance stays below {threshold:g} of its "
        "start.",
        wanted,
        hints=(
            "“Stays” is the difficult word. Look for the last iteration at which the distance is not below.",
            (
                "relative = distance / distance.sel(iteration=0) has the dimensions token and iteration; "
                "relative >= threshold is true where a distance is not below."
            ),
            (
                'trace.iteration.where(relative >= threshold).max("iteration") is the last such '
                "iteration of each "
                "token. The answer is the next one."
            ),
        ),
        right=f"They settle at iterations {wanted.min():.0f} to {wanted.max():.0f}.",
        mistakes=[
            Mistake(wanted - 1, "These are the last iterations at which the distances are not yet below."),
            Mistake(first, "These are the first iterations with a distance below. It must also stay below."),
            Mistake(first - 1, "Off by one, and the distance must also stay below afterwards."),
            Mistake(
                settling_iteration(trace, threshold=threshold).fillna(last + 1),
                f"You compared with {threshold:g} itself, not with this share of the distance at "
                "iteration 0.",
            ),
            Mistake(wanted.max(), "This is the slowest token. The answer has one number for each token."),
        ],
        wrong=wrong,
    )


def factor_per_iteration(trace: xr.Dataset, *, start: int, stop: int) -> Exercise:
    """Ask by which factor one iteration multiplies the median distance, on average from start to stop.

    Parameters
    ----------
    trace : Dataset
        The tokens that are asked for.
    start, stop : int
        Iterations.

    Returns
    -------
    Exercise
        The answer is a number.
    """
    distance = check_trace(trace)["distance"].astype(float)
    middle, mean = distance.median("token"), distance.mean("token")
    one, two = (float(middle.sel(iteration=iteration)) for iteration in (start, stop))
    of_mean = float(mean.sel(iteration=stop) / mean.sel(iteration=start))
    steps = stop - start
    factor = (two / one) ** (1 / steps)
    return values_exercise(
        f"The factor by which one iteration multiplies the median distance from iteration {start} to {stop}.",
        factor,
        hints=(
            "If every iteration multiplies by the same factor f, how often does f occur between the two?",
            (
                f"Between the two iterations, f is applied {steps} times: the later distance is the "
                "earlier one "
                f"times f to the power of {steps}."
            ),
            f"Divide the two medians and take the root: ratio ** (1 / {steps}).",
        ),
        right=f"Every iteration leaves {factor:.0%} of the distance, on average.",
        mistakes=[
            Mistake(
                two / one, "This is the factor of all these iterations together. Which root is one of them?"
            ),
            Mistake(1 / factor, "This is the inverse: the later distance belongs above the fraction line."),
            Mistake(
                two / one / steps, "You divided by the number of iterations. Factors multiply: take a root."
            ),
            Mistake((two / one) ** (1 / stop), f"Count the iterations between {start} and {stop}."),
            Mistake(of_mean ** (1 / steps), "This is the factor of the mean distance. Take the median."),
            Mistake((one - two) / steps, "This is a difference per iteration, not a factor."),
        ],
        wrong=lambda _, value: f"With a factor of {value:.3g}, the distance would not fall as it did.",
        tolerance=5e-3,
    )

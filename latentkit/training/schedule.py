"""Number of iterations and learning rate of a step, as functions of seed, step and progress only."""

from __future__ import annotations

import math
import random

from latentkit.training.settings import Settings

__all__ = ["draw_early_iterations", "draw_iterations", "mean_recurrence_at", "rate_at"]

EARLY = 4  # the last iteration of an early readout


def draw_iterations(settings: Settings, step: int, progress: float) -> tuple[int, int]:
    """Draw the number of iterations of one step and the number of those with gradient.

    Parameters
    ----------
    settings : Settings
        Mean, ramp, share of shallow steps, seed.
    step : int
        Index of the step; the draw depends on seed and step.
    progress : float
        Share of the budget that has been used, 0 to 1; the mean depends on it.

    Returns
    -------
    (int, int)
        Number of iterations, at least 1, and number of iterations with gradient, which are the last ones.
        Without the loop, both are 1.

    Notes
    -----
    The distribution is the log-normal Poisson of the paper: tau ~ Normal(log(mean) - 1/8, 1/2),
    r = Poisson(e^tau) + 1; the mean of r is `mean` + 1 [1]_. The share of shallow steps is an addition of
    latentkit.

    References
    ----------
    .. [1] Geiping et al. (2025), *Scaling up Test-Time Compute with Latent Reasoning: A Recurrent Depth
       Approach*, arXiv:2502.05171.

    Examples
    --------
    >>> settings = Settings(tokens=1, shallow_share=0.0, recurrence_ramp=0.0)
    >>> draws = [draw_iterations(settings, step, 1.0)[0] for step in range(2000)]
    >>> round(sum(draws) / len(draws))
    13
    """
    if not settings.loop:
        return 1, 1
    rng = random.Random(f"iterations/{settings.seed}/{step}")
    if rng.random() < settings.shallow_share:
        iterations = rng.randint(1, 4)
    else:
        mean = mean_recurrence_at(settings, progress)
        iterations = _poisson(rng, math.exp(rng.gauss(math.log(mean) - 1 / 8, 0.5))) + 1
    return iterations, min(iterations, settings.backprop_depth)


def draw_early_iterations(settings: Settings, step: int, iterations: int) -> int:
    """Draw the iteration of the second readout of one step: 1 to 4, with equal probability.

    If the step has fewer iterations, the draw is limited to them.
    """
    return random.Random(f"early/{settings.seed}/{step}").randint(1, min(EARLY, iterations))


def mean_recurrence_at(settings: Settings, progress: float) -> float:
    """Return the mean number of iterations at this share of the budget."""
    if progress >= settings.recurrence_ramp:
        return float(settings.mean_recurrence)
    return settings.mean_recurrence * (1 + 2 * progress / settings.recurrence_ramp) / 3


def rate_at(settings: Settings, progress: float) -> float:
    """Return the factor of all learning rates: linear warm-up, constant, linear decay to zero.

    Examples
    --------
    >>> settings = Settings(tokens=1, warmup=0.1, decay=0.5)
    >>> [round(rate_at(settings, progress), 2) for progress in (0, 0.05, 0.1, 0.5, 0.75, 1)]
    [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    up = progress / settings.warmup if settings.warmup else 1.0
    down = (1 - progress) / settings.decay if settings.decay else 1.0
    return max(0.0, min(1.0, up, down))


def _poisson(rng: random.Random, mean: float) -> int:
    """Draw from a Poisson distribution: count uniform draws while their product exceeds e^-mean (Knuth)."""
    threshold, count, product = math.exp(-mean), 0, rng.random()
    while product > threshold:
        count += 1
        product *= rng.random()
    return count

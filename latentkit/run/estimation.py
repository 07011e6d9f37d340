"""`estimate`: the memory and the time of a run, before it starts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from latentkit.run.facts import asked_iterations
from latentkit.run.layers.arguments import chosen_layers, is_several
from latentkit.run.memory import free_memory, needed_memory
from latentkit.run.prompting import Prompt, encode
from latentkit.run.recurrence.tracing import check_limit
from latentkit.run.sweep.work import RUNS, run_name

__all__ = ["Estimate", "estimate"]

_FEW, _MORE = 1, 6  # sizes of the probes
_LEAST_POWER = 8  # power iterations that `run_local_contraction` needs
_REPEATS = 3  # the fastest of these counts
_CHEAP = 1.5  # ratio of two probes below which the larger one gets half of all layers
_LONG = 1.0  # seconds; a probe that takes longer is not repeated
_LAYERS = {"run_layer_effect", "run_layer_lens", "run_layer_difference"}
_ITERATIONS = {
    "run_recurrence": 64,
    "run_decoding": 64,
    "run_lens": 32,
    "run_local_contraction": 128,
    "run_path_independence": 128,
}
_NOT_IN_A_PROBE = {
    "system",
    "chat",
    "exit",
    "threshold",
    "min_iterations",
    "stream",
    "stop",
    "perturb",
    "initial_state",
}

Options = dict[str, Any]


@dataclass(frozen=True)
class Estimate:
    """What a run will need.

    Attributes
    ----------
    bytes : int
        Memory beside the model's weights.
    free : int
        Bytes that are free on the model's device.
    seconds : float
        Time; NaN where the run does not fit.
    """

    bytes: int
    free: int
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether the memory suffices; a run for which it does not is refused."""
        return self.bytes <= self.free

    def __str__(self) -> str:
        room = f"{self.bytes / 2**20:,.0f} MiB of {self.free / 2**20:,.0f} MiB that are free"
        if not self.fits:
            return f"does not fit: it needs {room}"
        return f"about {self.seconds:,.3g} s and {room}"


def estimate(run: str | Callable[..., Any], model: Any, prompt: Prompt, **options: Any) -> Estimate:
    """Estimate the memory and the time of a run before it starts.

    Parameters
    ----------
    run : function or str
        A ``run_*`` function of one prompt, or its name.
    model : RecurrentModel or CausalModel
        From `load_model`.
    prompt, **options
        As for the function.

    Returns
    -------
    Estimate
        ``bytes``, ``free``, ``seconds``, and whether it ``fits``.

    Raises
    ------
    ArgumentError, PromptError, ModelError
        As the function, for its arguments.

    Notes
    -----
    The bytes follow from shapes; they are those for which the run itself is refused. The seconds are
    extrapolated from a few short probes with one and six iterations, layers or new tokens; the time is linear
    in each of these. Early exits of `run_decoding` are not taken into account: the estimate is for all
    iterations.

    Examples
    --------
    >>> import latentkit as lk
    >>> model = lk.load_model("nano-untrained")
    >>> found = lk.estimate(lk.run_recurrence, model, "Hello", iterations=8)
    >>> found.fits, found.bytes < 2**25, found.seconds > 0
    (True, True, True)
    """
    name = run_name(run)
    function = RUNS[name]
    needed = needed_memory(lambda: function(model, prompt, **options, progress=False))
    free = free_memory(model.device)
    if needed > free:
        return Estimate(needed, free, math.nan)
    if name in _LAYERS:
        return Estimate(needed, free, _of_layers(function, model, prompt, options))
    return Estimate(needed, free, _of_iterations(name, model, prompt, options))


def _of_layers(run: Callable[..., Any], model: Any, prompt: Any, options: Options) -> float:
    """Extrapolate over the number of layers, with probes spread over those that are asked for."""
    from latentkit.models.layered.depth import unrolled_model

    of = {"iterations": options.get("iterations"), "seed": options.get("seed", 0)}
    layers = chosen_layers(options.get("layers"), len(unrolled_model(model, **of).layers))
    one, count = (prompt[0], len(prompt)) if is_several(prompt) else (prompt, 1)

    def probe(size: int) -> Callable[[], Any]:
        places = np.linspace(0, len(layers) - 1, 2 * size + 1)[1::2].round().astype(int)
        chosen = [layers[place] for place in dict.fromkeys(places.tolist())]
        return lambda: run(model, one, **{**options, "layers": chosen, "progress": False})

    sizes = sorted({min(size, len(layers)) for size in (_FEW, _MORE)})
    seconds = _fastest([probe(size) for size in sizes])
    if len(sizes) == 2 and seconds[1] < _CHEAP * seconds[0]:  # a layer costs less than the noise
        sizes[1] = max(sizes[1], len(layers) // 2)
        seconds[1] = _seconds(probe(sizes[1]))
    return count * _extrapolated([(1, size) for size in sizes], seconds, (1, len(layers)))


def _of_iterations(name: str, model: Any, prompt: Any, options: Options) -> float:
    """Extrapolate over iterations and over everything else that a run repeats."""
    new = options.get("new_tokens", 0)
    ids = encode(model.tokenizer, prompt, system=options.get("system"), chat=options.get("chat", False))
    kept = {key: value for key, value in options.items() if key not in _NOT_IN_A_PROBE}
    kept["iterations"] = asked_iterations(model, options.get("iterations"), _ITERATIONS[name])
    if name == "run_recurrence":
        kept["limit"] = check_limit(model, options.get("limit"), kept["iterations"])
        longer = [*ids, *ids[-1:] * new]
        seconds = _probed(name, model, longer, {**kept, "new_tokens": 0})
        if not new:
            return seconds
        decoding = {"iterations": kept["iterations"], "new_tokens": new, "readout_top": 0}
        return seconds + _of_iterations("run_decoding", model, ids, decoding)
    if name == "run_decoding":
        kept["stop"] = ()  # a probe has as many tokens as it was given
        room = model.context_length - len(ids) - _MORE
        ids = [*ids, *ids[-1:] * max(0, min(new // 2, room))]  # the mean length while tokens are added
    return _probed(name, model, ids, kept)


def _probed(name: str, model: Any, ids: list[int], options: Options) -> float:
    """Run the probes of a function and extrapolate to its options."""
    sizes = _probes(name)
    probes = [partial(RUNS[name], model, ids, **{**options, **size, "progress": False}) for size in sizes]
    counts = [_counts(name, {**options, **size}) for size in sizes]
    return _extrapolated(counts, _fastest(probes), _counts(name, options))


def _probes(name: str) -> list[Options]:
    """Return the sizes of the probes: as many as `_counts` has numbers."""
    ends = (_FEW, _MORE)
    if name == "run_recurrence":
        return [{"iterations": a, "limit": b} for a, b in ((_FEW, _FEW), (_FEW, _MORE), (_MORE, _MORE))]
    if name == "run_decoding":
        return [{"iterations": a, "new_tokens": b} for a in ends for b in ends]
    if name == "run_local_contraction":
        sizes = ((_FEW, _LEAST_POWER), (_MORE, _LEAST_POWER), (_FEW, _LEAST_POWER + _MORE))
        return [{"iterations": a, "power_iterations": b} for a, b in sizes]
    return [{"iterations": each} for each in ends]


def _counts(name: str, options: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the numbers in which the time of a run is linear."""
    iterations = options["iterations"]
    if name == "run_recurrence":
        starts = len(options.get("seeds") or [0])
        return (1, starts * options["limit"], starts * iterations)
    if name == "run_decoding":
        return (1, iterations, options["new_tokens"], options["new_tokens"] * iterations)
    if name == "run_local_contraction":
        return (1, iterations, options.get("power_iterations", 40))
    return (1, iterations)


def _fastest(probes: Sequence[Callable[[], Any]]) -> list[float]:
    """Return the seconds of each probe, the fastest of some repeats, after a warm-up run."""
    probes[0]()
    return [_seconds(probe) for probe in probes]


def _seconds(probe: Callable[[], Any]) -> float:
    fastest = math.inf
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        probe()
        fastest = min(fastest, time.perf_counter() - begin)
        if fastest > _LONG:
            break
    return fastest


def _extrapolated(counts: list[tuple[float, ...]], seconds: list[float], full: tuple[float, ...]) -> float:
    """Fit the time as a linear function of the counts; never less than the longest probe's share."""
    costs = np.linalg.lstsq(np.array(counts, dtype=float), np.array(seconds), rcond=None)[0]
    return float(max(np.dot(costs, full), min(seconds)))

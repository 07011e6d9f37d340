"""Conformance check for looped models: the laws of the contract, tried on one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentkit.models.contract import RecurrentModel

__all__ = ["check_recurrent_model"]


def check_recurrent_model(
    model: RecurrentModel[Any], *, token_ids: Sequence[int] = (1, 2, 3, 1, 0), tolerance: float = 1e-4
) -> None:
    """Check that a model satisfies the contract of `latentkit.models.contract`.

    Parameters
    ----------
    model : RecurrentModel
        In float32 and on the CPU, best at a small random configuration.
    token_ids : sequence of int
        A sequence to try, at least three tokens long.
    tolerance : float
        Largest absolute difference between numbers that should be equal up to rounding.

    Raises
    ------
    AssertionError
        Names the first law that is broken: facts, shapes, seeds, purity, causality, unrolled = forward; where
        the model has optional verbs, also readout in two parts, step in blocks, cache and its size, gate.

    Examples
    --------
    >>> import latentkit as lk
    >>> check_recurrent_model(lk.load_model("nano-untrained"))
    """
    import torch

    assert len(token_ids) >= 3, f"Pass at least three token ids, not {len(token_ids)}."
    ids = torch.tensor([list(token_ids)])
    laws = (_facts, _shapes, _seeds, _purity, _causality, _unrolled, _parts, _blocks, _cache, _size, _gate)
    for law in laws:
        law(model, ids, tolerance)


def _run(model: RecurrentModel[Any], ids: Any, steps: int, seed: int | None = 0) -> tuple[Any, Any]:
    """Return context and state after some iterations."""
    context = model.embed(ids)
    state = model.initial_state(context, seed)
    for _ in range(steps):
        state = model.step(state, context)
    return context, state


def _close(a: Any, b: Any, tolerance: float, law: str) -> None:
    assert a.shape == b.shape, f"{law}: shapes {tuple(a.shape)} and {tuple(b.shape)}."
    worst = float((a - b).abs().max())
    assert worst <= tolerance, f"{law}: they differ by {worst:.3g}, more than {tolerance:g}."


def _shapes(model: RecurrentModel[Any], ids: Any, _tolerance: float) -> None:
    batch, tokens = ids.shape
    latent = (batch, tokens, model.hidden_size)
    context = model.embed(ids)
    _fits("embed(…).embedding", context.embedding, latent)
    state = model.initial_state(context, 0)
    _fits("initial_state", state, latent)
    state = model.step(state, context)
    _fits("step", state, latent)
    _fits("normalise", model.normalise(state), latent)
    _fits("readout", model.readout(state, context), (batch, tokens, model.vocab_size))
    assert state.dtype == model.dtype, f"step gives {state.dtype}, but model.dtype is {model.dtype}."
    assert context.positions.tolist() == list(range(tokens)), "context.positions does not count from 0."


def _fits(verb: str, found: Any, wanted: tuple[int, ...]) -> None:
    assert tuple(found.shape) == wanted, f"{verb} has the shape {tuple(found.shape)}, not {wanted}."
    assert not found.requires_grad, f"{verb} carries a gradient; run the verbs under torch.no_grad."
    assert not found.is_inference(), f"{verb} is an inference tensor, of which no derivative can be taken."
    assert found.isfinite().all(), f"{verb} is not finite."


def _facts(model: RecurrentModel[Any], _ids: Any, _tolerance: float) -> None:
    from latentkit.models.contract import facts_of

    facts = facts_of(model)
    for name in ("seeded", "causal"):
        value = getattr(facts, name)
        assert isinstance(value, bool), f"{name} is {value!r}, not True or False."
    trained = facts.trained_iterations
    whole = isinstance(trained, int) and not isinstance(trained, bool) and trained >= 1
    assert trained is None or whole, f"trained_iterations is {trained!r}, not None or a count of at least 1."


def _one_start(model: RecurrentModel[Any], ids: Any) -> None:
    """Check a model that says of itself that its start does not depend on the seed."""
    import torch

    context = model.embed(ids)
    before = torch.random.get_rng_state()
    first, *others = (model.initial_state(context, seed) for seed in (0, 1, None))
    assert torch.equal(torch.random.get_rng_state(), before), "initial_state draws from the global generator."
    assert all(torch.equal(first, other) for other in others), (
        "seeded is False, but initial_state with another seed (or None) gives another state."
    )
    assert first.isfinite().all(), "initial_state is not finite."
    first.zero_()
    assert torch.equal(model.initial_state(context, 0), others[0]), (
        "initial_state hands out a tensor that the context keeps; return a copy."
    )


def _seeds(model: RecurrentModel[Any], ids: Any, _tolerance: float) -> None:
    import torch

    if not getattr(model, "seeded", True):
        _one_start(model, ids)
        return
    context = model.embed(ids)
    before = torch.random.get_rng_state()
    first, again, other = (model.initial_state(context, seed) for seed in (0, 0, 1))
    after = torch.random.get_rng_state()
    assert torch.equal(after, before), "initial_state draws from torch's global generator."
    assert torch.equal(first, again), "initial_state with the same seed gives another state."
    assert not torch.equal(first, other), "initial_state with another seed gives the same state."
    assert not torch.equal(first[:, 0], first[:, 1]), "initial_state starts every position alike."
    assert not model.initial_state(context, None).any(), "initial_state with seed None is not zero."
    prefix = model.initial_state(model.embed(ids[:, :2]), 0)
    assert torch.equal(prefix, first[:, :2]), "initial_state of a position depends on the sequence's length."


def _purity(model: RecurrentModel[Any], ids: Any, tolerance: float) -> None:
    import torch

    context, state = _run(model, ids, 1)
    kept, embedding = state.clone(), context.embedding.clone()
    once = model.step(state, context)
    model.readout(state, context)
    model.normalise(state)
    assert torch.equal(state, kept), "A verb changes the state that it is given, in place."
    assert torch.equal(context.embedding, embedding), "A verb changes the context's embedding, in place."
    _close(model.step(state, context), once, tolerance, "step gives another state when called again")


def _causality(model: RecurrentModel[Any], ids: Any, tolerance: float) -> None:
    changed = ids.clone()
    changed[:, -1] = (changed[:, -1] + 1) % model.vocab_size
    runs = [_run(model, sequence, 3) for sequence in (ids, changed)]
    results = [(state, model.readout(state, context)) for context, state in runs]
    if not getattr(model, "causal", True):
        apart = float((results[0][0][:, :-1] - results[1][0][:, :-1]).abs().max())
        assert apart > 0, "causal is False, but no earlier state depends on the last token."
        return
    for name, a, b in zip(("states", "logits"), *results, strict=True):
        _close(a[:, :-1], b[:, :-1], tolerance, f"Earlier {name} depend on a later token")
        assert float((a[:, -1] - b[:, -1]).abs().max()) > 0, f"The last token does not change its own {name}."


def _unrolled(model: RecurrentModel[Any], ids: Any, tolerance: float) -> None:
    import torch

    for steps in (0, 1, 4):
        context, state = _run(model, ids, steps)
        start = model.initial_state(context, 0)
        with torch.no_grad():
            whole = model.module(ids, iterations=steps, initial_state=start).logits
        law = f"The verbs and module.forward disagree after {steps} iterations"
        _close(model.readout(state, context), whole, tolerance, law)


def _parts(model: Any, ids: Any, tolerance: float) -> None:
    """Check ``last_hidden`` and ``head``, if present."""
    there = [verb for verb in ("last_hidden", "head") if hasattr(model, verb)]
    if not there:
        return
    assert len(there) == 2, f"The model has {there[0]} alone; last_hidden and head are of use together."
    context, state = _run(model, ids, 3)
    kept, wanted = state.clone(), model.readout(state, context)
    hidden = model.last_hidden(state, context)
    _fits("last_hidden", hidden, (ids.shape[0], model.hidden_size))
    _close(state, kept, 0.0, "last_hidden changes the state that it is given, in place")
    _close(model.head(hidden), wanted[:, -1], tolerance, "head(last_hidden) is not the last of readout")
    seen = model.head(model.normalise(state))
    _fits("head of a normalised state", seen, (*ids.shape, model.vocab_size))


def _blocks(model: Any, ids: Any, tolerance: float) -> None:
    """Check ``step_blocks``, if present."""
    if not hasattr(model, "step_blocks"):
        return
    context, state = _run(model, ids, 2)
    kept = state.clone()
    states = model.step_blocks(state, context)
    assert len(states) > 0, "step_blocks gives no state; give one after each block of the core."
    for after in states:
        _fits("A state of step_blocks", after, tuple(kept.shape))
    _close(state, kept, 0.0, "step_blocks changes the state that it is given, in place")
    _close(states[-1], model.step(state, context), tolerance, "The last state of step_blocks is not step's")


def _cache(model: Any, ids: Any, tolerance: float) -> None:
    """Check that reading token by token with a cache gives the same logits, with or without reserved room."""
    import torch

    if not (hasattr(model, "new_cache") and getattr(model, "causal", True)):
        return
    context, state = _run(model, ids, 3)
    wanted = model.readout(state, context)
    for cache in (model.new_cache(), model.new_cache("full", room=ids.shape[1])):
        found = _read_with(model, cache, ids, 3)
        _close(torch.cat(found, dim=1), wanted, tolerance, "The cache changes the logits")


def _read_with(model: Any, cache: Any, ids: Any, steps: int) -> list[Any]:
    """Return the logits of a prompt of two tokens and of each token after it."""
    found = []
    for part in (ids[:, :2], *ids[:, 2:].split(1, dim=1)):
        context = model.embed(part, cache=cache)
        state = model.initial_state(context, 0)
        for _ in range(steps):
            state = model.step(state, context)
        found.append(model.readout(state, context))
    return found


def _size(model: Any, ids: Any, _tolerance: float) -> None:
    """Check ``cache_bytes``, if present: it is an upper bound of the cache's size."""
    if not (hasattr(model, "new_cache") and hasattr(model, "cache_bytes")):
        return
    tokens = ids.shape[1]
    said = model.cache_bytes("full", tokens=tokens, iterations=3)
    assert isinstance(said, int), f"cache_bytes is a {type(said).__name__}, not a whole number of bytes."
    cache = model.new_cache("full", room=tokens)
    _read_with(model, cache, ids, 3)
    held = _bytes_in(cache, model.module)
    assert held <= said, f"cache_bytes says {said} bytes for {tokens} tokens, but the cache holds {held}."


def _gate(model: Any, ids: Any, tolerance: float) -> None:
    """Check ``exit_probability``, where it is."""
    if not hasattr(model, "exit_probability"):
        return
    context, state = _run(model, ids, 2)
    kept = state.clone()
    chance = model.exit_probability(state, context)
    _fits("exit_probability", chance, tuple(ids.shape))
    _close(state, kept, 0.0, "exit_probability changes the state that it is given, in place")
    assert bool(((chance >= 0) & (chance <= 1)).all()), "exit_probability is not between 0 and 1."
    again = model.exit_probability(state, context)
    _close(again, chance, tolerance, "exit_probability gives another number when called again")


def _bytes_in(cache: Any, module: Any) -> int:
    """Add up the sizes of the tensors reachable from an object, without the model's weights."""
    import gc
    from types import FunctionType, ModuleType

    import torch

    weights = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    waiting, met, storages = [cache], {id(cache)}, {}
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, torch.Tensor):
            if id(thing) not in weights:
                storages[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
            continue
        if isinstance(thing, (type, FunctionType, ModuleType, torch.nn.Module)):
            continue
        new = [each for each in gc.get_referents(thing) if id(each) not in met]
        met.update(map(id, new))
        waiting += new
    return sum(storages.values())

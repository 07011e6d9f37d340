"""Any causal language model of transformers, seen as its blocks one after the other.

No table of names: the blocks are found by watching one short run, and the way from the last block to the
logits is the model's own code, run with a state put in its place. So the final norm is applied exactly once,
and scale, bias and soft-cap of the head are what the model has. A model for which this does not give its own
logits is refused.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.unrolled import BlockCall, Handler, Head, Layer, intercept

__all__ = ["CausalModel"]


class CausalModel:
    """A causal language model whose layers can be looked at.

    Parameters
    ----------
    module : PreTrainedModel
        Any causal language model of transformers 5; put into evaluation mode.
    tokenizer : PreTrainedTokenizerFast, optional
        None: prompts are lists of token ids.
    name, revision : str
        What was loaded, for the attributes of results.

    Attributes
    ----------
    layers : list of Layer
        Every call of every block, in order.
    head : Head
        The way from the final norm to the logits.

    Raises
    ------
    ModelError
        If no blocks are found, or reading out the last block's state does not give the model's logits.
    """

    def __init__(
        self, module: Any, tokenizer: Any = None, *, name: str = "causal", revision: str | None = None
    ) -> None:
        self.module = module.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.revision = revision
        self.iterations: int | None = None  # its depth is fixed
        probe = [1 + i % (self._config.vocab_size - 1) for i in range(4)]
        self.layers, self._blocks = _find_blocks(module, torch.tensor([probe], device=self.device), name)
        self._head = _find_output(module, name)
        self.head = self._find_head()
        self._check(probe)

    def __repr__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        sizes = f"{len(self.layers)} layers, hidden {self.hidden_size}, vocab {self.vocab_size}"
        return f"<{self.name}: {sizes}, {dtype} on {self.device}>"

    @property
    def _config(self) -> Any:
        return self.module.config.get_text_config()

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        dtype: torch.dtype = self.module.dtype
        return dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self.module.device)

    @property
    def hidden_size(self) -> int:
        """Channels of a state."""
        return int(self._config.hidden_size)

    @property
    def vocab_size(self) -> int:
        """Number of logits."""
        return int(self._config.vocab_size)

    @property
    def context_length(self) -> int:
        """Longest sequence that the model was made for; unlimited where its config does not say."""
        return int(getattr(self._config, "max_position_embeddings", None) or 2**31)

    @torch.no_grad()
    def run(self, token_ids: Sequence[int], handle: Handler) -> Float[Tensor, "token hidden"]:
        """Run every layer through ``handle``; return what stands before the head."""
        return self._before_head(torch.tensor([list(token_ids)], device=self.device), handle)[0]

    @torch.no_grad()
    def read(
        self,
        states: Mapping[int, Float[Tensor, "token hidden"]],
        token_ids: Sequence[int],  # noqa: ARG002 (other models need them)
        positions: slice,
    ) -> Float[Tensor, "layer position hidden"]:
        """Take states to what would stand before the head: the logit lens, by the model's own code."""
        return self._finish(torch.stack([state[positions] for state in states.values()]))

    @torch.no_grad()
    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Return exactly ``new_tokens`` likeliest tokens; stop tokens do not end them."""
        keep = {"logits_to_keep": 1} if _takes(self.module.forward, "logits_to_keep") else {}
        cache, unread = None, list(token_ids)
        found: list[int] = []
        for _ in range(new_tokens):
            ids = torch.tensor([unread], device=self.device)
            out = self.module(input_ids=ids, past_key_values=cache, use_cache=True, **keep)
            found.append(int(out.logits[0, -1].argmax()))
            cache = getattr(out, "past_key_values", None)
            unread = [*token_ids, *found] if cache is None else found[-1:]
        return found

    def _finish(self, states: Float[Tensor, "batch token hidden"]) -> Tensor:
        """Let the model do what comes after its last block, with these states in that block's place."""
        last = len(self.layers) - 1
        ids = torch.ones(states.shape[:2], dtype=torch.long, device=self.device)
        return self._before_head(ids, lambda call: states if call.index == last else call.state)

    def _before_head(self, ids: Tensor, handle: Handler) -> Tensor:
        """Run the model up to its head, and return what would go into that."""
        reached: list[Tensor] = []

        def stop(x: Tensor) -> Tensor:
            reached.append(x)
            return x[..., :1]  # as if the vocabulary had one token: the head costs nothing

        with intercept(self._blocks, handle), _replaced(self._head, stop):
            self.module(input_ids=ids, use_cache=False)
        return reached[-1]

    @torch.no_grad()
    def _logits(self, x: Float[Tensor, "row hidden"]) -> Float[Tensor, "row vocab"]:
        """Let the model do its head and what comes after it, with these rows in the head's place."""
        forward = self._head.forward
        ids = torch.ones(1, len(x), dtype=torch.long, device=self.device)
        with (
            intercept(self._blocks, lambda call: call.state),
            _replaced(self._head, lambda _: forward(x[None].to(self.dtype))),
        ):
            logits: Tensor = self.module(input_ids=ids, use_cache=False).logits
        return logits[0].float()

    def _find_head(self) -> Head:
        """Say whether the head is linear, by trying it where a soft-cap would show."""
        layer = self._head
        if not isinstance(layer, nn.Linear):
            return Head(self._logits)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(3, layer.in_features, generator=generator).to(self.device, self.dtype)
        x = x * (100 / F.linear(x, layer.weight).abs().max())
        plain, own = layer(x).float(), self._logits(x)
        scale = float((plain * own).sum() / plain.square().sum())
        if (
            plain.shape != own.shape
            or (own - scale * plain).abs().max() > _tolerance(self.dtype) * own.abs().max()
        ):
            return Head(self._logits)
        return Head(self._logits, layer.weight, layer.bias, scale)

    @torch.no_grad()
    def _check(self, probe: list[int]) -> None:
        """Refuse a model whose last state, read out, is not its logits."""
        last: list[Tensor] = []

        def keep(call: BlockCall) -> Tensor:
            out = call.run()
            last[:] = [out]
            return out

        ids = torch.tensor([probe], device=self.device)
        with intercept(self._blocks, keep):
            own = self.module(input_ids=ids, use_cache=False).logits[0].float()
        whole, one = (self._logits(self._finish(state)[0]) for state in (last[0], last[0][:, -1:]))
        size = own.abs().max()
        apart = max((whole - own).abs().max(), (one - own[-1:]).abs().max())
        if not apart <= _tolerance(self.dtype) * size:  # also where something is NaN
            raise ModelError(
                f"Reading out the last block's state of {self.name} does not give its own logits: they "
                f"differ by up to {float(apart):.3g} (largest logit {float(size):.3g}). Something beside the "
                "last state goes into the logits, so its layers cannot be compared."
            )


def _find_output(module: Any, name: str) -> nn.Module:
    head = module.get_output_embeddings()
    if not isinstance(head, nn.Module):
        raise ModelError(
            f"{name} ({type(module).__name__}) has no head that turns states into logits. Comparing layers "
            "needs a causal language model."
        )
    return head


def _find_blocks(model: nn.Module, ids: Tensor, name: str) -> tuple[list[Layer], dict[nn.Module, int]]:
    """Watch one run and list the outermost members of module lists that map a state to a state."""
    places = {
        child: (_stack_name(path), number)
        for path, part in model.named_modules()
        if isinstance(part, nn.ModuleList)
        for number, child in enumerate(part)
    }
    calls: list[tuple[nn.Module, int]] = []
    depth = 0

    def before(*_: Any) -> None:
        nonlocal depth
        depth += 1

    def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        nonlocal depth
        depth -= 1
        state = next(iter((*args, *kwargs.values())), None)
        result = out[0] if isinstance(out, tuple) else out
        both = isinstance(state, Tensor) and isinstance(result, Tensor)
        if depth == 0 and both and _shape(result) == _shape(state) and result.dim() == 3:
            calls.append((module, len(out) if isinstance(out, tuple) else 0))

    hooks = [
        hook
        for child in places
        for hook in (
            child.register_forward_pre_hook(before),
            child.register_forward_hook(after, with_kwargs=True),
        )
    ]
    try:
        with torch.no_grad():
            model(input_ids=ids, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        raise ModelError(
            f"No stack of blocks was found in {name} ({type(model).__name__}): no member of a list of "
            "modules maps a state [batch, token, hidden] to another. Its layers cannot be compared."
        )
    return _label(calls, places), dict(calls)


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


def _stack_name(path: str) -> str:
    """Shorten "model.layers" to "layers", and "model.H_module.layers" to "H_module"."""
    parts = path.split(".")
    return parts[-1] if len(parts) < 3 else parts[-2]


def _label(calls: list[tuple[nn.Module, int]], places: Mapping[nn.Module, tuple[str, int]]) -> list[Layer]:
    times = Counter(module for module, _ in calls)
    seen: Counter[nn.Module] = Counter()
    layers = []
    for index, (module, _) in enumerate(calls):
        seen[module] += 1
        layers.append(
            Layer(index, places[module][0], seen[module] if times[module] > 1 else 0, places[module][1])
        )
    return layers


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        del module.__dict__["forward"]


def _takes(function: Callable[..., Any], name: str) -> bool:
    return name in inspect.signature(function).parameters


def _tolerance(dtype: torch.dtype) -> float:
    """Rounding of a few operations, relative to the largest value."""
    return 64 * torch.finfo(dtype).eps if dtype.itemsize > 2 else 4 * torch.finfo(dtype).eps

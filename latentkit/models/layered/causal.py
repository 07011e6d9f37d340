"""Causal language models of transformers as a sequence of blocks.

The blocks are found by observing one short run, not by a table of names. From the last block to the logits
the model's own code runs, with another state as the last block's output: the final norm is applied exactly
once, with the head's own scale, bias and soft-cap. A model for which this does not reproduce its own logits
is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from latentkit.errors import ModelError
from latentkit.models.layered.structure import (
    FoundCall,
    block_map,
    find_calls,
    label_calls,
    rounding_tolerance,
)
from latentkit.models.layered.unrolled import BlockCall, Handler, Head, intercept, replaced

__all__ = ["CausalModel"]


class CausalModel:
    """A causal language model whose layers can be compared.

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
        Maps the input of the output layer to logits.

    Raises
    ------
    ModelError
        If no blocks are found, or reading out the last block's state does not give the model's logits.
    """

    #: Format of the quantised weights from which these were computed, such as "Q4_1".
    quantised: str | None = None

    def __init__(
        self, module: Any, tokenizer: Any = None, *, name: str = "causal", revision: str | None = None
    ) -> None:
        self.module = module.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.revision = revision
        self.iterations: int | None = None  # its depth is fixed
        self._cached = True
        probe = [1 + i % (self._config.vocab_size - 1) for i in range(4)]
        self._head = _find_output(module, name)
        calls = self._find_calls(torch.tensor([probe], device=self.device))
        self.layers, self._blocks = label_calls(calls), block_map(calls)
        try:
            self.head = self._find_head()
            self._check(probe)
        except ModelError:
            raise
        except Exception as error:  # transformers raises errors of many libraries
            raise ModelError(
                f"{name} ({type(module).__name__}) does not run when the outputs of its blocks are replaced "
                f"({_first_line(error)}). Its layers cannot be compared."
            ) from error

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
        """Where the weights are, or where the first of them work if accelerate placed them."""
        placed = getattr(getattr(self.module, "_hf_hook", None), "execution_device", None)
        return torch.device(self.module.device if placed is None else placed)

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
        """Longest sequence that the config states; without one, unlimited."""
        return int(getattr(self._config, "max_position_embeddings", None) or 2**31)

    @torch.no_grad()
    def run(self, token_ids: Sequence[int], handle: Handler) -> Float[Tensor, "token hidden"]:
        """Run every layer through ``handle``; return the head's input."""
        return self._before_head(torch.tensor([list(token_ids)], device=self.device), handle)[0]

    @torch.no_grad()
    def read(
        self,
        states: Mapping[int, Float[Tensor, "token hidden"]],
        token_ids: Sequence[int],  # noqa: ARG002 (other models need them)
        positions: slice,
    ) -> Float[Tensor, "layer position hidden"]:
        """Return the head's input for each state: the logit lens, by the model's own code."""
        return self._finish(torch.stack([state[positions] for state in states.values()]))

    @torch.no_grad()
    def greedy(self, token_ids: Sequence[int], new_tokens: int) -> list[int]:
        """Return exactly ``new_tokens`` likeliest tokens; stop tokens do not end them."""
        keep = {"logits_to_keep": 1} if _takes(self.module.forward, "logits_to_keep") else {}
        if self._cached:
            try:
                return self._greedy_with_cache(token_ids, new_tokens, keep)
            except Exception:  # noqa: BLE001  (some caches work in `generate` only; all models run without)
                self._cached = False
        found: list[int] = []
        for _ in range(new_tokens):
            ids = torch.tensor([[*token_ids, *found]], device=self.device)
            found.append(int(self.module(input_ids=ids, use_cache=False, **keep).logits[0, -1].argmax()))
        return found

    def _greedy_with_cache(
        self, token_ids: Sequence[int], new_tokens: int, keep: dict[str, int]
    ) -> list[int]:
        cache: Any = None
        unread = list(token_ids)
        found: list[int] = []
        for _ in range(new_tokens):
            ids = torch.tensor([unread], device=self.device)
            given: dict[str, Any] = {} if cache is None else {"past_key_values": cache}
            out = self.module(input_ids=ids, use_cache=True, **given, **keep)
            found.append(int(out.logits[0, -1].argmax()))
            cache = getattr(out, "past_key_values", None)
            unread = [*token_ids, *found] if cache is None else found[-1:]
        return found

    def _finish(self, states: Float[Tensor, "batch token hidden"]) -> Tensor:
        """Run what follows the last block, with these states as its output."""
        last = len(self.layers) - 1
        ids = torch.ones(states.shape[:2], dtype=torch.long, device=self.device)
        return self._before_head(ids, lambda call: states if call.index == last else call.state)

    def _before_head(self, ids: Tensor, handle: Handler) -> Tensor:
        """Run the model up to its head and return the head's input."""
        reached: list[Tensor] = []

        def stop(x: Tensor) -> Tensor:
            reached.append(x)
            return x[..., :1]  # one logit instead of the whole vocabulary

        with intercept(self._blocks, handle), replaced(self._head, stop):
            self.module(input_ids=ids, use_cache=False)
        return reached[-1]

    @torch.no_grad()
    def _logits(self, x: Float[Tensor, "row hidden"]) -> Float[Tensor, "row vocab"]:
        """Run the head and what follows it, with these rows as its input."""
        forward = self._head.forward
        ids = torch.ones(1, len(x), dtype=torch.long, device=self.device)
        with (
            intercept(self._blocks, lambda call: call.state),
            replaced(self._head, lambda _: forward(x[None].to(self.dtype))),
        ):
            logits: Tensor = self.module(input_ids=ids, use_cache=False).logits
        return logits[0].float()

    def _find_calls(self, ids: Tensor) -> list[FoundCall]:
        """Observe one run; refuse a model that does not run, or has states that are not one per token."""
        kind = f"{self.name} ({type(self.module).__name__})"
        try:
            calls = find_calls(self.module, lambda: self.module(input_ids=ids, use_cache=False))
        except Exception as error:  # transformers raises errors of many libraries
            raise ModelError(
                f"{kind} does not run on token ids alone ({_first_line(error)}). Its layers cannot be "
                "compared."
            ) from error
        if not calls:
            raise ModelError(
                f"No stack of blocks was found in {kind}: no member of a list of modules maps a state "
                "[batch, token, hidden] to another. Its layers cannot be compared."
            )
        if wrong := [call.shape for call in calls if call.shape[:2] != tuple(ids.shape)]:
            raise ModelError(
                f"The blocks of {kind} map states of shape {list(wrong[0])} for {ids.shape[1]} tokens, so "
                "their positions are not those of the tokens. Its layers cannot be compared."
            )
        return calls

    def _find_head(self) -> Head:
        """Determine whether the head is linear, with logits large enough to reveal a soft-cap."""
        layer = self._head
        if not isinstance(layer, nn.Linear) or layer.weight.is_meta or type(layer.weight.data) is not Tensor:
            return Head(self._logits)  # quantised, or loaded from the disk for each call
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(3, layer.in_features, generator=generator).to(self.device, self.dtype)
        x = x * (100 / F.linear(x, layer.weight).abs().max())
        plain, own = layer(x).float(), self._logits(x)
        scale = float((plain * own).sum() / plain.square().sum())
        if (
            plain.shape != own.shape
            or (own - scale * plain).abs().max() > rounding_tolerance(self.dtype) * own.abs().max()
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
        if not apart <= rounding_tolerance(self.dtype) * size:  # also if a value is NaN
            raise ModelError(
                f"Reading out the last block's state of {self.name} does not give its own logits: they "
                f"differ by up to {float(apart):.3g} (largest logit {float(size):.3g}). The logits "
                "depend on more than the last state, so its layers cannot be compared."
            )


def _find_output(module: Any, name: str) -> nn.Module:
    head = module.get_output_embeddings()
    if not isinstance(head, nn.Module):
        raise ModelError(
            f"{name} ({type(module).__name__}) has no head that turns states into logits. Comparing layers "
            "needs a causal language model."
        )
    return head


def _takes(function: Callable[..., Any], name: str) -> bool:
    return name in inspect.signature(function).parameters


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no reason given')}"

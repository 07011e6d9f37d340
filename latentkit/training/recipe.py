"""Train a recurrent-depth model with the published recipe, in any size, on a CPU or a GPU.

Differences from the training of an ordinary decoder:

* each step draws its number of iterations of the core (`schedule.draw_iterations`) and starts from a new
  random state, so that the model learns to converge from any state;
* gradients flow through the last few iterations only; the prelude still learns at every step, because its
  output enters each of them;
* a batch, a number of iterations and an initial state depend only on the seed and the step. A resumed run
  therefore gives the same result as one that was not interrupted. A checkpoint holds weights, optimisers and
  counters, but no state of a random generator.

The module imports only torch, numpy, tokenizers, safetensors, tqdm, jaxtyping and lazy_loader.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentkit.errors import ModelError
from latentkit.models.config import HuginnConfig
from latentkit.models.huginn import Huginn, init_weights, random_state
from latentkit.models.stored.checkpoint import read_module
from latentkit.training.data import IGNORED, Batch, Mixture
from latentkit.training.muon import Muon
from latentkit.training.precision import uses_bfloat16
from latentkit.training.schedule import draw_early_iterations, draw_iterations, rate_at
from latentkit.training.settings import Settings

__all__ = ["Run", "train"]

CHECKPOINT, STABLE, LOG = "checkpoint.pt", "stable.pt", "log.jsonl"
_SAVE_EVERY = 120.0  # seconds
EARLY_ROWS = 4  # one row in this many is also read out early


@dataclass
class Run:
    """A model in training, with everything that is needed to resume."""

    settings: Settings
    module: Huginn
    optimizers: list[torch.optim.Optimizer]
    device: torch.device
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    autocast: bool = False

    @property
    def progress(self) -> float:
        """Share of the budget that has been used, 0 to 1."""
        by_tokens = self.tokens / self.settings.tokens if self.settings.tokens else 0.0
        by_time = self.seconds / 60 / self.settings.minutes if self.settings.minutes else 0.0
        return min(1.0, max(by_tokens, by_time))


def train(
    settings: Settings,
    mixture: Mixture,
    folder: Path,
    *,
    init: Path | None = None,
    device: str | None = None,
    progress: bool = True,
    stop_at_step: int | None = None,
) -> Huginn:
    """Train until the budget is used up, starting from the folder's checkpoint if there is one.

    Parameters
    ----------
    settings : Settings
        Model size, budget and hyperparameters.
    mixture : Mixture
        Source of the batches.
    folder : Path
        Folder for ``checkpoint.pt``, ``stable.pt`` (the state before the learning rate decays) and
        ``log.jsonl``.
    init : Path, optional
        A model folder with the initial weights; the optimiser starts from zero.
    device : str, optional
        ``"cpu"`` or ``"cuda"``; None selects a GPU if there is one.
    progress : bool
        Show a progress bar with loss and tokens per second.
    stop_at_step : int, optional
        Stop at this step, as an interrupt does.

    Returns
    -------
    Huginn
        The trained network. Ctrl-C saves a checkpoint and returns the network trained so far.

    Raises
    ------
    ModelError
        If the checkpoint or `init` has another architecture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = start(settings, init=init, device=device)
    if (folder / CHECKPOINT).is_file():
        load_checkpoint(run, folder / CHECKPOINT)
    if settings.compile:
        _compile(run.module)
    with tqdm(total=100, unit="%", disable=not progress, bar_format="{l_bar}{bar}| {postfix}") as bar:
        try:
            _loop(run, mixture, folder, bar, stop_at_step)
        except KeyboardInterrupt:
            tqdm.write(f"Interrupted at step {run.step}; the same command continues from there.")
    save_checkpoint(run, folder / CHECKPOINT)
    return run.module


def start(settings: Settings, *, init: Path | None = None, device: str | None = None) -> Run:
    """Return a run at step 0, with random weights or those of a model folder."""
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    module = init_weights(Huginn(settings.config), torch.Generator().manual_seed(settings.seed))
    if init is not None:
        _take_weights(module, init)
    if settings.hold_injection:
        nn.init.constant_(module.injected_norm.weight, settings.injection_scale).requires_grad_(False)
    module = module.to(where)
    optimizers = make_optimizers(module, settings)
    return Run(settings, module, optimizers, where, autocast=uses_bfloat16(settings, where))


def _take_weights(module: Huginn, folder: Path) -> None:
    source = read_module(folder, torch.float32, "cpu")
    ours, theirs = module.config, source.config
    # These may differ between runs: no weight's shape depends on them.
    free = {"block_size", "mean_recurrence", "mean_backprop_depth", "injection_scale"}
    differ = [
        f"{f.name} = {getattr(theirs, f.name)} instead of {getattr(ours, f.name)}"
        for f in fields(HuginnConfig)
        if f.name not in free and getattr(ours, f.name) != getattr(theirs, f.name)
    ]
    if differ:
        raise ModelError(
            f"Cannot start from the weights in '{folder}': they have {', '.join(differ)}. "
            "Pass the settings that they were trained with."
        )
    module.load_state_dict(source.state_dict())


def make_optimizers(module: Huginn, settings: Settings) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks and AdamW for embedding, norms and biases."""
    matrices = [p for n, p in module.transformer.named_parameters() if p.ndim == 2 and n != "wte.weight"]
    in_muon = {id(p) for p in matrices}
    others = [p for p in module.parameters() if id(p) not in in_muon and p.requires_grad]
    muon = Muon(matrices, lr=settings.matrix_rate, weight_decay=settings.weight_decay)
    adam = torch.optim.AdamW(others, lr=settings.other_rate, betas=(0.9, 0.95), weight_decay=0.0)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return [muon, adam]


def learn(run: Run, batch: Batch) -> float:
    """Do one training step and return its loss in nats, as `loss_of`."""
    settings = run.settings
    iterations, with_gradient = draw_iterations(settings, run.step, run.progress)
    ids, labels = (part.to(run.device, non_blocking=True) for part in batch)
    state = initial_state(settings, run.step, tuple(ids.shape)).to(run.device)
    run.module.train()
    # No cache of casts: iterations with gradient must not reuse a cast made without gradient.
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.autocast, cache_enabled=False):
        latent = run.module.latent(
            ids, iterations=iterations, grad_iterations=with_gradient, initial_state=state
        )
        loss = loss_of(run.module, latent, labels)
        total = loss
        if settings.early_readout:
            early = draw_early_iterations(settings, run.step, iterations)
            latent = run.module.latent(
                ids[::EARLY_ROWS], iterations=early, grad_iterations=early, initial_state=state[::EARLY_ROWS]
            )
            some = loss_of(run.module, latent, labels[::EARLY_ROWS])
            total = loss + settings.early_readout * some
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.module.parameters(), 1.0)
    factor = rate_at(settings, run.progress)
    for optimizer in run.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    run.step += 1
    run.tokens += ids.numel()
    return float(loss.detach())


def loss_of(module: Huginn, latent: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy in nats, averaged over the labels of each row, then over rows.

    A row of problems has few labels, and prose has one at every position. With a plain mean over labels,
    prose alone would determine the gradient. The head is applied only where there is a label.
    """
    asked = labels != IGNORED
    logits = module.lm_head(latent[asked]).float()
    each = F.cross_entropy(logits, labels[asked], reduction="none")
    share = asked / asked.sum(dim=1, keepdim=True).clamp(min=1)
    return (each * share[asked]).sum() / asked.any(dim=1).sum()


def initial_state(settings: Settings, step: int, shape: tuple[int, ...]) -> Tensor:
    """Draw the initial state of a step from seed and step; [batch, token, hidden], float32."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    return random_state(settings.config, torch.empty(*shape, settings.config.n_embd), generator)


def save_checkpoint(run: Run, path: Path) -> None:
    """Write weights, optimisers and counters to a new file, then replace the old checkpoint with it."""
    content = {
        "model": run.module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in run.optimizers],
        "settings": run.settings.to_dict(),
        **{name: getattr(run, name) for name in ("step", "tokens", "seconds")},
    }
    unfinished = path.with_suffix(".part")
    torch.save(content, unfinished)
    unfinished.replace(path)


def load_checkpoint(run: Run, path: Path) -> None:
    """Load a checkpoint into a new run.

    Raises
    ------
    ModelError
        If the checkpoint was made with different settings that affect a training step.
    """
    content: dict[str, Any] = torch.load(path, map_location=run.device, weights_only=True)
    given = run.settings.to_dict()
    # A setting that was added after the checkpoint takes its current default.
    kept = {name: getattr(Settings, name, None) for name in given} | content["settings"]
    free = {"tokens", "minutes", "compile", "mixture"}  # a run may be extended; shares are only a record
    if differ := [name for name in given if name not in free and given[name] != kept[name]]:
        raise ModelError(
            f"The checkpoint '{path}' was made with other settings: "
            + ", ".join(f"{name} = {kept[name]} instead of {given[name]}" for name in differ)
            + ". Pass the same ones, or another folder to start anew."
        )
    run.module.load_state_dict(content["model"])
    for optimizer, state in zip(run.optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    run.step, run.tokens, run.seconds = (content[name] for name in ("step", "tokens", "seconds"))


def _loop(run: Run, mixture: Mixture, folder: Path, bar: Any, stop_at_step: int | None) -> None:
    saved, before = time.monotonic(), time.monotonic()
    with (folder / LOG).open("a", encoding="utf-8") as log:
        while run.progress < 1 and run.step != stop_at_step:
            stable = run.progress < 1 - run.settings.decay
            loss = learn(run, mixture.batch(run.step))
            now = time.monotonic()
            run.seconds += now - before
            _report(run, loss, now - before, log, bar)
            before = now
            if stable and run.progress >= 1 - run.settings.decay:
                save_checkpoint(run, folder / STABLE)
            if now - saved > _SAVE_EVERY:
                save_checkpoint(run, folder / CHECKPOINT)
                saved = now


def _report(run: Run, loss: float, seconds: float, log: Any, bar: Any) -> None:
    iterations, _ = draw_iterations(run.settings, run.step - 1, run.progress)
    record = {
        "step": run.step,
        "tokens": run.tokens,
        "loss": round(loss, 4),
        "iterations": iterations,
        "rate": round(rate_at(run.settings, run.progress), 4),
        "step_seconds": round(seconds, 3),
        "seconds": round(run.seconds, 1),
    }
    log.write(json.dumps(record) + "\n")
    log.flush()
    bar.n = round(100 * run.progress, 1)
    bar.set_postfix_str(f"step {run.step}, loss {loss:.3f}, {run.tokens / run.seconds:,.0f} tokens/s")


def _compile(module: Huginn) -> None:
    """Compile each block; the loop around them stays in Python, so its length causes no recompilation."""
    from torch._dynamo import config

    config.recompile_limit = 64  # lengths × (with and without gradient) × blocks
    stacks = module.transformer
    for block in (*stacks.prelude, *stacks.core_block, *stacks.coda):
        block.compile(dynamic=False)

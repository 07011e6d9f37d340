"""`latentkit train`: train a model on text and write a model folder that `load_model` reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from itertools import chain, repeat
from pathlib import Path
from typing import Any, get_type_hints

import torch
from tokenizers import Tokenizer

from latentkit.errors import ArgumentError, nearest
from latentkit.models.stored.checkpoint import write_module
from latentkit.problems.facts.table import answers
from latentkit.problems.generator import every_pair
from latentkit.problems.kinds import KINDS, TRAINED_KINDS
from latentkit.training import corpus
from latentkit.training.data import Mixture, Source, TaskSource, open_source
from latentkit.training.recipe import train
from latentkit.training.settings import SIZES, Settings
from latentkit.training.tokenizer import FILES, load_tokenizer, save_tokenizer, train_tokenizer, with_words
from latentkit.training.transplant import with_tokenizer

__all__ = ["main"]

NANO = Path(__file__).resolve().parents[1] / "models" / "nano"
_WITH_ANSWERS = 4736  # a multiple of 64


def main(argv: Sequence[str] | None = None) -> int:
    """Train a model; repeating the command continues from the last checkpoint."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    shares = dict(_share(entry) for entry in arguments.data)
    folder = Path(arguments.out)
    tokenizer = _tokenizer(arguments.tokenizer, list(shares), folder)
    settings = Settings(
        size=arguments.size,
        tokens=arguments.tokens,
        minutes=arguments.minutes,
        seed=arguments.seed,
        vocab_size=tokenizer.get_vocab_size(),
        mixture={Path(name).name: share for name, share in shares.items()} | {"tasks": arguments.tasks},
        **_further(arguments.set),
    )
    problems = TaskSource(tokenizer, _kinds(arguments.kinds), arguments.harder_every * settings.rows)
    sources = _sources(
        shares, arguments.tasks, problems, tokenizer, folder, share_alike=arguments.share_alike
    )
    mixture = Mixture(
        sources, rows=settings.rows, length=settings.length, seed=settings.seed, longest=settings.context
    )
    init = NANO if arguments.init == "nano" else Path(arguments.init) if arguments.init else None
    init = init and with_tokenizer(init, tokenizer, folder / "init")
    module = train(settings, mixture, folder, init=init, device=arguments.device)
    export(module, tokenizer, folder / "model")
    print(f"Wrote {folder / 'model'}. Look at it with load_model('{folder / 'model'}').")
    return 0


def export(module: Any, tokenizer: Tokenizer, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a model folder in the released layout: config, weights, tokenizer."""
    write_module(module, folder, dtype)
    save_tokenizer(tokenizer, folder, context_length=module.config.block_size)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latentkit train", description=__doc__)
    add = parser.add_argument
    add("--data", nargs="+", required=True, metavar="SOURCE[=SHARE]",
        help="files (.txt, .jsonl, also .xz), folders of them, or names of datasets on the hub")  # fmt: skip
    add("--out", required=True, help="folder for checkpoints, log, cache and the model")
    add("--size", default="nano", help=f"the one dial: {', '.join(SIZES)}")
    add("--minutes", type=float, default=0.0, help="budget of time")
    add("--tokens", type=int, default=0, help="budget of tokens; alone it makes the run repeatable")
    add("--tasks", type=float, default=0.22, help="share of graded problems")
    add("--kinds", help="kinds of problems, separated by commas; one named twice is drawn twice as often")
    add("--harder-every", type=int, default=0, metavar="STEPS",
        help="let problems begin with one step and allow one more every so many training steps")  # fmt: skip
    add(
        "--tokenizer",
        default="nano",
        help="'nano', 'new' (trained on the data, with one more token for each word of a short answer about "
        "facts), or a folder",
    )
    add("--init", help="start from the weights of 'nano' or of a model folder; a tokenizer that differs "
        "from its own gets an embedding made from its rows")  # fmt: skip
    add("--seed", type=int, default=0)
    add("--device", help="cpu or cuda; default: a GPU where there is one")
    add("--threads", type=int, default=0, help="processor threads; default: torch's choice")
    add("--share-alike", action="store_true", help="keep records whose licence contains -SA-")
    add(
        "--set",
        nargs="*",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="any further field of Settings",
    )
    return parser


def _kinds(names: str | None) -> tuple[str, ...]:
    kinds = tuple(names.split(",")) if names else TRAINED_KINDS
    for kind in kinds:
        if kind not in KINDS:
            raise ArgumentError(f"No kind of problem named '{kind}'. {nearest(kind, KINDS)}")
    return kinds


def _share(entry: str) -> tuple[str, float]:
    name, _, share = entry.rpartition("=")
    try:
        return (name, float(share)) if name else (entry, 0.0)
    except ValueError:
        raise ArgumentError(
            f"'{share}' in '{entry}' is not a number. Pass SOURCE or SOURCE=SHARE, such as books.txt=0.5."
        ) from None


def _further(entries: Sequence[str]) -> dict[str, Any]:
    kinds = get_type_hints(Settings)
    known = [f.name for f in fields(Settings) if f.name != "mixture"]
    result: dict[str, Any] = {}
    for entry in entries:
        name, _, value = entry.partition("=")
        if name not in known:
            raise ArgumentError(f"No setting named '{name}'. {nearest(name, known)}")
        kind = kinds[name]
        try:
            result[name] = value.lower() in ("1", "true", "yes") if kind is bool else kind(value)
        except ValueError:
            raise ArgumentError(
                f"'{value}' is not a valid value for {name}, which is of type {kind.__name__}."
            ) from None
    return result


def _tokenizer(choice: str, sources: Sequence[str], folder: Path) -> Tokenizer:
    if choice != "new":
        return load_tokenizer(NANO if choice == "nano" else choice)
    kept = folder / "tokenizer"
    if not (kept / FILES[0]).is_file():  # a resumed run keeps its tokenizer
        files = [file for source in sources for file in corpus.find_files(source) or [Path(source)]]
        # Each table entry is repeated often enough to become one token.
        texts = chain(corpus.sample_texts(files), repeat(every_pair(), 4000))
        save_tokenizer(with_words(train_tokenizer(texts), answers(), most=_WITH_ANSWERS), kept)
    return load_tokenizer(kept)


def _sources(
    shares: dict[str, float],
    task_share: float,
    problems: TaskSource,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    share_alike: bool,
) -> list[tuple[Source, float]]:
    """Open all sources; sources without a share divide the remaining share in proportion to their length."""
    cache = folder / "tokens"
    opened = {name: open_source(name, tokenizer, cache, share_alike=share_alike) for name in shares}
    rest = 1 - task_share - sum(shares.values())
    unsaid = sum(len(opened[name].tokens) for name, share in shares.items() if not share)
    if rest < -1e-9 or (unsaid and rest <= 0):
        raise ArgumentError(
            f"The shares, {task_share:g} of problems among them, sum to {1 - rest:g}"
            f"{' and leave nothing for sources without one' if unsaid else ''}. Pass smaller ones."
        )
    sources: list[tuple[Source, float]] = [
        (source, shares[name] or rest * len(source.tokens) / unsaid) for name, source in opened.items()
    ]
    return [*sources, (problems, task_share)] if task_share else sources

"""Layer KL compared with the hardware limit and with other tools, as ratios to a plain forward pass.

    python benchmarks/layer_kl.py
    python benchmarks/layer_kl.py --peer nnsight=PYTHON \\
        --peer transformer_lens=PYTHON --peer tuned_lens=PYTHON

A random Llama of 8 layers, hidden size 256, reads 128 tokens in float32 on one thread; a map is the KL of
every layer to the end at every position. Each number is the processor time divided by that of the
plain forward pass in the same process: the median of rounds that run all variants in turn, so that other load
on the machine affects all of them equally. PYTHON is the interpreter of an environment with that tool; the
tools need incompatible versions of packages. The limit is a forward pass, plus norm and unembedding of all
layers in tiles of the vocabulary; for the effect of skipping each layer, it is the blocks that have to run.

    python benchmarks/layer_kl.py --large

measures instead the time and peak memory of "effect" and "lens" for the shape of Qwen2.5-1.5B with random
bfloat16 weights, 64 tokens and 5 new ones.

The latest measurements are in layer_kl.md, beside this file.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from latentkit.run import run_layer_effect, run_layer_lens

RUNS: dict[str, Callable[..., Any]] = {"effect": run_layer_effect, "lens": run_layer_lens}
LAYERS, HIDDEN, TOKENS, NEW = 8, 256, 128, 5
VOCABULARIES = (8192, 32768)
ROUNDS = 15


def make_llama(vocabulary: int) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=688,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=256,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    module = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for weight in module.parameters():
        if weight.dim() == 1:
            weight.add_(torch.empty_like(weight).uniform_(-0.3, 0.3))
        else:
            weight.mul_(3)
    return module


def token_ids() -> torch.Tensor:
    return torch.randint(0, 8192, (1, TOKENS), generator=torch.Generator().manual_seed(1))


def compare_in_turn(kinds: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median processor time of each variant, divided by that of "plain"."""
    ratios: dict[str, list[float]] = {name: [] for name in kinds}
    for work in kinds.values():
        work()
    for _ in range(ROUNDS):
        took = {}
        for name, work in kinds.items():
            start = time.process_time()
            work()
            took[name] = time.process_time() - start
        for name in kinds:
            ratios[name].append(took[name] / took["plain"])
    return {name: statistics.median(values) for name, values in ratios.items()}


def peak_of(work: Callable[[], Any]) -> float:
    """Return the peak memory of the work in MB, above the memory in use before it (Linux)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def naive_kl(logits: list[torch.Tensor]) -> torch.Tensor:
    """Return the KL by the usual implementation: all logits at once, [layer, token, vocab]."""
    log_probs = torch.stack(logits).log_softmax(-1)
    last = log_probs[-1]
    return (last.exp() * (last - log_probs)).sum(-1)


# The limit and latentkit


def unembed_in_tiles(states: torch.Tensor, weight: torch.Tensor) -> None:
    tile = 256
    room = states.new_empty(len(states), tile)
    for start in range(0, len(weight), tile):
        torch.mm(states, weight[start : start + tile].T, out=room)


def limit_of_map(module: Any, ids: torch.Tensor) -> None:
    out = module.model(input_ids=ids, use_cache=False, output_hidden_states=True)
    states = torch.cat([module.model.norm(state[0]) for state in out.hidden_states[1:]])
    unembed_in_tiles(torch.cat((states, out.last_hidden_state[0])), module.lm_head.weight)


def ours(module: Any, ids: torch.Tensor, *, definition: str, new: int) -> Callable[[], Any]:
    """Return the complete call without the digest of the weights, whose time depends only on the model."""
    from latentkit.models.layered.causal import CausalModel
    from latentkit.run.layers import comparison

    comparison.provenance = lambda _model: {}  # type: ignore[attr-defined, assignment]
    model = CausalModel(module)
    sequence = [*ids[0].tolist(), 7]
    prompt, continuation = sequence[: len(sequence) - new], sequence[len(sequence) - new :]
    run = RUNS[definition]
    return lambda: run(model, prompt, continuation=continuation, progress=False)


def measure_ours(vocabulary: int) -> dict[str, float]:
    module, ids = make_llama(vocabulary), token_ids()
    map_ours = ours(module, ids, definition="lens", new=TOKENS)
    sweep_ours = ours(module, ids, definition="effect", new=NEW)
    naive = naive_transformers(module, ids)
    peaks = {  # measured first, before freed memory can be reused; the first call includes memory that stays
        "peak MB": peak_of(map_ours),
        "peak MB, plain": peak_of(lambda: module(input_ids=ids, use_cache=False)),
        "peak MB, naive": peak_of(naive),
    }
    apart = (torch.from_numpy(map_ours().kl.values) - naive()).abs().max()
    assert apart < 1e-4, f"ours and the naive map differ by {apart}"
    found = compare_in_turn(
        {
            "plain": lambda: module(input_ids=ids, use_cache=False),
            "limit": lambda: limit_of_map(module, ids),
            "ours": map_ours,
            "transformers + naive": naive,
            "plain, 5 logits": lambda: module(input_ids=ids, use_cache=False, logits_to_keep=NEW),
            "effect": sweep_ours,
        }
    )
    limit = found["plain, 5 logits"] * (1 + (LAYERS - 1) / 2)
    return {
        **found,
        "map over limit": found["ours"] / found["limit"],
        "effect over limit": found["effect"] / limit,
        **peaks,
    }


# Other tools


def naive_transformers(module: Any, ids: torch.Tensor) -> Callable[[], Any]:
    def work() -> torch.Tensor:
        states = module.model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states[1:]
        normed = [*[module.model.norm(state[0]) for state in states[:-1]], states[-1][0]]
        return naive_kl([module.lm_head(state) for state in normed])

    return work


def naive_nnsight(module: Any, ids: torch.Tensor) -> Callable[[], Any]:
    import nnsight

    model = nnsight.NNsight(module)

    def work() -> torch.Tensor:
        with model.trace(input_ids=ids, use_cache=False):
            states = nnsight.save([layer.output for layer in model.model.layers])
        rows = [state[0] if isinstance(state, tuple) else state for state in states]
        rows = [state[0] if state.dim() == 3 else state for state in rows]
        return naive_kl([module.lm_head(module.model.norm(state)) for state in rows])

    return work


def naive_transformer_lens(module: Any, ids: torch.Tensor) -> Callable[[], Any]:
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    config = HookedTransformerConfig(
        n_layers=LAYERS,
        d_model=HIDDEN,
        n_ctx=256,
        d_head=HIDDEN // 8,
        n_heads=8,
        d_mlp=688,
        d_vocab=module.config.vocab_size,
        act_fn="silu",
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_dim=HIDDEN // 8,
        gated_mlp=True,
        final_rms=True,
        device="cpu",
        seed=0,
    )
    model = HookedTransformer(config).eval().requires_grad_(False)
    names = {f"blocks.{i}.hook_resid_post" for i in range(LAYERS)}

    def work() -> torch.Tensor:
        _, cache = model.run_with_cache(ids, names_filter=lambda name: name in names, return_type=None)
        rows = [cache[f"blocks.{i}.hook_resid_post"] for i in range(LAYERS)]
        return naive_kl([model.unembed(model.ln_final(state))[0] for state in rows])

    work.plain = lambda: model(ids)  # type: ignore[attr-defined]  # its own forward pass
    return work


def naive_tuned_lens(module: Any, ids: torch.Tensor) -> Callable[[], Any]:
    from tuned_lens.nn.lenses import LogitLens

    lens = LogitLens.from_model(module)

    def work() -> torch.Tensor:
        states = module.model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states[1:]
        logits = [lens(state[0], i) for i, state in enumerate(states[:-1])]
        return naive_kl([*logits, module.lm_head(states[-1][0])])

    return work


PEERS = {
    "nnsight": naive_nnsight,
    "transformer_lens": naive_transformer_lens,
    "tuned_lens": naive_tuned_lens,
}


def measure_peer(name: str, vocabulary: int) -> dict[str, float]:
    module, ids = make_llama(vocabulary), token_ids()
    work = PEERS[name](module, ids)
    plain = getattr(work, "plain", lambda: module(input_ids=ids, use_cache=False))
    found = compare_in_turn({"plain": plain, "map": work})
    return {"map": found["map"], "peak MB": peak_of(work)}


def run_peer(name: str, python: str, vocabulary: int) -> dict[str, float]:
    command = [python, __file__, "--inside", name, "--vocabulary", str(vocabulary)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


# A large model


def measure_large() -> None:
    from latentkit.models.layered.causal import CausalModel

    config = transformers.Qwen2Config(
        vocab_size=151_936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    module = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    weights = sum(weight.numel() * weight.element_size() for weight in module.parameters()) / 2**20
    model = CausalModel(module, name="random Qwen2.5-1.5B")
    print(f"{model}: {weights:,.0f} MiB of weights")
    ids = torch.randint(0, 151_936, (64,), generator=torch.Generator().manual_seed(1)).tolist()
    for definition in ("effect", "lens"):
        result: list[Any] = []
        start, used = time.perf_counter(), time.process_time()

        def work(definition: str = definition, result: list[Any] = result) -> None:
            result.append(RUNS[definition](model, ids, progress=False))

        peak = peak_of(work)
        seconds, used = time.perf_counter() - start, time.process_time() - used
        assert dict(result[0].sizes) == {"layer": 28, "generated_token": 5}
        times = f"{seconds:6.1f} s, {used:6.1f} s of processor time"
        print(f"{definition:8} {times}; peak {peak:,.0f} MiB above the model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--inside", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--vocabulary", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--large", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        if arguments.inside:
            print(json.dumps(measure_peer(arguments.inside, arguments.vocabulary)))
            return
        if arguments.large:
            torch.set_num_threads(2)
            measure_large()
            return
        print(f"torch {torch.__version__}, transformers {transformers.__version__}")
        for vocabulary in VOCABULARIES:
            print(f"\nV = {vocabulary:,}: processor time over that of the plain forward pass; MB")
            for name, value in measure_ours(vocabulary).items():
                print(f"  {name:24} {value:8.2f}")
            for peer in arguments.peer:
                name, _, python = peer.partition("=")
                for what, value in run_peer(name, python, vocabulary).items():
                    print(f"  {name + ', ' + what:24} {value:8.2f}")


if __name__ == "__main__":
    main()

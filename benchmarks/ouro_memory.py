"""Memory and time of a trace at the size of Ouro-1.4B: 16 tokens, 4 iterations, bfloat16, random weights.

Run from the project's root::

    python benchmarks/ouro_memory.py            # about 2.9 GB of weights; minutes where bfloat16 is slow
    python benchmarks/ouro_memory.py --layers 2 # a shorter stack, to try the script
"""

from __future__ import annotations

import argparse
import resource
import time

import torch

import latentkit as lk
from latentkit.models.family.ouro import OuroModel, OuroNetwork

CONFIG = {
    "vocab_size": 49152,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 128,
    "max_position_embeddings": 65536,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "total_ut_steps": 4,
}


def random_ouro(layers: int) -> OuroModel:
    """Return the model with uniform random weights, drawn in place in bfloat16."""
    with torch.device("meta"):
        network = OuroNetwork({**CONFIG, "num_hidden_layers": layers})
    network = network.to(torch.bfloat16).to_empty(device="cpu").requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        if weight.dim() > 1:
            weight.uniform_(-0.03, 0.03, generator=generator)
        else:
            weight.fill_(1.0)
    return OuroModel(network, name="ouro-1.4b-random")


def peak() -> float:
    """Return the peak memory of this process, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Trace once and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=CONFIG["num_hidden_layers"])
    layers = parser.parse_args().layers
    begin = time.perf_counter()
    model = random_ouro(layers)
    made = time.perf_counter()
    count = sum(weight.numel() for weight in model.module.parameters())
    print(f"{count:,} parameters, made in {made - begin:.1f} s, peak {peak():.2f} GiB", flush=True)
    trace = lk.run_recurrence(model, list(range(100, 116)), progress=False)
    took = time.perf_counter() - made
    print(
        f"{trace.sizes['token']} tokens × {trace.sizes['iteration'] - 1} iterations with readouts: "
        f"{took:.1f} s, peak {peak():.2f} GiB, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()

"""Build and run a model of the released size, with random bfloat16 weights, on this machine.

    python benchmarks/full_size.py

Prints the time to build and to trace 16 tokens × 8 iterations, the peak memory and, as a reference for the
times, the speed of bfloat16 matrix products on this machine.
"""

from __future__ import annotations

import resource
import time

import torch

import latentkit as lk
from latentkit.models.huginn import HuginnConfig, init_weights
from latentkit.models.stored.checkpoint import empty_module
from latentkit.models.verbs import HuginnModel

TOKENS, ITERATIONS = 16, 8


def matmul_speed(rows: int, inner: int, columns: int) -> float:
    """Return floating-point operations per second of a bfloat16 product, as the best of five."""
    a, b = torch.randn(rows, inner).bfloat16(), torch.randn(columns, inner).bfloat16()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        torch.nn.functional.linear(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * rows * inner * columns / best


def main() -> None:
    config = HuginnConfig()
    start = time.perf_counter()
    module = init_weights(empty_module(config, torch.bfloat16), torch.Generator().manual_seed(0))
    model = HuginnModel(module.requires_grad_(False), name="random Huginn")
    built = time.perf_counter()
    trace = lk.run_recurrence(
        model, list(range(TOKENS)), iterations=ITERATIONS, limit=ITERATIONS, readout_top=0, progress=False
    )
    traced = time.perf_counter()
    parameters = sum(weight.numel() for weight in module.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{model}")
    print(f"parameters          {parameters:,}")
    print(f"build               {built - start:.1f} s")
    print(f"trace               {traced - built:.1f} s ({TOKENS} tokens × {ITERATIONS} iterations)")
    print(f"peak memory         {peak:.2f} GiB")
    print(f"distance, first to last iteration: {trace.distance.mean('token').values.round(2).tolist()}")
    square, thin = (
        matmul_speed(2048, 2048, 2048),
        matmul_speed(TOKENS, config.n_embd, 2 * config.intermediate_size),
    )
    speeds = f"{square / 1e9:.0f} GFLOP/s (2,048 cubed), {thin / 1e9:.0f} GFLOP/s ({TOKENS} rows)"
    print(f"bfloat16 products   {speeds}")


if __name__ == "__main__":
    main()

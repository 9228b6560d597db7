"""What this machine can do at most: read bandwidth and matrix products, measured beside what is compared with them.

Decode cannot be faster than reading the weights once a step, an update not faster than its products.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from contenders.workload import Shape


@dataclass(frozen=True)
class Limits:
    """Bytes and floating-point operations per second of one thread, or of the GPU."""

    bandwidth: float
    gemm_float32: float
    gemm_bfloat16: float

    def gemm(self, precision: str) -> float:
        return self.gemm_bfloat16 if precision == "bfloat16" else self.gemm_float32


def measure(device: torch.device, seconds: float = 1.0) -> Limits:
    """The best of what repeated calls reach within `seconds` each."""
    large = 2**28 if device.type == "cuda" else 2**26  # more than any cache holds
    data = torch.ones(large, device=device)
    size = 8192 if device.type == "cuda" else 2048
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        left, right = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
        rates.append(2 * size**3 / _best(lambda a=left, b=right: a @ b.T, device, seconds))
    return Limits(large * 4 / _best(data.sum, device, seconds), *rates)


def _best(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """CPU seconds (wall on a GPU) of the fastest call."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        start = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock() - start)
    return best


def decode_seconds(shape: Shape, rows: int, context: int, precision: str, limits: Limits) -> float:
    """Least time of one decode step of `rows` rows that see `context` tokens: weights and cache read, products made."""
    size = 2 if precision == "bfloat16" else 4
    weights = shape.block_parameters + shape.head_parameters
    cache = rows * context * shape.layers * 2 * shape.kv_heads * (shape.hidden // shape.heads)
    read = (weights + cache) * size / limits.bandwidth
    return max(read, 2 * weights * rows / limits.gemm(precision))


def update_seconds(
    shape: Shape, prompts: Sequence[int], completions: Sequence[Sequence[int]], precision: str, limits: Limits
) -> float:
    """Least time of an update that forwards each prompt once: three products a weight, attention included."""
    tokens = sum(prompts) + sum(map(sum, completions))
    pairs = sum(length**2 / 2 for length in prompts) + sum(
        own * (prompt + own / 2) for prompt, group in zip(prompts, completions, strict=True) for own in group
    )
    products = shape.block_parameters * tokens + shape.head_parameters * sum(map(sum, completions))
    attention = 2 * shape.layers * shape.hidden * pairs
    return 6 * (products + attention) / limits.gemm(precision)

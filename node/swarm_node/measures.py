"""What a round's training looked like, in numbers for its record: speed, advantages, lengths, rewards by task.

Pure functions but for `peak_flops`, which measures the machine once. Works with `round` and `worker`.
"""

from __future__ import annotations

import math
import resource
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from swarm_core.status import RoundRecord
from swarm_node.advantages import batch_advantages, is_informative
from swarm_node.device import DeviceChoice
from swarm_node.hyper import ScaleRewards
from swarm_node.round import Rollout
from swarm_node.train import StepMetrics

_PROBE_SECONDS = 0.2
_LARGEST_PROBE = 4096


def note_rollouts(record: RoundRecord, own: Sequence[Rollout], seconds: float) -> None:
    """Lengths, speed and rewards of our own completions, made in `seconds`."""
    lengths = [len(completion.ids) for rollout in own for completion in rollout.completions]
    by_task: dict[str, list[float]] = {}
    for rollout in own:
        by_task.setdefault(rollout.task.name, []).extend(rollout.rewards)
    record.completion_tokens = sum(lengths)
    record.rewards_by_task = {name: statistics.fmean(rewards) for name, rewards in sorted(by_task.items())}
    record.zero_advantage_share = _share([not is_informative(rollout.rewards) for rollout in own])
    record.finished_share = _share([c.finished for rollout in own for c in rollout.completions])
    if lengths:
        record.completion_length_mean, record.completion_length_max = statistics.fmean(lengths), max(lengths)
    if seconds > 0:
        record.generated_tokens_per_second = sum(lengths) / seconds


def note_training(
    record: RoundRecord,
    metrics: StepMetrics,
    groups: Sequence[Sequence[float]],
    scale: ScaleRewards,
    parameters: int,
    peak: float | None,
) -> None:
    """The step's own numbers, its advantages, its speed and the share of `peak` operations a second that it used."""
    record.loss, record.grad_norm, record.clip_ratio = metrics.loss, metrics.grad_norm, metrics.clip_ratio
    record.entropy, record.kl = metrics.entropy, metrics.kl
    record.groups_trained, record.groups_skipped = metrics.groups_used, metrics.groups_skipped
    advantages = [value for group in batch_advantages(groups, scale) for value in group]
    if advantages:
        record.advantage_std = statistics.pstdev(advantages)
        record.advantage_max = max(map(abs, advantages))
    if metrics.optimizer_steps and metrics.seconds > 0:
        record.trained_tokens_per_second = metrics.tokens / metrics.seconds
        if peak:
            # two products a weight forward, four backward
            record.mfu = 6.0 * parameters * metrics.packed_tokens * metrics.optimizer_steps / metrics.seconds / peak
    record.memory_peak = peak_resident_bytes()


def peak_flops(device: DeviceChoice) -> float:
    """Operations a second of the best matrix product here, in the precision that training computes in."""
    on_gpu = device.device.type == "cuda"
    size = _LARGEST_PROBE if on_gpu else 1024
    left, right = (torch.ones(size, size, device=device.device, dtype=device.compute_dtype) for _ in range(2))
    best, end = math.inf, time.perf_counter() + _PROBE_SECONDS
    while time.perf_counter() < end or best == math.inf:
        start = time.perf_counter()
        left @ right.T
        if on_gpu:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def peak_resident_bytes() -> int:
    """The most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def count_parameters(model: Any) -> int:
    """Weights that every token meets; embeddings that are not also the head are only looked up."""
    total = sum(parameter.numel() for parameter in model.parameters())
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return int(total) if head is embedding else int(total - embedding.numel())


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None

"""How much memory a round needs, and how much there is: the estimate made before the first round.

The weights are loaded already, so what the process holds now is measured; the rest is arithmetic over the model's
shape. Works with `memory_plan`, which chooses micro-batch and groups by it and steps down when it was wrong.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from swarm_core.memory_limit import CGROUP, cgroup_limit
from swarm_core.resident import resident_bytes
from swarm_node import attention, heap
from swarm_node.device import DeviceChoice
from swarm_node.head import CHUNK_ELEMENTS, CHUNK_POSITIONS
from swarm_node.hyper import Hyperparameters

ADAM_BYTES = 8  # two moments in float32
FLOAT_BYTES = 4
BACKWARD_FACTOR = 1.2  # gradients of activations that live beside what the forward pass saved
COMFORT = 2_600_000_000  # bytes of activations on a CPU: products of so many tokens are as fast as they get
STEP = 64  # tokens
USABLE = 0.9  # of the limit; allocators and the kernel need the rest


@dataclass(frozen=True)
class Need:
    """Bytes of a round. `peak` is what counts: generation and update follow each other."""

    held: int  # by the process now, weights included
    states: int  # gradients, Adam's moments, frozen reference
    head: int  # chunks of logits and the head's gradient
    generation: int  # keys, values, logits for all rows at once
    activation: int  # of each packed token in an update
    comfort: int | None = None  # activations above this bring no speed

    def micro_batch(self, budget: int) -> int:
        """The largest micro-batch in tokens that fits into `budget` bytes and whose activations are of use."""
        room = budget - self.held - self.states - self.head
        useful = room if self.comfort is None else min(room, self.comfort)
        return max(0, useful // self.activation // STEP * STEP)

    def peak(self, micro_batch_tokens: int, share_of_rows: float = 1.0) -> int:
        """Peak with this micro-batch when only a share of the configured rows is generated."""
        update = self.head + self.activation * micro_batch_tokens
        return self.held + self.states + max(round(self.generation * share_of_rows), update)


def estimate(
    model: Any, hyper: Hyperparameters, device: DeviceChoice, longest_prompt: int, held: int, recomputes: bool = False
) -> Need:
    """What a round of `hyper` needs with prompts of at most `longest_prompt` tokens, `held` bytes being in use."""
    config = model.config.get_text_config()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    size = torch.empty((), dtype=device.compute_dtype).element_size()
    casts = parameters * size if device.autocast_dtype is not None else 0  # autocast's copies of the weights
    states = trained * (FLOAT_BYTES + ADAM_BYTES) + (parameters * FLOAT_BYTES if hyper.beta > 0 else 0) + casts

    heads = config.num_attention_heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    vocabulary = config.vocab_size
    rows = hyper.num_questions * hyper.num_generations
    tokens = longest_prompt + hyper.max_completion_length
    cache = rows * tokens * config.num_hidden_layers * 2 * key_heads * dim * size
    layer = rows * tokens * 2 * key_heads * dim * size  # copied when finished rows are dropped
    generation = cache + layer + 4 * rows * vocabulary * FLOAT_BYTES

    # bytes that the forward pass keeps of a token in a layer
    if recomputes:  # its input and products, attention padded, and the holes between them: 2.1 MB a token on 0.5B
        floats = 3 * config.hidden_size + 3 * config.intermediate_size + dim * (3 * heads + 2 * key_heads)
        kept = FLOAT_BYTES * floats
    else:  # counted with saved_tensors_hooks on Qwen3
        kept = 32 * config.hidden_size + 16 * config.intermediate_size + 24 * dim * (heads + key_heads)
    activation = round(BACKWARD_FACTOR * config.num_hidden_layers * kept)
    positions = max(CHUNK_POSITIONS, CHUNK_ELEMENTS // vocabulary)
    head = 3 * positions * vocabulary * FLOAT_BYTES + 2 * vocabulary * config.hidden_size * FLOAT_BYTES
    if attention.unsupported_reason(model, tokens) is not None:  # padded rows with all their logits
        activation += 4 * vocabulary * FLOAT_BYTES
    return Need(held, states, head, generation, activation, COMFORT if device.device.type == "cpu" else None)


def limit_bytes(device: DeviceChoice, cgroup: Path = CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Memory this process may grow to: the GPU's, or the smaller of the cgroup's limit and what the host has left."""
    if device.memory_bytes is not None:
        return device.memory_bytes
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    host = int(lines["MemAvailable"].split()[0]) * 1024 + resident_bytes()
    return min([host, *filter(None, [cgroup_limit(cgroup)])])


def cgroup_oom_kills(root: Path = CGROUP) -> int:
    """How often the kernel killed a process of this cgroup for memory; 0 where that is not told."""
    for name in ("memory.events", "memory/memory.oom_control"):
        try:
            pairs = (line.split() for line in (root / name).read_text().splitlines())
            return int(dict(pairs).get("oom_kill", "0"))
        except (OSError, ValueError):
            continue
    return 0


def held_bytes(device: DeviceChoice) -> int:
    """What the process holds now on the device it computes on."""
    return torch.cuda.memory_allocated() if device.device.type == "cuda" else resident_bytes()


def release() -> None:
    """Give back what a failed attempt left behind: cycles, free pages, and the GPU allocator's cache."""
    gc.collect()
    heap.trim()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator gave up: torch's on a GPU or a CPU, or Python's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)

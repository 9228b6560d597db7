"""The process a contender lives in: commands come as JSON lines on stdin, answers go to the original stdout.

Runs in genrl's environment as well as in ours, so it needs torch and the standard library only. Each command's
process CPU time, wall time and peak memory are measured here, the same way for both.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Protocol

import torch

Messages = list[dict[str, str]]


class Contender(Protocol):
    """What both trainers can be asked to do. Lengths are per row, the G completions of a prompt adjacent."""

    def load(self, directory: str, precision: str) -> dict[str, Any]:
        """Load model and tokenizer; `precision` is float32 or bfloat16."""

    def generate(self, prompts: list[Messages], generations: int, lengths: list[int], passes: int) -> dict[str, Any]:
        """Sample `lengths[row]` tokens a row. `passes` < G asks genrl for a part of its G identical passes."""

    def train(self, prompts: list[Messages], texts: list[list[str]], rewards: list[list[float]]) -> dict[str, Any]:
        """One optimiser step on completions that come as text."""


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def reset_peak() -> None:
    """Start the peaks of host and GPU memory anew."""
    Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peaks() -> dict[str, int]:
    """Peak resident memory since `reset_peak`, and the peak of what the GPU's allocator held, in bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    resident = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    return {"peak": resident} | ({"gpu_peak": torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {})


def serve(contender: Contender, threads: int) -> None:
    """Answer commands until stdin ends; a command that fails answers with its error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    torch.set_num_threads(threads)
    for line in sys.stdin:
        command = json.loads(line)
        work = getattr(contender, command.pop("do"))
        reset_peak()
        synchronise()
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            answer = work(**command)
        except Exception as error:  # noqa: BLE001 - told to the driver, which ends with it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        synchronise()
        answer |= {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, **peaks()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

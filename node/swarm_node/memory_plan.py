"""Chooses micro-batch and groups so that a round fits into memory, and steps down when it did not.

A step halves the micro-batch down to what the longest row needs, then takes one group off. Steps are kept on disk with
the largest memory seen, because a process that the kernel kills can write nothing any more: a start that finds its
predecessor computing near the limit, or the cgroup's count of kills risen, takes a step. So does one that finds that
two processes vanished in the same work: memory may grow faster than it is looked at, and a container's count starts
anew with it. Works with `memory`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from swarm_core.errors import ConfigError
from swarm_core.files import read_json, write_json
from swarm_core.log import get_logger
from swarm_node import memory
from swarm_node.device import DeviceChoice
from swarm_node.memory import USABLE, Need
from swarm_node.round import Learner

LARGEST_MICRO_BATCH = 4096  # packed tokens; larger ones are no faster
NEAR_LIMIT = 0.85  # of the limit: a process that vanished there was killed for memory
LESS = 0.9  # of the limit that sizes were chosen for: below it they are chosen anew
VANISHED = 2  # processes in the same work: an operator's or the kernel's kills seldom meet there twice
WATCH_SECONDS = 0.2
PROBED_QUESTIONS = 16  # the longest prompt is taken from so many
log = get_logger("memory")


@dataclass(frozen=True)
class Kept:
    """What the next process must know."""

    config: str = ""
    micro_batch_tokens: int = 0
    groups: int = 0
    steps: int = 0  # taken down so far
    computing: bool = False
    largest: int = 0  # bytes seen while computing
    oom_kills: int = 0  # of the cgroup when the round began
    limit: int = 0  # bytes that sizes were chosen for
    vanished: int = 0  # processes that ended in this work without a word


class MemoryPlan:
    """Micro-batch and number of own groups for one model and configuration.

    `resident` and `oom_kills` are asked while watching. Raises ConfigError when not even the smallest round fits.
    """

    def __init__(
        self,
        path: Path,
        config: str,
        need: Need,
        limit: int,
        groups: int,
        longest_row: int,
        resident: Callable[[], int],
        oom_kills: Callable[[], int],
    ) -> None:
        self._path = path
        self._limit = limit
        self._longest_row = longest_row
        self._resident = resident
        self._oom_kills = oom_kills
        kept = self._read()
        same = kept.config == config
        if same and limit >= LESS * kept.limit:
            self._kept = kept  # not estimated anew: the same micro-batches give the same weights, bit for bit
        else:
            tokens, fits = fitting(need, limit, groups, longest_row)
            if same:
                tokens, fits = min(kept.micro_batch_tokens, tokens), min(kept.groups, fits)
            self._kept = replace(kept if same else Kept(config), micro_batch_tokens=tokens, groups=fits, limit=limit)
        vanished = self._kept.vanished + 1 if self._kept.computing else 0
        self._kept = replace(
            self._kept, groups=min(self._kept.groups, groups), computing=False, vanished=vanished % VANISHED
        )
        self._write()
        if same and (reason := self._killed(kept, vanished)):
            self.step_down(reason)

    @property
    def micro_batch_tokens(self) -> int:
        """Packed tokens forwarded at once."""
        return self._kept.micro_batch_tokens

    @property
    def groups(self) -> int:
        """Own questions of a round."""
        return self._kept.groups

    @property
    def steps(self) -> int:
        """Steps taken down since this configuration began."""
        return self._kept.steps

    @property
    def told(self) -> str:
        """One sentence for status and page; empty while nothing was taken away."""
        if not self.steps:
            return ""
        size = f"micro-batch of {self.micro_batch_tokens} tokens, {self.groups} groups a round"
        return f"memory ran out {self.steps}×: {size}"

    def step_down(self, reason: str) -> bool:
        """Take one step; False when there is none left."""
        if self.micro_batch_tokens > self._longest_row:
            smaller = max(self.micro_batch_tokens // 2, self._longest_row)
            self._kept = replace(self._kept, micro_batch_tokens=smaller, steps=self.steps + 1)
        elif self.groups > 1:
            self._kept = replace(self._kept, groups=self.groups - 1, steps=self.steps + 1)
        else:
            log.error("out of memory with the smallest round", reason=reason, tokens=self.micro_batch_tokens)
            return False
        self._write()
        log.warning(
            "out of memory, one step down",
            reason=reason,
            micro_batch_tokens=self.micro_batch_tokens,
            groups=self.groups,
        )
        return True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around everything that may exhaust memory. What is on disk meanwhile tells the next process."""
        self._kept = replace(self._kept, computing=True, largest=self._resident(), oom_kills=self._oom_kills())
        self._write()
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), name="memory", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            self._kept = replace(self._kept, computing=False, vanished=0)
            self._write()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(WATCH_SECONDS):
            seen = self._resident()
            if seen > 1.05 * self._kept.largest:  # few writes, and close enough
                self._kept = replace(self._kept, largest=seen)
                self._write()

    def _killed(self, kept: Kept, vanished: int) -> str:
        if not kept.computing:
            return ""
        if self._oom_kills() > kept.oom_kills:
            return "the kernel killed the last process for memory"
        if kept.largest >= NEAR_LIMIT * self._limit:
            return f"the last process was killed while it held {_gigabytes(kept.largest)}"
        if vanished >= VANISHED:
            return f"{vanished} processes in a row ended without a word in the same round"
        return ""

    def _read(self) -> Kept:
        try:
            data: Any = read_json(self._path)
            return Kept(**{name: data.get(name, default) for name, default in asdict(Kept()).items()})
        except (OSError, ValueError, AttributeError):
            return Kept()  # none yet, or damaged: the estimate decides anew

    def _write(self) -> None:
        try:
            write_json(self._path, asdict(self._kept))
        except OSError as error:  # a full disk is told by the checkpoints
            log.debug("memory plan not written", error=str(error))


def fitting(need: Need, limit: int, all_groups: int, longest_row: int) -> tuple[int, int]:
    """The largest micro-batch in tokens that fits, and as many groups. Raises ConfigError when not even one does."""
    budget = round(limit * USABLE)
    tokens, groups = max(min(LARGEST_MICRO_BATCH, need.micro_batch(budget)), longest_row), all_groups
    while groups > 1 and need.peak(tokens, groups / all_groups) > budget:
        groups -= 1
    peak = need.peak(tokens, groups / all_groups)
    if peak <= budget:
        log.info("memory", needed=_gigabytes(peak), limit=_gigabytes(limit), micro_batch_tokens=tokens, groups=groups)
        return tokens, groups
    raise ConfigError(
        f"A round of one group needs {_gigabytes(peak)} of memory, and {_gigabytes(budget)} of "
        f"{_gigabytes(limit)} can be used (loaded: {_gigabytes(need.held)}, gradients and optimiser: "
        f"{_gigabytes(need.states)}, "
        f"a micro-batch of {tokens} tokens: {_gigabytes(need.activation * tokens + need.head)}).",
        "raise SWARM_NODE_MEMORY, set SWARM_LORA_RANK=16, or choose a smaller SWARM_MODEL.",
    )


def make(path: Path, config: str, learner: Learner, device: DeviceChoice) -> MemoryPlan:
    """The plan for what `learner` does on this machine. Raises ConfigError, with the numbers, when it cannot fit."""
    hyper = learner.hyper
    questions = learner.tasks.sample("memory", "", 0, PROBED_QUESTIONS)
    longest_prompt = max(len(learner.prompts.encode(task.question)) for task in questions)
    trainer, held = learner.trainer, memory.held_bytes(device)
    need = memory.estimate(trainer.model, hyper, device, longest_prompt, held, trainer.recomputes)
    longest_row = longest_prompt + hyper.max_completion_length
    return MemoryPlan(
        path,
        config,
        need,
        memory.limit_bytes(device),
        hyper.num_questions,
        longest_row,
        functools.partial(memory.held_bytes, device),
        memory.cgroup_oom_kills,
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"

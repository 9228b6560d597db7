"""The curriculum: raises and lowers a dataset's level by the reward of our own completions.

Levels are configurations that the task set's file lists, and a question names its level (`gcd@2`), so peers at
different levels still recompute one another's questions. Works with `tasks`, which asks for the levels, and `round`,
which reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swarm_core.log import get_logger
from swarm_node.taskset_file import CurriculumSpec, DatasetSpec

log = get_logger("curriculum")


class Curriculum:
    """Levels of all datasets. Changes by `observe` only, so that a run resumed from `state` goes on alike."""

    def __init__(self, datasets: Sequence[DatasetSpec], spec: CurriculumSpec | None) -> None:
        self._top = {dataset.name: len(dataset.levels) for dataset in datasets}
        self._spec = spec
        self._levels = dict.fromkeys(self._top, 0)
        self._rewards: dict[str, list[float]] = {name: [] for name in self._top}

    def level(self, name: str) -> int:
        """The level that questions of a dataset are asked at now."""
        return self._levels[name]

    def observe(self, name: str, level: int, rewards: Sequence[float]) -> None:
        """Take in the rewards of one group of our own; those of another level than the present one tell nothing."""
        if self._spec is None or level != self._levels.get(name):
            return
        seen = [*self._rewards[name], *rewards][-self._spec.window :]
        self._rewards[name] = seen
        if len(seen) < self._spec.window:
            return
        mean = sum(seen) / len(seen)
        step = (mean >= self._spec.promote and level < self._top[name]) - (mean <= self._spec.demote and level > 0)
        if step:
            self._levels[name] = level + step
            self._rewards[name] = []
            log.info("level changed", dataset=name, level=level + step, was=level, reward=mean)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"levels": dict(self._levels), "rewards": {name: list(seen) for name, seen in self._rewards.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`. Raises ValueError or KeyError when it is not one of these datasets."""
        levels = {name: int(state["levels"][name]) for name in self._top}
        if any(not 0 <= level <= self._top[name] for name, level in levels.items()):
            raise ValueError("the curriculum's state has a level that the task set does not have")
        self._rewards = {name: [float(value) for value in state["rewards"][name]] for name in self._top}
        self._levels = levels

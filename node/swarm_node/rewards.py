"""Rewards: pure functions from (completion text, task) to a number in [0, 1]. The verifiers are `swarm_gym.scoring`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm_gym.scoring import score_texts

if TYPE_CHECKING:
    from swarm_node.tasks import Task


def score(text: str, task: Task) -> float:
    """Reward of one completion: 0 without an `<answer>`, else what the dataset's verifier says, within [0, 1]."""
    return score_group(task, [text])[0]


def score_group(task: Task, completions: Sequence[str]) -> list[float]:
    """Rewards of the completions of one question, in their order."""
    return score_texts(task.name, task.params, task.entry, completions)

"""Rewards: pure functions from (completion text, task) to a number in [0, 1]; the task's environment verifies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm_core.log import get_logger
from swarm_gym.scoring import find_answer

if TYPE_CHECKING:
    from swarm_node.tasks import Task

log = get_logger("rewards")


def score(text: str, task: Task) -> float:
    """Reward of one completion: 0 without an `<answer>`, else what the dataset's verifier says, within [0, 1]."""
    return score_group(task, [text])[0]


def score_group(task: Task, completions: Sequence[str]) -> list[float]:
    """Rewards of the completions of one question, in their order.

    With a format reward w: (1 - w) of the verifier's score, and w for an answer in the asked form.
    """
    try:
        scores = task.environment.score(task.dataset, task.params, task.entry, completions)
    except Exception as error:  # noqa: BLE001 - an environment of the operator's own; a text it trips over is wrong
        log.debug("scorer failed", dataset=task.dataset, error=repr(error))
        scores = [0.0] * len(completions)
    return rewards_of(task, completions, scores)


def rewards_of(task: Task, completions: Sequence[str], scores: Sequence[float]) -> list[float]:
    """The rewards that follow from a verifier's scores. Raises ValueError when there are not as many as texts."""
    if len(scores) != len(completions):
        raise ValueError(f"the scorer of {task.dataset} gave {len(scores)} scores for {len(completions)} texts")
    share = task.format_reward
    return [
        (1 - share) * _bounded(value) + share * has_format(text) if share else _bounded(value)
        for value, text in zip(scores, completions, strict=True)
    ]


def has_format(text: str) -> bool:
    """Whether the text ends with its only answer: one pair of tags, something between them, nothing behind."""
    return (
        text.count("<answer>") == text.count("</answer>") == 1
        and text.rstrip().endswith("</answer>")
        and bool(find_answer(text))
    )


def _bounded(value: float) -> float:
    return min(max(float(value), 0.0), 1.0) if math.isfinite(value) else 0.0

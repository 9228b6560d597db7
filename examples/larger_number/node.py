"""A node with questions of its own: which of two numbers is the larger?

    SWARM_TASKS=examples/larger_number/tasks.yaml python examples/larger_number/node.py

A whole environment in one class: it makes a question from a seed and scores texts. Everything else (the split into
training and held-out questions, exchange, recomputing what peers send, training) is the node's; see docs/tasks.md.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from swarm_gym.scoring import find_answer
from swarm_node.environment import Question
from swarm_node.main import main


class LargerNumber:
    """Two different numbers up to `params["highest"]`; the larger one is worth 1, the smaller one 0.1."""

    names = frozenset({"larger_number"})

    def make(self, name: str, seed: int, params: Mapping[str, Any]) -> Question:
        """The question of a seed: nothing but the arguments may decide it, for peers make it again."""
        highest = params.get("highest", 9)
        if not isinstance(highest, int) or not 1 <= highest <= 999 or not set(params) <= {"highest"}:
            raise ValueError("highest must be a whole number from 1 to 999, and nothing else is known")
        first, second = random.Random(seed).sample(range(highest + 1), 2)
        text = f"Which number is larger, {first} or {second}? Give only the number as your final answer."
        larger, smaller = str(max(first, second)), str(min(first, second))
        return Question(text, larger, {"larger": larger, "smaller": smaller})

    def score(
        self, name: str, params: Mapping[str, Any], entry: Mapping[str, Any], texts: Sequence[str]
    ) -> list[float]:
        """Compares text with text: what strangers write is never evaluated."""
        return [self._score(find_answer(text), entry) for text in texts]

    @staticmethod
    def _score(answer: str | None, entry: Mapping[str, Any]) -> float:
        if answer is None:
            return 0.0
        return {entry["larger"]: 1.0, entry["smaller"]: 0.1}.get(answer, 0.0)


if __name__ == "__main__":
    main(environments=[LargerNumber()])

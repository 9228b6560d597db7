"""A node for the memory test: every completion has another reward, so that every round of random weights trains.

Run inside the image by `tests/e2e/test_memory.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swarm_node.environment import Question
from swarm_node.main import main


class AllDifferent:
    """One question; a text is worth what its characters are."""

    names = frozenset({"all_different"})

    def make(self, name: str, seed: int, params: Mapping[str, Any]) -> Question:
        return Question(f"Say anything about {seed}.", "anything", {"seed": seed})

    def score(
        self, name: str, params: Mapping[str, Any], entry: Mapping[str, Any], texts: Sequence[str]
    ) -> list[float]:
        return [sum(map(ord, text)) % 101 / 100 for text in texts]


if __name__ == "__main__":
    main(environments=[AllDifferent()])

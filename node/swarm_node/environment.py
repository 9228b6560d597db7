"""What a source of questions is: the interface for environments of your own, and reasoning-gym behind it.

An environment makes a question from (name, seed, params), the same on every machine, and scores texts. That is all: the
split into training and held-out questions, the draw, the exchange with other peers and the recomputing of their
questions work on top of it. `examples/larger_number` is a whole one; docs/tasks.md tells how to start a node with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from swarm_gym.questions import make_entry
from swarm_gym.scoring import AUDITED_DATASETS, score_texts


@dataclass(frozen=True)
class Question:
    """One question. `answer` is "" where many answers are right; `entry` is whatever `score` needs of it."""

    question: str
    answer: str
    entry: Mapping[str, Any] = field(default_factory=dict)


class Environment(Protocol):
    """A source of questions and their scorer. Must hold no state: the same arguments give the same result."""

    @property
    def names(self) -> frozenset[str]:
        """Names of its datasets, as a task set's file and other peers call them; at most 64 characters, no `@`."""

    def make(self, name: str, seed: int, params: Mapping[str, Any]) -> Question:
        """The question of `seed`, which may be any integer below 2**32.

        Raises TypeError or ValueError for `params` that it does not understand.
        """

    def score(
        self, name: str, params: Mapping[str, Any], entry: Mapping[str, Any], texts: Sequence[str]
    ) -> list[float]:
        """Rewards within [0, 1] of whole completions, in their order.

        Strangers' texts come here: any length, any content. Never evaluate them, and bound the time spent on them.
        """


class ReasoningGym:
    """The audited datasets of reasoning-gym."""

    names = AUDITED_DATASETS

    def make(self, name: str, seed: int, params: Mapping[str, Any]) -> Question:
        """The entry of a dataset with that seed."""
        entry = make_entry(name, seed, params)
        return Question(entry["question"], entry["answer"] or "", entry)

    def score(
        self, name: str, params: Mapping[str, Any], entry: Mapping[str, Any], texts: Sequence[str]
    ) -> list[float]:
        """What the dataset's own verifier says of the text within the last `<answer>` tags."""
        return score_texts(name, params, entry, texts)


REASONING_GYM: Environment = ReasoningGym()

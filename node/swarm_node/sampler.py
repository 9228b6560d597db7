"""SAPO's sampling of external groups (arXiv 2509.08721, section 3): verify, re-score, drop zero advantage, draw J.

Pure functions over collected groups; the simulator calls the same ones. Works with `tasks` and `rewards`.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from swarm_core.records import RolloutGroup
from swarm_node.advantages import is_informative
from swarm_node.exchange import ExternalGroup
from swarm_node.tasks import Task

_REMEMBERED = 4096


class Questions(Protocol):
    """What `verify` needs of a task set."""

    def recompute(self, name: str, seed: int) -> Task | None:
        """Our own task for (name, seed), None when we do not use it."""


@dataclass(frozen=True)
class ScoredGroup:
    """An external group with our own task and our own rewards; log-probabilities as the sender claims them."""

    peer_id: str
    sha256: str
    task: Task
    completions: tuple[str, ...]
    rewards: tuple[float, ...]
    logprobs: tuple[tuple[float, ...], ...] | None = None
    tokenizer: str = ""

    @property
    def mean_reward(self) -> float:
        return sum(self.rewards) / len(self.rewards)


class SeenGroups:
    """Digests of groups already trained on, so that a slower peer's batch is used once; the oldest are forgotten."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._digests: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self._digests

    def add(self, digests: Collection[str]) -> None:
        """Remember `digests`."""
        for digest in digests:
            self._digests[digest] = None
        while len(self._digests) > self._limit:
            self._digests.popitem(last=False)

    def digests(self) -> list[str]:
        """What is remembered, oldest first; `add` of it makes another one the same."""
        return list(self._digests)


def verify(
    groups: Sequence[ExternalGroup],
    own_peer_id: str,
    seen: SeenGroups,
    tasks: Questions,
    score: Callable[[Task, Sequence[str]], list[float] | str],
    is_copy: Callable[[str, RolloutGroup], bool],
    blame: Callable[[str, str], None],
) -> tuple[list[ScoredGroup], dict[str, int]]:
    """Groups worth training on, and why the others were dropped (reason -> count); `blame` hears (peer, reason) too.

    `tasks` makes the question again from (task, seed); only our own task reaches `score`, which may answer a reason
    instead of rewards. Reasons: own, duplicate, unknown_task (we do not draw from that dataset, or hold the question
    out), wrong_task (its question or answer key is not what task and seed make), copied (of another peer),
    zero_advantage, and those of `score`.
    """
    kept: list[ScoredGroup] = []
    dropped: Counter[str] = Counter()
    batch: set[str] = set()
    for external in groups:
        digest = external.group.digest()
        if external.peer_id == own_peer_id:
            found: ScoredGroup | str = "own"
        elif digest in seen or digest in batch:
            found = "duplicate"
        else:
            batch.add(digest)
            found = _check(external, digest, tasks, score, is_copy)
        if isinstance(found, ScoredGroup):
            kept.append(found)
        else:
            dropped[found] += 1
            blame(external.peer_id, found)
    return kept, dict(dropped)


def _check(
    external: ExternalGroup,
    digest: str,
    tasks: Questions,
    score: Callable[[Task, Sequence[str]], list[float] | str],
    is_copy: Callable[[str, RolloutGroup], bool],
) -> ScoredGroup | str:
    """One group with our own rewards, or the reason why it is of no use."""
    group = external.group
    task = tasks.recompute(group.task, group.seed)
    if task is None:
        return "unknown_task"
    if (task.question, task.answer) != (group.question, group.answer):
        return "wrong_task"
    if is_copy(external.peer_id, group):
        return "copied"
    rewards = score(task, group.completions)
    if isinstance(rewards, str):
        return rewards
    if not is_informative(rewards):
        return "zero_advantage"
    return ScoredGroup(
        external.peer_id, digest, task, group.completions, tuple(rewards), group.logprobs, group.tokenizer
    )


def draw(groups: Sequence[ScoredGroup], count: int, rng: random.Random) -> list[ScoredGroup]:
    """`count` of `groups`, uniformly and without replacement; all of them, in random order, if there are fewer."""
    return rng.sample(groups, min(count, len(groups)))


def winner(own_peer_id: str, own_mean: float, used: Sequence[ScoredGroup], eligible: Collection[str]) -> str:
    """The peer with the highest mean re-scored reward among ourselves and the `eligible` peers whose groups were used.

    A tie goes to another peer before ourselves, then to the smaller id, so that every node decides alike.
    """
    sums: dict[str, list[float]] = {}
    for group in used:
        if group.peer_id in eligible:
            sums.setdefault(group.peer_id, []).append(group.mean_reward)
    means = {peer_id: sum(values) / len(values) for peer_id, values in sums.items()}
    best = max(means.values(), default=own_mean)
    if best < own_mean or not means:
        return own_peer_id
    return min(peer_id for peer_id, mean in means.items() if mean == best)

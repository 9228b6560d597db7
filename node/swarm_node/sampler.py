"""SAPO's sampling of external groups (arXiv 2509.08721, section 3): verify, re-score, drop zero advantage, draw J.

Pure functions over collected groups; the simulator calls the same ones. Works with `tasks` and `rewards`.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from swarm_node.advantages import is_informative
from swarm_node.exchange import ExternalGroup
from swarm_node.tasks import Task

_REMEMBERED = 4096


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
    make_task: Callable[[str, int, str, str], Task | None],
    score: Callable[[Task, Sequence[str]], list[float]],
) -> tuple[list[ScoredGroup], dict[str, int]]:
    """Groups worth training on, and why the others were dropped (reason -> count).

    `make_task(name, seed, question, answer)` is our own task or None when the claim differs from it; only our task
    reaches `score`. Reasons: own, duplicate, wrong_task, zero_advantage.
    """
    kept: list[ScoredGroup] = []
    dropped: Counter[str] = Counter()
    batch: set[str] = set()
    for external in groups:
        group, digest = external.group, external.group.digest()
        if external.peer_id == own_peer_id:
            dropped["own"] += 1
        elif digest in seen or digest in batch:
            dropped["duplicate"] += 1
        elif (task := make_task(group.task, group.seed, group.question, group.answer)) is None:
            dropped["wrong_task"] += 1
        else:
            batch.add(digest)
            rewards = tuple(score(task, group.completions))
            if is_informative(rewards):
                scored = ScoredGroup(
                    external.peer_id, digest, task, group.completions, rewards, group.logprobs, group.tokenizer
                )
                kept.append(scored)
            else:
                dropped["zero_advantage"] += 1
    return kept, dict(dropped)


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

"""Groups of strangers, before they may train us: their question made again, their text scored where it can be killed.

Works with `sampler.verify` (the rules), `tasks` (our own generator) and `swarm_gym.pool` (processes with limits of time
and memory). What a peer did wrong, and what it did well, is told to the daemon, which asks it less or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarm_core.errors import Unavailable
from swarm_core.log import get_logger
from swarm_core.records import RolloutGroup
from swarm_gym.pool import Question, ScorerPool
from swarm_node.environment import REASONING_GYM
from swarm_node.exchange import Exchange, ExternalGroup
from swarm_node.rewards import rewards_of, score_group
from swarm_node.sampler import Questions, ScoredGroup, SeenGroups, verify
from swarm_node.tasks import Task, owns

_REMEMBERED = 4096
_COPIED_SHARE = 0.5  # of the completions; questions are drawn by peer, so two peers hardly ever have the same one
_DIGEST_BYTES = 8
_SCORE_SECONDS = 30.0
# drops that say nothing about the peer
_INNOCENT = frozenset({"own", "duplicate", "unknown_task", "zero_advantage", "not_scored"})
log = get_logger("screening")

Verdict = tuple[str, str, int]  # peer, reason ("good" is praise), count
Scorer = Callable[[Task, Sequence[str]], list[float] | str]  # rewards, or the reason why there are none


@dataclass(frozen=True)
class _Origin:
    peer: str
    completions: bytes  # a digest of eight bytes each: the texts would be megabytes


class CopyFinder:
    """Remembers who showed which completions of a question first; the oldest are forgotten."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._origins: OrderedDict[tuple[str, int], _Origin] = OrderedDict()

    def is_copy(self, peer: str, group: RolloutGroup) -> bool:
        """Whether another peer showed most of these completions of this question before; remembers them if not."""
        key, completions = (group.task, group.seed), {_digest(text) for text in group.completions}
        origin = self._origins.get(key)
        if origin is None:
            self._origins[key] = _Origin(peer, b"".join(completions))
            while len(self._origins) > self._limit:
                self._origins.popitem(last=False)
            return False
        if origin.peer == peer:
            return False
        known = {origin.completions[at : at + _DIGEST_BYTES] for at in range(0, len(origin.completions), _DIGEST_BYTES)}
        return len(completions & known) >= _COPIED_SHARE * len(completions)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


class Screening:
    """One node's checks. Without a `pool` texts are scored in this process; without a `swarm` (its chain id) a peer may
    show questions that are not its own (both for tests of other parts)."""

    def __init__(
        self, tasks: Questions, exchange: Exchange | None = None, pool: ScorerPool | None = None, swarm: str = ""
    ) -> None:
        self._swarm = swarm
        self._tasks = tasks
        self._exchange = exchange
        self._pool = pool
        self.copies = CopyFinder()

    def note_own(self, peer_id: str, groups: Sequence[RolloutGroup]) -> None:
        """Our own groups, so that a copy of them is known for one."""
        for group in groups:
            self.copies.is_copy(peer_id, group)

    async def verify(
        self, groups: Sequence[ExternalGroup], own_peer_id: str, seen: SeenGroups
    ) -> tuple[list[ScoredGroup], dict[str, int]]:
        """Groups worth training on, and why the others were dropped (reason -> count); the daemon hears of both."""
        kept, dropped, verdicts = await asyncio.to_thread(self.judge, groups, own_peer_id, seen, self._scorer())
        if verdicts and self._exchange is not None:
            await self._exchange.report(verdicts)
        return kept, dropped

    def judge(
        self, groups: Sequence[ExternalGroup], own_peer_id: str, seen: SeenGroups, score: Scorer = score_group
    ) -> tuple[list[ScoredGroup], dict[str, int], list[Verdict]]:
        """(kept, dropped by reason, what the daemon should hear); the simulator calls this one."""
        faults: Counter[tuple[str, str]] = Counter()

        def blame(peer: str, reason: str) -> None:
            if reason not in _INNOCENT:
                faults[peer, reason] += 1

        owned = [external for external in groups if self._is_owned(external)]
        for external in groups:
            if not self._is_owned(external):
                blame(external.peer_id, "not_own")
        # the oldest first, so that an original is seen before its copy
        owned.sort(key=lambda external: -external.age)
        kept, dropped = verify(owned, own_peer_id, seen, self._tasks, score, self.copies.is_copy, blame)
        if len(owned) < len(groups):
            dropped["not_own"] = len(groups) - len(owned)
        verdicts = [(peer, reason, count) for (peer, reason), count in faults.items()]
        verdicts += [(peer, "good", count) for peer, count in Counter(group.peer_id for group in kept).items()]
        return kept, dropped, verdicts

    def _is_owned(self, external: ExternalGroup) -> bool:
        """Whether the question is one of the sender's own; genrl's peers draw theirs otherwise."""
        if not self._swarm or external.source == "genrl":
            return True
        return owns(self._swarm, external.peer_id, external.round, external.group.seed)

    def _scorer(self) -> Scorer:
        """A function for a thread beside the loop: rewards, or the reason why there are none."""
        pool, loop = self._pool, asyncio.get_running_loop()
        if pool is None:
            return score_group

        def score(task: Task, completions: Sequence[str]) -> list[float] | str:
            if task.environment is not REASONING_GYM:  # the operator's own code, which the pool does not have
                return score_group(task, completions)
            killed = pool.killed
            asking = pool.score(Question(task.dataset, task.seed, task.params), completions)
            try:
                scores = asyncio.run_coroutine_threadsafe(asking, loop).result(_SCORE_SECONDS)
            except (Unavailable, TimeoutError) as error:
                log.warning("a group was not scored", dataset=task.name, error=str(error) or type(error).__name__)
                return "not_scored"
            return "too_hard" if pool.killed > killed else rewards_of(task, completions, scores)

        return score

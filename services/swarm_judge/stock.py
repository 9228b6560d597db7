"""Questions made ahead of their being asked, per level, for the current round only.

Nothing is made before somebody asks; the more is asked the more is kept ready. Works with `salts` (which seeds) and the
scorer pool (which makes the text). A number is used once: after a restart numbers go on behind the last session's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from swarm_core.errors import Unavailable
from swarm_gym.pool import Question, ScorerPool
from swarm_judge.ladder import LEVELS
from swarm_judge.salts import candidates, salt_of
from swarm_judge.store import JudgeStore

_FIRST_BATCH = 2
_LARGEST_BATCH = 32


@dataclass(frozen=True)
class Ready:
    """A question that can be asked."""

    number: int
    question: Question
    text: str


class _Shelf:
    """Ready questions of one level."""

    def __init__(self, number: int) -> None:
        self.ready: deque[Ready] = deque()
        self.next_number = number
        self.batch = _FIRST_BATCH
        self.lock = asyncio.Lock()


class Stock:
    """`take(round, level)` gives a question that nobody was asked before."""

    def __init__(self, store: JudgeStore, pool: ScorerPool, master: bytes) -> None:
        self._store, self._pool, self._master = store, pool, master
        self._round = -1
        self._shelves: list[_Shelf] = []

    async def take(self, round_number: int, level: int) -> Ready:
        """Raises Unavailable when no question could be made."""
        if round_number != self._round:
            self._round = round_number
            self._shelves = [_Shelf(self._store.next_number(round_number, index)) for index in range(len(LEVELS))]
        shelf = self._shelves[level]
        async with shelf.lock:
            if not shelf.ready:
                await self._refill(shelf, round_number, level)
            return shelf.ready.popleft()

    async def _refill(self, shelf: _Shelf, round_number: int, level: int) -> None:
        salt = salt_of(self._master, round_number)
        for _ in range(3):
            numbers = range(shelf.next_number, shelf.next_number + shelf.batch)
            lists = [candidates(salt, level, number) for number in numbers]
            drawn = await self._pool.draw(lists)
            shelf.next_number += shelf.batch
            shelf.batch = min(shelf.batch * 2, _LARGEST_BATCH)
            for number, questions, found in zip(numbers, lists, drawn, strict=True):
                if found is not None:
                    shelf.ready.append(Ready(number, questions[found[0]], found[1]))
            if shelf.ready:
                return
        raise Unavailable("no held-out question was found")

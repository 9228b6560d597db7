"""Who may fetch how often: a token bucket per caller and a bound on fetches served at once.

Works with no clock of its own, so tests pass the time.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swarm_dht.peer_policy import PeerPolicy

_MAX_CALLERS = 4096
STRANGERS_RATE = 100.0  # fetches a second by all peers together that have not given us anything good yet
STRANGERS_BURST = 400.0


class TokenBuckets:
    """`burst` calls at once per caller, `rate` calls per second after that; the oldest callers are forgotten."""

    def __init__(self, rate: float = 4.0, burst: float = 16.0, max_callers: int = _MAX_CALLERS) -> None:
        self._rate = rate
        self._burst = burst
        self._max_callers = max_callers
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, caller: str, now: float) -> bool:
        """Take a token of `caller` at `now` (seconds, monotonic); False when it has none left."""
        level, at = self._levels.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        admitted = level >= 1.0
        self._levels[caller] = (level - 1.0 if admitted else level, now)
        if len(self._levels) > self._max_callers:
            self._levels.popitem(last=False)
        return admitted

    def __len__(self) -> int:
        return len(self._levels)


class Gate:
    """At most `width` fetches at once and `queue` waiting; the rest hear "busy"."""

    def __init__(
        self, buckets: TokenBuckets, width: int = 8, queue: int = 64, policy: PeerPolicy | None = None
    ) -> None:
        self._buckets = buckets
        # strangers share this one: a thousand new identities get no more than a few old ones
        self._strangers = TokenBuckets(STRANGERS_RATE, STRANGERS_BURST)
        self._policy = policy
        self._slots = asyncio.Semaphore(width)
        self._queue = queue
        self._waiting = 0
        self.refused: Counter[str] = Counter()

    @asynccontextmanager
    async def enter(self, caller: str, seconds: float) -> AsyncIterator[bool]:
        """Hold a slot for `caller`; yields False (and holds nothing) when it must come later."""
        if reason := self._refuses(caller, asyncio.get_running_loop().time()):
            self.refused[reason] += 1
            yield False
            return
        if self._waiting >= self._queue:
            self.refused["queue"] += 1
            yield False
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            self.refused["deadline"] += 1
            yield False
            return
        finally:
            self._waiting -= 1
        try:
            yield True
        finally:
            self._slots.release()

    def _refuses(self, caller: str, now: float) -> str:
        """Why `caller` is not even queued; "" when it is."""
        if self._policy is not None and not self._policy.allows(caller):
            return "denied"
        if not self._buckets.admit(caller, now):
            return "rate"
        if self._policy is not None and self._policy.reputation.is_proven(caller, self._policy.clock()):
            return ""
        return "" if self._strangers.admit("", now) else "strangers"

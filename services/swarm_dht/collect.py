"""Collect other peers' batches: random order, a few at once, a hedge for the slow, until enough groups are there.

Works with a `Transport` (the peers now known, and one fetch), so tests run it without a network. Peers' faults are
counted, never raised.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from swarm_core.errors import RecordError
from swarm_core.records import GroupBatch
from swarm_dht.counters import Counters
from swarm_dht.peer_policy import PeerPolicy
from swarm_dht.wire import BATCH, BUSY, NONE, FetchReply

MAX_PEERS = 32
_WIDTH = 4  # fetches at once, as long as nobody has told how much a batch holds
_MAX_WIDTH = 8
_SMOOTHING = 0.3
_HEDGE_SECONDS = 0.5
_PEER_SECONDS = 3.0
_FUTURE_SECONDS = 60.0  # how far a sender's clock may be ahead of ours


class FetchFailed(Exception):
    """A peer could not be asked; `reason` is a short word for a counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Transport(Protocol):
    """What `Collector` needs of the network."""

    def peers(self) -> list[str]:
        """Peers that can be asked now, in any order, without ourselves."""

    async def fetch(self, peer: str, seconds: float, wait: float = 0.0) -> bytes:
        """The raw answer of `peer`, which may wait `wait` seconds for news. Raises FetchFailed, or RecordError."""


@dataclass(frozen=True)
class CollectRequest:
    """Ask at most `max_peers` within `deadline` seconds until `want` groups are there, none older than `max_age`.

    `wait`: seconds that a peer with nothing new may hold its answer (long-poll).
    """

    want: int
    max_peers: int
    deadline: float
    max_age: float
    wait: float = 0.0


@dataclass
class Collected:
    """The batches, (peer id, age in seconds, bytes) each, and what happened on the way."""

    batches: list[tuple[str, float, bytes]] = field(default_factory=list)
    groups: int = 0
    asked: int = 0
    answered: int = 0
    none: int = 0
    failed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    genrl: set[str] = field(default_factory=set)  # peers whose batch came from a genrl key

    def counts(self) -> dict[str, object]:
        """The header's JSON."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "none": self.none,
            "failed": self.failed,
            "rejected": dict(self.rejected),
            "groups": self.groups,
        }


class Collector:
    """Runs collects over one transport and adds to the counters of the process."""

    def __init__(
        self, transport: Transport, counters: Counters, rng: random.Random, policy: PeerPolicy | None = None
    ) -> None:
        self._transport = transport
        self._policy = policy
        self._counters = counters
        self._rng = rng
        self._per_batch = 0.0  # groups in a batch, smoothed; 0: not known yet

    def _width(self, missing: int) -> int:
        """How many fetches are worth having under way for `missing` groups: no payload is fetched to be thrown away."""
        if not self._per_batch:
            return _WIDTH
        return max(1, min(_MAX_WIDTH, math.ceil(missing / self._per_batch)))

    async def collect(self, request: CollectRequest) -> Collected:
        """Ask random peers until `want` groups are there, peers are exhausted or the deadline ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + request.deadline
        result = Collected()
        self._counters.collects += 1
        waiting = self._order(min(request.max_peers, MAX_PEERS))
        pending: set[asyncio.Task[None]] = set()
        hedges = 0
        try:
            while (waiting or pending) and result.groups < request.want and (left := end - loop.time()) > 0:
                width = self._width(request.want - result.groups) + hedges
                while waiting and len(pending) < width:
                    asking = self._ask(waiting.pop(), min(left, _PEER_SECONDS), request, result)
                    pending.add(asyncio.create_task(asking))
                patience = min(left, _HEDGE_SECONDS) if waiting else left
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                hedges += not done  # nobody answered in time: ask one more beside them
                for task in done:
                    task.result()  # peers' faults are counted inside: what comes out here is ours
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        return result

    def _order(self, most: int) -> list[str]:
        """Whom to ask, the last one first: a random sample of the peers that the policy admits."""
        peers = self._transport.peers()
        if self._policy is not None:
            return self._policy.choose(peers, most, self._rng)
        return self._rng.sample(peers, min(most, len(peers)))

    async def _ask(self, peer: str, seconds: float, request: CollectRequest, result: Collected) -> None:
        result.asked += 1
        try:
            raw = await self._transport.fetch(peer, seconds, min(request.wait, seconds / 2))
        except FetchFailed as error:
            result.failed += 1
            self._count("failed")
            self._counters.failed[error.reason] += 1
            return
        except RecordError as error:  # a stream that claims to be too long
            self._reject(peer, error, result)
            return
        result.answered += 1
        try:
            reply = FetchReply.decode(raw)
            if reply.kind == BUSY:
                self._count("busy")
                return
            age, groups, data = self._check(reply, request.max_age)
        except RecordError as error:
            self._reject(peer, error, result)
            return
        if reply.kind == NONE or not groups:
            result.none += 1
            self._count("none")
            return
        self._count("batch")
        self._per_batch += (_SMOOTHING if self._per_batch else 1.0) * (groups - self._per_batch)
        result.groups += groups
        result.batches.append((peer, age, data))

    def _check(self, reply: FetchReply, max_age: float) -> tuple[float, int, bytes]:
        """(age in seconds, groups, batch) of a reply; the older of the two ages counts. Raises RecordError."""
        if reply.kind != BATCH:
            return 0.0, 0, b""
        data = reply.payload()
        batch = GroupBatch.decode(data)
        behind = time.time() - batch.published_at
        if behind < -_FUTURE_SECONDS:
            raise RecordError("from_future")
        age = max(reply.age, behind)
        if age > max_age:
            raise RecordError("stale")
        return age, len(batch.groups), data

    def _reject(self, peer: str, error: RecordError, result: Collected) -> None:
        if self._policy is not None:
            self._policy.blamed(peer, error.reason)
        result.rejected[error.reason] += 1
        self._count("rejected")
        self._counters.rejected[error.reason] += 1

    def _count(self, result: str) -> None:
        self._counters.fetches[result] += 1

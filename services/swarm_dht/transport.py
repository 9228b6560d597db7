"""The collector's network: fetches over the current generation, redone when that is lost, with a memory of failures."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from swarm_core.errors import RecordError
from swarm_dht.collect import FetchFailed
from swarm_dht.counters import Counters
from swarm_dht.generation import CALL_ERRORS, KNOCK_SECONDS, Generation
from swarm_dht.libp2p import P2PDaemonError, P2PHandlerError
from swarm_dht.membership import Membership
from swarm_dht.supervisor import Supervisor
from swarm_dht.traffic import STREAM, Traffic
from swarm_dht.wire import BATCH, NOTHING, SAME, VERSION, FetchReply, FetchRequest, is_large, mark_of

_LONGEST_COOL_DOWN = 30.0
_UNSUPPORTED_SECONDS = 600.0
_SURE_OF_UNSUPPORTED = 4  # failures in a row: a p2pd that has just started offers our protocol a moment later
_MAX_REMEMBERED = 1024
_RECENT_SECONDS = 60.0
_PATIENCE_SECONDS = 1.5  # a peer that answered lately is probably replacing its p2pd
_RETRY_SECONDS = 0.1
_SILENCE_SECONDS = 0.5
_MAX_KEPT_BYTES = 16 * 1024 * 1024


@dataclass
class _Memory:
    """How a peer behaved: not asked before `until`; `answered` is when it last did (monotonic seconds).

    `data` is the last batch it gave, so that an unchanged one need not travel again.
    """

    failures: int = 0
    until: float = 0.0
    answered: float | None = None
    data: bytes = b""
    mark: bytes = NOTHING


class SwarmTransport:
    """`Transport` over libp2p."""

    def __init__(self, supervisor: Supervisor, membership: Membership, counters: Counters, traffic: Traffic) -> None:
        self._traffic = traffic
        self._counters = counters
        self._supervisor = supervisor
        self._membership = membership
        self._peers: OrderedDict[str, _Memory] = OrderedDict()
        self._kept = 0  # bytes of batches

    def peers(self) -> list[str]:
        """Known peers that did not fail a moment ago."""
        now = time.monotonic()
        return [peer for peer in self._membership.peers() if peer not in self._peers or self._peers[peer].until <= now]

    async def fetch(self, peer: str, seconds: float, wait: float = 0.0) -> bytes:
        """The raw answer of `peer`, which may hold it for `wait` seconds until there is news. Raises FetchFailed."""
        memory = self._memory(peer)
        # only somebody who had groups lately is worth waiting for: a bootnode never has any
        request = FetchRequest(wait=wait if memory.data else 0.0, have=memory.mark)
        return self._known(memory, await self.fetch_for(peer, request, seconds))

    async def fetch_for(self, peer: str, request: FetchRequest, seconds: float) -> bytes:
        """The raw answer of `peer` to `request`. Raises FetchFailed."""
        end = time.monotonic() + seconds
        memory = self._memory(peer)
        lately = memory.answered is not None and time.monotonic() - memory.answered < _RECENT_SECONDS
        patience = _PATIENCE_SECONDS if lately else 0.0
        began = time.monotonic()
        try:
            answer = await self._supervisor.call(
                lambda generation: self._attempt(generation, peer, request, end, patience), seconds
            )
        except CALL_ERRORS as error:
            reason = _reason(error)
            memory.failures += 1
            pause = min(_LONGEST_COOL_DOWN, 2.0 ** min(memory.failures - 1, 5) - 1.0)  # 0, 1, 3, 7, ... seconds
            if reason != "unsupported":
                self._membership.suspect(peer)
            elif memory.failures >= _SURE_OF_UNSUPPORTED:
                pause = _UNSUPPORTED_SECONDS
            memory.until = time.monotonic() + pause
            raise FetchFailed(reason) from error
        memory.failures, memory.until, memory.answered = 0, 0.0, time.monotonic()
        self._membership.succeeded(peer)
        self._counters.bytes_received += len(answer)
        if not request.wait:
            self._traffic.fetched(time.monotonic() - began)
        return answer

    def _known(self, memory: _Memory, answer: bytes) -> bytes:
        """`answer`, or what it says that we have; keeps the newest batch of a peer as long as there is room."""
        try:
            reply = FetchReply.decode(answer)
            if reply.kind == SAME and memory.data:
                return FetchReply(BATCH, reply.age, memory.data).encode(VERSION)
            if reply.kind == BATCH:
                self._kept -= len(memory.data)
                memory.data, memory.mark = b"", NOTHING
                data = reply.payload()
                if self._kept + len(data) <= _MAX_KEPT_BYTES:
                    memory.data, memory.mark = data, mark_of(data)
                    self._kept += len(data)
        except RecordError:
            pass  # the collector decodes it again and counts what is wrong with it
        return answer

    async def _attempt(
        self, generation: Generation, peer: str, request: FetchRequest, end: float, patience: float
    ) -> bytes:
        patient_until = 0.0  # counts from the first failure: a call may have hung on a stopped p2pd for seconds
        while True:
            knocking = asyncio.create_task(_knock(generation, peer, request.wait + _SILENCE_SECONDS))
            try:
                answer = await generation.fetch(peer, max(0.01, end - time.monotonic()), request)
                if is_large(answer):
                    answer = await generation.fetch_stream(peer, max(0.01, end - time.monotonic()), request)
                    self._traffic.received[STREAM] += len(answer)
                return answer
            except P2PDaemonError:  # no connection: it is new, or we are
                now = time.monotonic()
                patient_until = patient_until or max(now + patience, generation.started + _PATIENCE_SECONDS)
                if now + _RETRY_SECONDS >= min(end, patient_until):
                    raise
            finally:
                knocking.cancel()
            await asyncio.sleep(_RETRY_SECONDS)
            await self._membership.reconnect(generation, peer)

    def _memory(self, peer: str) -> _Memory:
        memory = self._peers.setdefault(peer, _Memory())
        self._peers.move_to_end(peer)
        while len(self._peers) > _MAX_REMEMBERED:
            self._kept -= len(self._peers.popitem(last=False)[1].data)
        return memory


async def _knock(generation: Generation, peer: str, silence: float) -> None:
    """Beside a call that waits for longer than `silence` seconds."""
    await asyncio.sleep(silence)
    while True:
        await generation.knock(peer)
        await asyncio.sleep(KNOCK_SECONDS)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if "protocol" in str(error) and "not supported" in str(error):
        return "unsupported"
    return "handler" if isinstance(error, P2PHandlerError) else "unreachable"

"""The collector's network: fetches over the current generation, redone when that is lost, with a memory of failures."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from swarm_dht.collect import FetchFailed
from swarm_dht.generation import CALL_ERRORS, Generation
from swarm_dht.libp2p import P2PDaemonError, P2PHandlerError
from swarm_dht.membership import Membership
from swarm_dht.supervisor import Supervisor

_LONGEST_COOL_DOWN = 30.0
_UNSUPPORTED_SECONDS = 600.0
_MAX_REMEMBERED = 1024
_RECENT_SECONDS = 60.0
_PATIENCE_SECONDS = 1.5  # a peer that answered lately is probably replacing its p2pd
_RETRY_SECONDS = 0.1


@dataclass
class _Memory:
    """How a peer behaved: not asked before `until`; `answered` is when it last did (monotonic seconds)."""

    failures: int = 0
    until: float = 0.0
    answered: float | None = None


class SwarmTransport:
    """`Transport` over libp2p."""

    def __init__(self, supervisor: Supervisor, membership: Membership) -> None:
        self._supervisor = supervisor
        self._membership = membership
        self._peers: OrderedDict[str, _Memory] = OrderedDict()

    def peers(self) -> list[str]:
        """Known peers that did not fail a moment ago."""
        now = time.monotonic()
        return [peer for peer in self._membership.peers() if peer not in self._peers or self._peers[peer].until <= now]

    async def fetch(self, peer: str, seconds: float) -> bytes:
        """The raw answer of `peer`. Raises FetchFailed."""
        end = time.monotonic() + seconds
        memory = self._memory(peer)
        lately = memory.answered is not None and time.monotonic() - memory.answered < _RECENT_SECONDS
        patient_until = time.monotonic() + (_PATIENCE_SECONDS if lately else 0.0)

        async def attempt(generation: Generation) -> bytes:
            until = max(patient_until, generation.started + _PATIENCE_SECONDS)
            return await self._attempt(generation, peer, end, until)

        try:
            answer = await self._supervisor.call(attempt, seconds)
        except CALL_ERRORS as error:
            reason = _reason(error)
            if reason == "unsupported":
                memory.until = time.monotonic() + _UNSUPPORTED_SECONDS
            else:
                self._membership.suspect(peer)
                memory.failures += 1
                pause = 2.0 ** min(memory.failures - 1, 5) - 1.0  # 0, 1, 3, 7, ... seconds
                memory.until = time.monotonic() + min(_LONGEST_COOL_DOWN, pause)
            raise FetchFailed(reason) from error
        memory.failures, memory.until, memory.answered = 0, 0.0, time.monotonic()
        self._membership.succeeded(peer)
        return answer

    async def _attempt(self, generation: Generation, peer: str, end: float, patient_until: float) -> bytes:
        while True:
            try:
                return await generation.fetch(peer, max(0.01, end - time.monotonic()))
            except P2PDaemonError:  # no connection: it is new, or we are
                if time.monotonic() + _RETRY_SECONDS >= min(end, patient_until):
                    raise
            await asyncio.sleep(_RETRY_SECONDS)
            await self._membership.reconnect(generation, peer)

    def _memory(self, peer: str) -> _Memory:
        memory = self._peers.setdefault(peer, _Memory())
        self._peers.move_to_end(peer)
        while len(self._peers) > _MAX_REMEMBERED:
            self._peers.popitem(last=False)
        return memory


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if "protocol" in str(error) and "not supported" in str(error):
        return "unsupported"
    return "handler" if isinstance(error, P2PHandlerError) else "unreachable"

"""The collector's network: fetches over the current generation, redone when that is lost, with a memory of failures."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from swarm_dht.collect import FetchFailed
from swarm_dht.generation import CALL_ERRORS, Generation
from swarm_dht.libp2p import P2PDaemonError, P2PHandlerError
from swarm_dht.membership import Membership
from swarm_dht.supervisor import Supervisor

_COOL_DOWN_SECONDS = 10.0
_UNSUPPORTED_SECONDS = 600.0
_MAX_COOLING = 1024
_YOUNG_SECONDS = 5.0  # a p2pd this young may not have met everybody again
_RETRY_SECONDS = 0.1


class SwarmTransport:
    """`Transport` over libp2p."""

    def __init__(self, supervisor: Supervisor, membership: Membership) -> None:
        self._supervisor = supervisor
        self._membership = membership
        self._cooling: OrderedDict[str, float] = OrderedDict()

    def peers(self) -> list[str]:
        """Known peers that did not fail a moment ago."""
        now = time.monotonic()
        return [peer for peer in self._membership.peers() if self._cooling.get(peer, 0.0) <= now]

    async def fetch(self, peer: str, seconds: float) -> bytes:
        """The raw answer of `peer`. Raises FetchFailed."""
        end = time.monotonic() + seconds

        async def attempt(generation: Generation) -> bytes:
            return await self._attempt(generation, peer, end)

        try:
            answer = await self._supervisor.call(attempt, seconds)
        except CALL_ERRORS as error:
            reason = _reason(error)
            self._cool(peer, _UNSUPPORTED_SECONDS if reason == "unsupported" else _COOL_DOWN_SECONDS)
            if reason != "unsupported":
                self._membership.suspect(peer)
            raise FetchFailed(reason) from error
        self._membership.succeeded(peer)
        return answer

    async def _attempt(self, generation: Generation, peer: str, end: float) -> bytes:
        while True:
            try:
                return await generation.fetch(peer, max(0.01, end - time.monotonic()))
            except P2PDaemonError:  # no connection
                young = time.monotonic() - generation.started < _YOUNG_SECONDS
                if not young or time.monotonic() + _RETRY_SECONDS >= end:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)
                await self._dial(generation, peer)

    async def _dial(self, generation: Generation, peer: str) -> None:
        addresses = self._membership.addresses(peer)
        if addresses:
            try:
                await generation.dial(peer, addresses)
            except CALL_ERRORS:
                return  # the next fetch says why

    def _cool(self, peer: str, seconds: float) -> None:
        self._cooling[peer] = time.monotonic() + seconds
        self._cooling.move_to_end(peer)
        while len(self._cooling) > _MAX_COOLING:
            self._cooling.popitem(last=False)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if "protocol" in str(error) and "not supported" in str(error):
        return "unsupported"
    return "handler" if isinstance(error, P2PHandlerError) else "unreachable"

"""Tells the daemon which account the contract names for each peer it knows: it has no chain client, the worker has.

The daemon limits how many peers of one account it asks, and can be told to ask registered ones only.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from swarm_chain.client import ChainClient
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_node.exchange import Exchange
from swarm_node.rounds import CHAIN_TROUBLE

_TICK_SECONDS = 5.0
_UNKNOWN_AGAIN_SECONDS = 30.0  # a peer may register at any time
_KNOWN_AGAIN_SECONDS = 1800.0  # an owner never changes; the chain may be replaced
_AT_ONCE = 64
_REMEMBERED = 8192
log = get_logger("registrar")


class Registrar:
    """Asks the chain about new peers, a bounded number at a time, and about unregistered ones again."""

    def __init__(self, chain: ChainClient, exchange: Exchange) -> None:
        self._chain = chain
        self._exchange = exchange
        self._asked: OrderedDict[str, tuple[float, bool]] = OrderedDict()  # peer -> when, and was it registered
        self._instance = ""

    async def run(self, service: Service) -> None:
        """Until asked to stop."""
        while not await service.sleep(_TICK_SECONDS):
            await self.tick(time.monotonic())

    async def tick(self, now: float) -> int:
        """Ask once; how many peers the daemon learnt about."""
        status = await self._exchange.status()
        if status is None:
            return 0
        if status.instance != self._instance:  # a new daemon knows nothing
            self._instance = status.instance
            self._asked.clear()
        peers = [status.peer_id, *await self._exchange.peers()]
        due = [peer for peer in peers if peer and self._is_due(peer, now)][:_AT_ONCE]
        if not due:
            return 0
        try:
            owners = await self._chain.owners(due)
        except CHAIN_TROUBLE as error:
            log.debug("owners not read from the chain", error=str(error))
            return 0
        if not await self._exchange.tell_owners(dict(zip(due, owners, strict=True))):
            return 0
        for peer, owner in zip(due, owners, strict=True):
            self._asked[peer] = (now, owner is not None)
            self._asked.move_to_end(peer)
        while len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        return len(due)

    def _is_due(self, peer: str, now: float) -> bool:
        asked = self._asked.get(peer)
        return asked is None or now - asked[0] > (_KNOWN_AGAIN_SECONDS if asked[1] else _UNKNOWN_AGAIN_SECONDS)

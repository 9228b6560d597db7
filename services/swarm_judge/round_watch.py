"""The swarm's round as last read, and which peers the contract knows. Both survive an outage of the chain."""

from __future__ import annotations

import time
from collections import OrderedDict

from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, WrongChain, WrongContract
from swarm_core.errors import Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service

CHAIN_TROUBLE = (Unavailable, WrongChain, WrongContract, ContractError)
_POLL_SECONDS = 3.0
_KNOWN_PEERS = 50_000
_UNKNOWN_SECONDS = 5.0
_UNKNOWN_PEERS = 10_000
log = get_logger("chain")


class RoundWatch:
    """`current` is None until the chain was read once."""

    def __init__(self, chain: ChainClient) -> None:
        self._chain = chain
        self.current: int | None = None
        self.reachable = False

    async def look(self) -> None:
        """Read the round once; keep the old one when that fails."""
        try:
            self.current = (await self._chain.round_and_stage()).round
        except CHAIN_TROUBLE as error:
            if self.reachable or self.current is None:
                log.warning("the chain cannot be read", reason=str(error))
            self.reachable = False
        else:
            self.reachable = True

    async def run(self, service: Service) -> None:
        """Until asked to stop."""
        while True:
            await self.look()
            if await service.sleep(_POLL_SECONDS):
                return


class Registrations:
    """Whether a peer is registered. A yes is remembered for good, a no for some seconds."""

    def __init__(self, chain: ChainClient) -> None:
        self._chain = chain
        self._known: OrderedDict[str, None] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()

    async def knows(self, peer_id: str) -> bool:
        """Raises Unavailable when the chain must be asked and does not answer."""
        if peer_id in self._known:
            return True
        if self._unknown.get(peer_id, 0.0) > time.monotonic():
            return False
        try:
            (owner,) = await self._chain.owners([peer_id])
        except CHAIN_TROUBLE as error:
            raise Unavailable(f"the chain cannot tell whether {peer_id} is registered") from error
        if owner is None:
            self._unknown[peer_id] = time.monotonic() + _UNKNOWN_SECONDS
            _bound(self._unknown, _UNKNOWN_PEERS)
            return False
        self._known[peer_id] = None
        _bound(self._known, _KNOWN_PEERS)
        return True


def _bound(cache: OrderedDict[str, float] | OrderedDict[str, None], size: int) -> None:
    while len(cache) > size:
        cache.popitem(last=False)

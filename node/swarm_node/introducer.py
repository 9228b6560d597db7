"""Tells the daemon the bootnodes that the contract names: it has no chain client, the worker has no p2p.

Runs beside the worker from the first second, so that the daemon is in the swarm before the model is loaded.
"""

from __future__ import annotations

from swarm_chain.client import ChainClient
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_node.exchange import Exchange
from swarm_node.rounds import CHAIN_TROUBLE

_RETRY_SECONDS = 1.0
_AGAIN_SECONDS = 15.0
log = get_logger("bootnodes")


class Introducer:
    """Copies bootnodes from the chain to the daemon, again and again: both may be replaced."""

    def __init__(self, chain: ChainClient, exchange: Exchange) -> None:
        self._chain = chain
        self._exchange = exchange

    async def run(self, service: Service) -> None:
        """Until asked to stop; quick until it worked once, unhurried after that."""
        pause = _RETRY_SECONDS
        while not service.stop.is_set():
            if await self.introduce():
                pause = _AGAIN_SECONDS
            if await service.sleep(pause):
                return
            pause = min(pause * 1.5, _AGAIN_SECONDS)

    async def introduce(self) -> bool:
        """Read and offer once; False when the chain or the daemon did not answer, or nobody is named yet."""
        try:
            addresses = await self._chain.bootnodes()
        except CHAIN_TROUBLE as error:
            log.debug("bootnodes not read from the chain", error=str(error))
            return False
        return bool(addresses) and await self._exchange.offer_bootnodes(addresses)

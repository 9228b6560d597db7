"""What the chain says about own peers: rewards, wins, votes. Read when somebody asks, kept for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from swarm_chain.client import ChainClient
from swarm_core.errors import SwarmError

_FRESH_SECONDS = 4.0
_ASK_SECONDS = 1.5


@dataclass(frozen=True)
class PeerTotals:
    """Sums since the contract exists."""

    rewards: int
    wins: int
    votes: int


class ChainTotals:
    """Totals per peer; an RPC that does not answer in time makes them unknown, never old."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._totals: dict[str, PeerTotals] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def read(self, peers: Sequence[str]) -> dict[str, PeerTotals]:
        """peer -> totals; empty when the chain does not answer."""
        async with self._lock:
            fresh = time.monotonic() - self._read_at <= _FRESH_SECONDS and all(peer in self._totals for peer in peers)
            if peers and not fresh:
                try:
                    async with asyncio.timeout(_ASK_SECONDS):
                        self._totals = await self._ask(peers)
                except (SwarmError, TimeoutError):
                    self._totals = {}
                self._read_at = time.monotonic()
            return self._totals

    async def _ask(self, peers: Sequence[str]) -> dict[str, PeerTotals]:
        rewards = await self._client.total_rewards(peers)
        totals = {}
        for peer, reward in zip(peers, rewards, strict=True):
            wins, votes = await asyncio.gather(self._client.wins(peer), self._client.vote_count(peer))
            totals[peer] = PeerTotals(reward, wins, votes)
        return totals

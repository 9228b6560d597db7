"""The chain as the login service sees it: the coordinator, and bets and claims of a market that can tell of them.

Works with `swarm_chain`. Upstream's market has no view that shows a bet or a claim; ours has.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, NoDeployment, RpcRefused, WrongContract
from swarm_chain.market import MarketClient

T = TypeVar("T")


class NodeChain(ChainClient):
    """A ChainClient that also answers what the outbox asks about a market. Raises Unavailable."""

    async def bet_of(self, game: int, clue: int, peer_id: str) -> int | None:
        """The peer's bet after a clue of a game, zero for none; None where the market cannot tell."""
        return await _told(self._bet(game, clue, peer_id), 0)

    async def has_claimed(self, game: int, peer_id: str) -> bool | None:
        """Whether the peer was paid for a game; None where the market cannot tell."""
        return await _told(MarketClient(self).has_claimed(game, peer_id), False)

    async def _bet(self, game: int, clue: int, peer_id: str) -> int:
        bet = await MarketClient(self).bet_of(game, clue, peer_id)
        return bet.amount if bet is not None else 0


async def _told(answer: Awaitable[T], without_game: T) -> T | None:
    try:
        return await answer
    except ContractError as error:
        return without_game if error.name == "NoSuchGame" else None
    except (NoDeployment, RpcRefused, WrongContract):
        return None

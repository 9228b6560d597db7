"""Readings of the contract, taken in the background of a scrape and kept for a while.

One reading at a time: a scrape waits at most `WAIT_SECONDS` for it and otherwise takes the last one, while the
reading goes on, bounded by the client's own limits. Without scrapes the chain is not asked at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from swarm_chain.records import RoundInfo
from swarm_core.errors import SwarmError
from swarm_core.log import get_logger

WAIT_SECONDS = 1.0
KEEP_SECONDS = 120.0
READ_SECONDS = 15.0
log = get_logger("chain")


class Chain(Protocol):
    """The part of `swarm_chain.client.ChainClient` that is used here."""

    async def preflight(self) -> None: ...
    async def round_and_stage(self) -> RoundInfo: ...
    async def owners(self, peer_ids: Sequence[str]) -> list[str | None]: ...
    async def total_rewards(self, peer_ids: Sequence[str]) -> list[int]: ...
    async def wins(self, peer_id: str) -> int: ...
    async def vote_count(self, peer_id: str) -> int: ...


@dataclass(frozen=True)
class PeerReading:
    """One peer on the contract."""

    registered: bool
    rewards: int
    wins: int
    votes: int


@dataclass(frozen=True)
class Reading:
    """What the contract answered; `taken_at` in Unix seconds."""

    round: RoundInfo
    taken_at: float
    peers: dict[str, PeerReading] = field(default_factory=dict)


class ChainReader:
    """The newest reading and whether the last try succeeded."""

    def __init__(self, chain: Chain, min_age: float, wait: float = WAIT_SECONDS) -> None:
        self._chain = chain
        self._min_age = min_age
        self._wait = wait
        self._reading: Reading | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried_at = float("-inf")
        self._error: str | None = "not read yet"
        self._checked = False

    async def newest(self, peer_ids: Sequence[str]) -> tuple[Reading | None, bool]:
        """A reading not older than `KEEP_SECONDS`, if any, and whether the chain answered the newest finished try."""
        asked_all = self._reading is not None and set(peer_ids) <= self._reading.peers.keys()
        due = time.monotonic() - self._tried_at >= (self._min_age if asked_all or self._error else 1.0)
        if self._task is None and due:
            self._tried_at = time.monotonic()
            self._task = asyncio.create_task(self._take(list(peer_ids)))
        if (task := self._task) is not None:
            await asyncio.wait({task}, timeout=self._wait)
            if task.done():
                task.result()  # what nobody expected is the collector's failure
        if self._reading is not None and time.time() - self._reading.taken_at > KEEP_SECONDS:
            self._reading = None
        return self._reading, self._error is None

    async def close(self) -> None:
        """Give up a reading under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _take(self, peer_ids: list[str]) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                self._reading = await self._ask(peer_ids)
        except (SwarmError, TimeoutError) as error:
            reason = str(error) or f"no answer in {READ_SECONDS:g} s"
            if self._error != reason:
                log.warning("chain cannot be read", reason=reason)
            self._error = reason
            self._checked = False  # the chain or the deployment may be another one when it comes back
        else:
            if self._error is not None:
                log.info("chain is read", round=self._reading.round.round, block=self._reading.round.block)
            self._error = None
        finally:
            self._task = None

    async def _ask(self, peer_ids: list[str]) -> Reading:
        if not self._checked:
            await self._chain.preflight()
            self._checked = True
        info = await self._chain.round_and_stage()
        if not peer_ids:
            return Reading(info, time.time())
        owners, rewards = await self._chain.owners(peer_ids), await self._chain.total_rewards(peer_ids)
        wins = await asyncio.gather(*(self._chain.wins(peer) for peer in peer_ids))
        votes = await asyncio.gather(*(self._chain.vote_count(peer) for peer in peer_ids))
        peers = {
            peer: PeerReading(owner is not None, reward, won, voted)
            for peer, owner, reward, won, voted in zip(peer_ids, owners, rewards, wins, votes, strict=True)
        }
        return Reading(info, time.time(), peers)

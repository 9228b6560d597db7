"""When the next round begins: the contract's round while the chain answers, the node's own clock while it does not.

Training never waits for a dead RPC: rounds then have no chain number and follow each other at the last pace seen.
Works with `swarm_chain.client` (reads only) and the `ledger`, which must know when it is on another chain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, WrongChain, WrongContract
from swarm_core.errors import FatalError, Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_node.ledger import Ledger

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.5, 5.0, 1.5
_DEFAULT_PACE, _SLOWEST_PACE = 10.0, 60.0
# what reading the contract may raise while a node runs; none of it stops training
CHAIN_TROUBLE = (Unavailable, ContractError, WrongChain, WrongContract)
log = get_logger("rounds")


@dataclass(frozen=True)
class ChainRound:
    """A round of the contract."""

    round: int
    stage: int


class RoundClock:
    """Says when to begin a round. `current` is the contract's round when last read, None while it cannot be read."""

    def __init__(self, chain: ChainClient, ledger: Ledger, service: Service) -> None:
        self._chain = chain
        self._ledger = ledger
        self._service = service
        self._done: int | None = None
        self._pace = _DEFAULT_PACE
        self._began = 0.0
        self._genesis = ""
        self.current: int | None = None
        self.reachable = False

    async def check(self) -> None:
        """Before any training: the chain, when it answers, must be the right one. Raises FatalError if it is not."""
        try:
            await self._chain.preflight()
            await self._follow()
        except Unavailable as error:
            log.warning("chain not reachable, training starts all the same", error=str(error))
        except (WrongChain, WrongContract) as error:
            raise FatalError(str(error)) from error

    async def next(self) -> ChainRound | None:
        """Wait for the next round and return it; None means a round of our own clock, or that we are stopping."""
        pause, waiting_since = _FIRST_PAUSE, time.monotonic()
        while not self._service.stop.is_set():
            now = await self._read()
            if now is None:
                left = self._began + self._pace - time.monotonic()
                if left <= 0 or await self._service.sleep(min(left, pause)):
                    self._began = time.monotonic()
                    return None
            elif now.round != self._done:
                self._measure_pace(waiting_since)
                self._done = now.round
                self._began = time.monotonic()
                return now
            elif await self._service.sleep(pause):
                return None
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
        return None

    @property
    def behind(self) -> int:
        """Rounds between the one we last began and the contract's."""
        return max(0, self.current - self._done) if self.current is not None and self._done is not None else 0

    async def refresh(self) -> None:
        """Read the contract's round once more, so that a report is not made for a round that is long gone."""
        await self._read()

    def _measure_pace(self, waiting_since: float) -> None:
        # only a round that we waited for tells how far apart rounds are
        if self._done is not None and time.monotonic() - waiting_since > _FIRST_PAUSE:
            self._pace = min(max(time.monotonic() - self._began, 1.0), _SLOWEST_PACE)

    async def _read(self) -> ChainRound | None:
        try:
            now = await self._chain.round_and_stage()
            if not self.reachable or (self.current is not None and now.round < self.current):
                await self._follow()
        except CHAIN_TROUBLE as error:
            if self.reachable:
                log.warning("chain not reachable, training goes on by our own clock", error=str(error))
            self.reachable, self.current = False, None
            return None
        if not self.reachable:
            log.info("following the chain", round=now.round)
        self.reachable, self.current = True, now.round
        return ChainRound(now.round, now.stage)

    async def _follow(self) -> None:
        genesis = await self._chain.block_hash(0)
        key = f"{self._chain.chain_id}:{genesis}:{self._chain.coordinator}"
        if self._genesis and genesis != self._genesis:
            log.warning("the chain was reset, rounds start over", genesis=genesis)
            self._done = None
        self._genesis = genesis or ""
        self._ledger.follow(key)

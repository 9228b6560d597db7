"""Advances the round of the coordinator on a steady schedule.

Works with `wallet` (the stage manager's key). After an outage it advances once and goes on from then: rounds that
were missed are not made up for.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from swarm_chain import calls
from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, WrongChain, WrongContract
from swarm_chain.wallet import Wallet
from swarm_core.errors import FatalError, Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0


@dataclass
class RoundState:
    """What the keeper tells about itself. Times are Unix seconds."""

    state: str = "starting"
    reason: str = ""
    round: int | None = None
    advanced: int = 0
    failures: int = 0
    last_success: float | None = None


class RoundKeeper:
    """One call of `updateStageAndRound` every `seconds`."""

    def __init__(self, client: ChainClient, wallet: Wallet, seconds: float) -> None:
        self._client = client
        self._wallet = wallet
        self._seconds = seconds
        self._checked = False
        self._log = get_logger("rounds")
        self.state = RoundState()

    async def run(self, service: Service) -> None:
        """Until the service stops. Raises FatalError when the key may not advance rounds."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not await service.sleep(max(0.0, due - loop.time())):
            await self._advance_with_patience(service)
            due += self._seconds
            if due <= loop.time():
                due = loop.time() + self._seconds

    async def _advance_with_patience(self, service: Service) -> None:
        pause = _FIRST_PAUSE
        before: int | None = None
        while True:
            try:
                now = await self._round()
                if before is None:
                    before = now
                if now > before:
                    self._succeeded(now)  # an attempt that seemed to fail was mined after all
                else:
                    await self._wallet.send(calls.update_stage_and_round())
                    self._succeeded(now + 1)
            except (Unavailable, WrongChain, WrongContract) as error:
                self._failed(error)
            except ContractError as error:
                if error.name == "OnlyStageManager":
                    raise FatalError(
                        f"{self._wallet.address} is not a stage manager of the coordinator.",
                        "start swarm-deploy again with the same role keys",
                    ) from error
                self._failed(error)
            else:
                return
            if await service.sleep(pause):
                return
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _round(self) -> int:
        if not self._checked:
            await self._client.preflight()
            self._checked = True
        return (await self._client.round_and_stage()).round

    def _succeeded(self, round_number: int) -> None:
        state = self.state
        if state.state != "advancing":
            self._log.info("advancing rounds", round=round_number, every_seconds=self._seconds)
        state.state, state.reason = "advancing", ""
        state.round = round_number
        state.advanced += 1
        state.last_success = time.time()

    def _failed(self, error: Exception) -> None:
        """Count it; say it when it is new. The chain may have been reset meanwhile, so look at it again first."""
        self._checked = False
        self.state.failures += 1
        kind = "unavailable" if isinstance(error, Unavailable) else type(error).__name__
        if self.state.state != kind:
            self._log.warning("rounds do not advance", reason=str(error))
        self.state.state, self.state.reason = kind, str(error)

"""Hands rewards and votes to the login service, which alone signs and sends.

The ledger keeps a report until the login service has it on disk; then the outbox is responsible. Works with the
worker API of ARCHITECTURE.md 4.3.
"""

from __future__ import annotations

import time
from pathlib import Path

from swarm_core.errors import Refused, SwarmError
from swarm_core.log import get_logger
from swarm_node.ledger import Ledger, Report
from swarm_node.login_client import LoginClient

_MOST_AT_ONCE = 50
_NEVER_TAKEN = frozenset({400, 409, 422})  # the report itself is wrong; 401, 403 and 404 can heal
log = get_logger("report")


class Reporter:
    """Delivers the ledger's reports. `reachable` says whether the login service answered last time."""

    def __init__(self, url: str, token_file: Path, ledger: Ledger, every_seconds: int) -> None:
        self._login = LoginClient(url, token_file)
        self._ledger = ledger
        self._every = every_seconds
        self._last = 0.0
        self.reachable = False

    def due(self) -> bool:
        """Whether it is time to make a new report."""
        return time.monotonic() - self._last >= self._every or self._last == 0.0

    def make(self, chain_round: int, stage: int, winners: list[str], peer_id: str) -> None:
        """Put the pending reward and the vote into the ledger as the report of `chain_round`."""
        if self._ledger.report(chain_round, stage, winners, peer_id) is not None:
            self._last = time.monotonic()

    async def deliver(self) -> None:
        """Hand over waiting reports, oldest first, until one cannot be."""
        for report in self._ledger.outgoing()[:_MOST_AT_ONCE]:
            try:
                await self._hand_over(report)
            except Refused as error:
                self._changed(error)
                if error.status not in _NEVER_TAKEN:
                    return
                log.warning("report refused", round=report.round, error=str(error))
                self._ledger.refused(report)
                continue
            except SwarmError as error:
                self._changed(error)
                return
            self._ledger.accepted(report)
            self._changed(None)

    async def _hand_over(self, report: Report) -> None:
        if report.reward is not None:
            body = {
                "roundNumber": report.round,
                "stageNumber": report.stage,
                "reward": report.reward,
                "peerId": report.peer_id,
            }
            await self._login.post("submit-reward", body)
        if report.winners:
            vote = {"roundNumber": report.round, "winners": report.winners, "peerId": report.peer_id}
            try:
                await self._login.post("submit-winner", vote)
            except Refused as error:
                if error.status not in _NEVER_TAKEN:
                    raise
                log.warning(
                    "vote refused", round=report.round, error=str(error)
                )  # the reward is in: only the vote is lost

    def _changed(self, error: SwarmError | None) -> None:
        if (error is None) != self.reachable:
            if error is None:
                log.info("login service takes rewards")
            else:
                log.warning("rewards wait, the login service does not take them", error=str(error))
        self.reachable = error is None

    async def close(self) -> None:
        """Close the connection pool."""
        await self._login.close()

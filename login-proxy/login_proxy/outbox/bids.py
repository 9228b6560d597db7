"""Fees of transactions that wait too long: a higher offer with the same nonce, never above the cap.

Works with `flight` and the rules in `fees`. Offers of one nonce exclude each other on chain, so a bet may be offered
again as well. The new bytes are on disk before they go out; the receipts of all offers are looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from login_proxy.outbox.fees import GWEI, raised, within
from login_proxy.outbox.intents import Attempt, Intent
from login_proxy.outbox.ports import Submitter
from login_proxy.outbox.store import OutboxStore
from swarm_chain.errors import RpcRefused
from swarm_chain.records import Fees
from swarm_core.errors import Unavailable
from swarm_core.log import get_logger

log = get_logger("outbox")

PATIENCE_SECONDS = 30.0  # without a receipt for so long, more is offered
_AT_ONCE = 8  # the next ones in the line; those behind wait for them anyway
_TRANSFER_GAS = 21_000


class Bids:
    """Offers of one account. `clock` gives monotonic seconds, `cap` is in wei per gas."""

    def __init__(self, store: OutboxStore, submitter: Submitter, clock: Callable[[], float], cap: int) -> None:
        self._store = store
        self._submitter = submitter
        self._clock = clock
        self._cap = cap
        self._offered_at: dict[int, float] = {}
        self._underpriced: set[int] = set()
        self.trouble = ""

    def sent(self, intent: int) -> None:
        """The intent's newest transaction went out."""
        self._offered_at.setdefault(intent, self._clock())

    def underpriced(self, intent: int) -> None:
        """A node refused the offer as too low: more is offered without waiting."""
        self._underpriced.add(intent)

    def forget(self, intent: int) -> None:
        """The intent is no longer in flight."""
        self._offered_at.pop(intent, None)
        self._underpriced.discard(intent)

    async def improve(self, again: Sequence[Intent], lost: list[Unavailable]) -> list[tuple[int, Attempt]]:
        """What goes out for intents without a receipt: a higher offer where one is due, else the same bytes."""
        out = {intent.id: intent.attempts[-1] for intent in again}
        due = [intent for intent in again[:_AT_ONCE] if self._is_due(intent)]
        self.trouble = ""
        if due:
            try:
                market = await self._submitter.fees()
            except Unavailable as error:
                lost.append(error)
                return list(out.items())
            for intent in due:
                last = intent.attempts[-1]
                offer = raised(last.fees, market, self._cap)
                if offer is not None:
                    out[intent.id] = await self._offer(intent, last, offer)
                elif market.max_fee > self._cap:
                    self.trouble = (
                        f"gas costs {market.max_fee / GWEI:g} Gwei, SWARM_MAX_FEE_GWEI allows {self._cap / GWEI:g}"
                    )
        return list(out.items())

    async def fill(self, nonce: int, chain_id: int) -> None:
        """Use up a number that nothing else will use: nothing is sent to ourselves. Raises Unavailable."""
        fees = within(await self._submitter.fees(), self._cap)
        me = self._submitter.address
        _, raw = await asyncio.to_thread(
            self._submitter.sign, to=me, data=b"", nonce=nonce, gas=_TRANSFER_GAS, fees=fees, chain_id=chain_id
        )
        try:
            await self._submitter.send(raw)
        except RpcRefused as error:  # most likely known already
            log.info("gap not filled", nonce=nonce, error=str(error))
            return
        log.info("gap filled", nonce=nonce)

    def _is_due(self, intent: Intent) -> bool:
        last = intent.attempts[-1]
        if last.gas <= 0:  # signed by a version that kept no fees
            return False
        waited = self._clock() - self._offered_at.get(intent.id, self._clock())
        return waited >= PATIENCE_SECONDS or intent.id in self._underpriced

    async def _offer(self, intent: Intent, last: Attempt, fees: Fees) -> Attempt:
        target = self._store.target
        tx_hash, raw = await asyncio.to_thread(
            self._submitter.sign, to=intent.request.address(target), data=intent.request.call_data(), nonce=last.nonce,
            gas=last.gas, fees=fees, chain_id=target.chain_id,
        )  # fmt: skip
        attempt = Attempt(tx_hash, last.nonce, raw, self._submitter.address, gas=last.gas, fees=fees)
        self._store.offer_more(intent.id, attempt)
        self.forget(intent.id)
        log.info("more gas offered", nonce=last.nonce, gwei=fees.max_fee / GWEI)
        return attempt

"""What is in flight: signed transactions whose fate is open.

Works with `store`, the chain and `nonces`; `delivery` puts transactions in. After any doubt receipts are looked up, for
every transaction of an intent; then the same bytes go out again. Only when the nonce is taken and no transaction of
the intent was mined, the intent goes back to the line to be signed anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from login_proxy.outbox import decide, nonces
from login_proxy.outbox.asking import ask_all
from login_proxy.outbox.intents import Attempt, Intent, Kind
from login_proxy.outbox.ports import Chain
from login_proxy.outbox.reconcile import ChainWatch
from login_proxy.outbox.store import OutboxStore
from swarm_chain.errors import ContractError, RpcRefused
from swarm_chain.records import Receipt
from swarm_core.errors import Unavailable
from swarm_core.log import get_logger

log = get_logger("outbox")

RESEND_SECONDS = 8.0  # without a receipt for so long, the same bytes go out again
NONCE_GRACE_SECONDS = 2.0  # how long a receipt may lag behind "nonce too low"
STUCK_SECONDS = 6.0  # how long a gap in front of our nonces must last before we fill it
MAX_REVERTS = 5  # mined without effect so often although the node foretold success: given up
_SEND_FAILURES = 3  # lost sends after which the rest of a pass waits


class Gate(Protocol):
    """Which peers may be sent for, kept by the registrar."""

    bound: set[str]
    registered: set[str]

    def doubt(self, peer_id: str) -> None:
        """The chain contradicts what we believe about the peer's registration."""


@dataclass
class Pass:
    """What one pass did: whether something moved, and the calls that were lost."""

    moved: bool = False
    lost: list[Unavailable] = field(default_factory=list)


class Flight:
    """Transactions of one account. `clock` gives monotonic seconds.

    The times below are known since this process started only; losing them costs a look, nothing else.
    """

    def __init__(
        self, store: OutboxStore, chain: Chain, account: str, gate: Gate, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._chain = chain
        self._account = account
        self._gate = gate
        self._clock = clock
        self._watch = ChainWatch(store, chain)
        self._last_sent: dict[int, float] = {}
        self._taken_since: dict[int, float] = {}
        self._stuck_since: float | None = None
        self.last_error = ""

    async def went_back(self) -> bool:
        """Whether the chain lost a block that we remember."""
        return await self._watch.went_back()

    async def look_back(self) -> None:
        """Put back in the line what the chain lost."""
        for intent in await self._watch.look_back(self._account):
            self._forget(intent.id)
            if intent.request.kind is Kind.REGISTER:
                self._gate.doubt(intent.request.peer_id)

    async def settle(self, done: Pass) -> None:
        """Look for receipts; mark what was mined; send again what got none."""
        sent = self._store.sent()
        receipts = await ask_all([partial(self._receipt_of, intent) for intent in sent])
        mined: list[tuple[Intent, Receipt]] = []
        waiting: list[Intent] = []
        for intent, receipt in zip(sent, receipts, strict=True):
            if isinstance(receipt, Unavailable):
                done.lost.append(receipt)
            elif receipt is None:
                waiting.append(intent)
            else:
                mined.append((intent, receipt))
        if mined:
            self._deliver(mined)
            done.moved = True
        await self._settle_waiting(waiting, done)

    async def send(self, signed: list[tuple[int, Attempt]], done: Pass) -> None:
        """Hand bytes that are on disk to the chain, in this order. What is not handed over stays in doubt."""
        for intent, attempt in signed:
            try:
                await self._send(intent, attempt)
            except Unavailable as error:
                done.lost.append(error)
                if len(done.lost) >= _SEND_FAILURES:
                    return

    async def unstick(self, done: Pass) -> None:
        """Fill a gap that lasts and that nothing new will fill: the intent at the end of the line moves into it."""
        held = self.held()
        if not held or not nonces.is_stuck(await self._chain.nonce(self._account), held.keys()):
            self._stuck_since = None
            return
        if self._stuck_since is None:
            self._stuck_since = self._clock()
        if self._clock() - self._stuck_since >= STUCK_SECONDS:
            self._stuck_since = None
            self._back_to_line(held[max(held)], "moved into a gap", done)

    def held(self) -> dict[int, Intent]:
        """nonce -> the intent in flight that holds it."""
        by_nonce = ((intent.nonce(self._account), intent) for intent in self._store.sent())
        return {nonce: intent for nonce, intent in by_nonce if nonce is not None}

    def shown(self, intent: Intent, block: int, block_hash: str) -> None:
        """The contract shows the intent's effect, in a block not newer than this one."""
        self._store.deliver([(intent.id, None, block)], self._watch.newest(block, block_hash))
        self._after_delivery(intent)

    def _deliver(self, mined: list[tuple[Intent, Receipt]]) -> None:
        newest = max((receipt for _, receipt in mined), key=lambda receipt: receipt.block)
        rows = [(intent.id, receipt.hash, receipt.block) for intent, receipt in mined]
        self._store.deliver(rows, self._watch.newest(newest.block, newest.block_hash))
        for intent, _ in mined:
            self._after_delivery(intent)

    def _after_delivery(self, intent: Intent) -> None:
        self._forget(intent.id)
        if intent.request.kind is Kind.REGISTER:
            self._gate.registered.add(intent.request.peer_id)

    async def _receipt_of(self, intent: Intent) -> Receipt | None:
        """The receipt of the transaction that had effect, newest first; notes on the way which ones reverted."""
        for attempt in reversed(intent.attempts):
            if attempt.reverted:
                continue
            receipt = await self._chain.receipt(attempt.hash)
            if receipt is not None and receipt.ok:
                return receipt
            if receipt is not None:
                self._store.mark_reverted(intent.id, attempt.hash)
        return None

    async def _settle_waiting(self, waiting: list[Intent], done: Pass) -> None:
        now = self._clock()
        again: list[tuple[int, int, Attempt]] = []
        for known in waiting:
            intent = self._store.get(known.key) or known  # read again: an attempt may be marked as reverted now
            last = intent.last_attempt
            taken = self._taken_since.get(intent.id)
            if last is None or last.account != self._account:
                self._back_to_line(intent, "signed by another account", done)
            elif last.reverted and sum(attempt.reverted for attempt in intent.attempts) >= MAX_REVERTS:
                self._store.reject(intent.id, "reverted")
                self._forget(intent.id)
                self.last_error = f"{intent.request.kind.value} of round {intent.request.round} reverted every time"
            elif last.reverted:
                self._back_to_line(intent, "reverted", done)
            elif taken is not None and now - taken >= NONCE_GRACE_SECONDS:
                self._back_to_line(intent, "nonce taken by another transaction", done)
            elif now - self._last_sent.get(intent.id, float("-inf")) >= RESEND_SECONDS:
                again.append((last.nonce, intent.id, last))
        await self.send([(intent_id, last) for _, intent_id, last in sorted(again, key=lambda entry: entry[0])], done)

    async def _send(self, intent: int, attempt: Attempt) -> None:
        try:
            await self._chain.send_raw(attempt.raw)
        except RpcRefused as error:
            result = decide.on_refusal(error.reason)
            if result == "nonce_taken":
                self._taken_since.setdefault(intent, self._clock())
            elif result == "wait":
                self.last_error = str(error)
                log.warning("transaction not taken", reason=error.reason, nonce=attempt.nonce, error=str(error))
        except ContractError as error:  # some nodes run the call before they take it; receipts will tell
            self.last_error = str(error)
        self._last_sent[intent] = self._clock()

    def _back_to_line(self, intent: Intent, reason: str, done: Pass) -> None:
        self._store.postpone(intent.id, reason, 0.0)
        self._forget(intent.id)
        done.moved = True

    def _forget(self, intent: int) -> None:
        self._last_sent.pop(intent, None)
        self._taken_since.pop(intent, None)

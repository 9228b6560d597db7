"""What is in flight: signed transactions whose fate is open.

Works with `store`, `fate` (when one is given up), `bids` (fees of stuck ones) and `nonces`; `delivery` puts them
in. After any doubt receipts are looked up, for every transaction of an intent; then the same bytes go out again. Only
when its number is used up and no transaction of the intent was mined, it goes back to the line to be signed anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from login_proxy.outbox import decide, nonces
from login_proxy.outbox.asking import ask_all, persist
from login_proxy.outbox.bids import Bids
from login_proxy.outbox.fate import Doubts
from login_proxy.outbox.fees import DEFAULT_CAP
from login_proxy.outbox.intents import Attempt, Intent, Kind
from login_proxy.outbox.ports import Chain, Submitter
from login_proxy.outbox.reconcile import ChainWatch
from login_proxy.outbox.store import OutboxStore
from swarm_chain.errors import ContractError, RpcRefused
from swarm_chain.records import Receipt
from swarm_core.errors import Unavailable
from swarm_core.log import get_logger

log = get_logger("outbox")

RESEND_SECONDS = 8.0  # without a receipt for so long, the same bytes go out again
STUCK_SECONDS = 6.0  # how long a gap in front of our nonces must last before we fill it
MAX_REVERTS = 5  # mined without effect so often although the node foretold success: given up
_SEND_FAILURES = 8  # lost sends in a row after which the rest of a pass waits
_SEND_SECONDS = 3.0  # spent on lost sends, after which it waits too


class Gate(Protocol):
    """Which peers may be sent for, kept by the registrar."""

    bound: set[str]
    registered: set[str]

    def doubt(self, peer_id: str) -> None:
        """The chain contradicts what we believe about the peer's registration."""


@dataclass
class Pass:
    """What one pass did: whether something moved, the calls that were lost, whether a node missed funds."""

    moved: bool = False
    lost: list[Unavailable] = field(default_factory=list)
    short_of_funds: bool = False


class Flight:
    """Transactions of one account. `clock` gives monotonic seconds.

    The times below are known since this process started only; losing them costs a look, nothing else.
    """

    def __init__(
        self,
        store: OutboxStore,
        chain: Chain,
        submitter: Submitter,
        gate: Gate,
        clock: Callable[[], float] = time.monotonic,
        fee_cap: int = DEFAULT_CAP,
    ) -> None:
        self._store = store
        self._chain = chain
        self._submitter = submitter
        self._account = submitter.address
        self._gate = gate
        self._clock = clock
        self._watch = ChainWatch(store, chain)
        self._doubts = Doubts(submitter, clock)
        self._bids = Bids(store, submitter, clock, fee_cap)
        self._last_sent: dict[int, float] = {}
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
        if waiting:
            await self._settle_waiting(waiting, done)

    async def send(self, signed: list[tuple[int, Attempt]], done: Pass) -> None:
        """Hand bytes that are on disk to the chain, in this order. What is not handed over stays in doubt."""
        row, spent = 0, 0.0
        for intent, attempt in signed:
            began = self._clock()
            try:
                await self._send(intent, attempt, done)
                row = 0
            except Unavailable as error:
                done.lost.append(error)
                row, spent = row + 1, spent + self._clock() - began
                if row >= _SEND_FAILURES or spent >= _SEND_SECONDS:
                    return

    async def unstick(self, done: Pass) -> None:
        """Fill a gap that lasts and that nothing new will fill: the intent at the end of the line moves into it.

        A bet never moves, because both its transactions could be mined; where only bets wait, the gap is filled with
        a transfer of nothing to ourselves.
        """
        held = self.held()
        mined = await persist(self._submitter.used) if held else 0
        if not held or not nonces.is_stuck(mined, held.keys()):
            self._stuck_since = None
            return
        if self._stuck_since is None:
            self._stuck_since = self._clock()
        if self._clock() - self._stuck_since < STUCK_SECONDS:
            return
        self._stuck_since = None
        movable = [nonce for nonce, intent in held.items() if nonce > mined and intent.request.kind.repeatable]
        if movable:
            self._back_to_line(held[max(movable)], "moved into a gap", done)
        else:
            await self._bids.fill(mined, self._store.target.chain_id)
            done.moved = True

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
            receipt = await self._submitter.outcome(attempt.hash)
            if receipt is not None and receipt.ok:
                return receipt
            if receipt is not None:
                self._store.mark_reverted(intent.id, attempt.hash)
        return None

    async def _settle_waiting(self, waiting: list[Intent], done: Pass) -> None:
        mined = await self._mined(done)
        now = self._clock()
        again: list[Intent] = []
        for known in waiting:
            intent = self._store.get(known.key) or known  # read again: an attempt may be marked as reverted now
            last = intent.last_attempt
            if last is not None and mined is not None and last.nonce < mined:
                self._doubts.taken(intent.id)
            if last is None or last.account != self._account:
                self._signed_by_another(intent, done)
            elif intent.reverted and self._reverts(intent) >= MAX_REVERTS:
                self._reject(intent, "reverted", "reverted every time")
            elif intent.reverted or self._doubts.is_taken(intent.id):
                if await self._may_sign_anew(intent, done):
                    reason = "reverted" if intent.reverted else "nonce taken by another transaction"
                    self._back_to_line(intent, reason, done)
            elif now - self._last_sent.get(intent.id, float("-inf")) >= RESEND_SECONDS:
                again.append(intent)
        again.sort(key=lambda intent: intent.nonce(self._account) or 0)
        await self.send(await self._bids.improve(again, done.lost), done)
        self.last_error = self._bids.trouble or self.last_error

    async def _mined(self, done: Pass) -> int | None:
        try:
            return await persist(self._submitter.used)
        except Unavailable as error:
            done.lost.append(error)
            return None

    async def _may_sign_anew(self, intent: Intent, done: Pass) -> bool:
        if intent.request.kind.repeatable:
            return True
        try:
            return await self._doubts.is_gone(intent)
        except RpcRefused as error:  # a node that knows no finalised blocks: the bet is not risked
            self.last_error = str(error)
        except Unavailable as error:
            done.lost.append(error)
        return False

    def _signed_by_another(self, intent: Intent, done: Pass) -> None:
        if intent.request.kind.repeatable or intent.last_attempt is None:
            self._back_to_line(intent, "signed by another account", done)
        else:  # it may still be mined, and nothing tells us when it no longer can
            self._reject(intent, "signed by another account", "was signed by another account")

    @staticmethod
    def _reverts(intent: Intent) -> int:
        return len({attempt.nonce for attempt in intent.attempts if attempt.reverted})

    async def _send(self, intent: int, attempt: Attempt, done: Pass) -> None:
        try:
            await self._submitter.send(attempt.raw)
        except RpcRefused as error:
            result = decide.on_refusal(error.reason)
            if result == "nonce_taken":
                self._doubts.taken(intent)
            elif result == "wait":
                self.last_error = str(error)
                done.short_of_funds = done.short_of_funds or error.reason == "insufficient_funds"
                if error.reason == "underpriced":
                    self._bids.underpriced(intent)
                log.warning("transaction not taken", reason=error.reason, nonce=attempt.nonce, error=str(error))
        except ContractError as error:  # some nodes run the call before they take it; receipts will tell
            self.last_error = str(error)
        self._last_sent[intent] = self._clock()
        self._bids.sent(intent)

    def _reject(self, intent: Intent, reason: str, words: str) -> None:
        self._store.reject(intent.id, reason)
        self._forget(intent.id)
        self.last_error = f"{intent.request.kind.value} of round {intent.request.round} {words}"
        log.warning("intent rejected", kind=intent.request.kind.value, round=intent.request.round, reason=reason)

    def _back_to_line(self, intent: Intent, reason: str, done: Pass) -> None:
        self._store.postpone(intent.id, reason, 0.0)
        self._forget(intent.id)
        done.moved = True

    def _forget(self, intent: int) -> None:
        self._last_sent.pop(intent, None)
        self._doubts.forget(intent)
        self._bids.forget(intent)

"""Delivery: brings intents onto the chain, each exactly once, many in flight.

Works with `store` (what is on disk), `flight` (what is signed), `decide` (verdicts), `nonces` and a `ports.Submitter`
(the account). The order that makes a crash harmless: sign, commit the bytes, send. One task calls `step`; nothing else
signs for this account.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

from login_proxy.outbox import decide, nonces
from login_proxy.outbox.asking import ask_all, persist
from login_proxy.outbox.fees import DEFAULT_CAP, within
from login_proxy.outbox.flight import Flight, Gate, Pass
from login_proxy.outbox.funds import Shortage, affordable, shortage
from login_proxy.outbox.intents import Attempt, Intent, ParkReason
from login_proxy.outbox.ports import Chain, Submitter
from login_proxy.outbox.reconcile import facts_about
from login_proxy.outbox.store import OutboxStore
from swarm_chain.errors import ContractError, RpcRefused
from swarm_core.errors import Unavailable
from swarm_core.log import get_logger

log = get_logger("outbox")

WINDOW = 64  # transactions in flight: nodes keep at least that many of one account
# the first use of a storage slot costs more than an estimate on an older state says
GAS_PERCENT = 150
GAS_PERCENT_PER_TRY = 50
_GAS_TRIES = 3
REESTIMATE_SECONDS = 60.0  # how long a shortage is believed without asking what gas costs now


class Delivery:
    """Delivers the intents of one account. `clock` gives monotonic seconds, `fee_cap` bounds wei per gas."""

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
        self._gate = gate
        self._fee_cap = fee_cap
        self._flight = Flight(store, chain, submitter, gate, clock, fee_cap)
        self._last_rejection = ""
        self._clock = clock
        self._short_at = 0.0
        self.short: Shortage | None = None

    @property
    def last_error(self) -> str:
        """The last rejection, or else the last refusal of a transaction, in words."""
        return self._last_rejection or self._flight.last_error

    async def went_back(self) -> bool:
        """Whether the chain lost a block that we remember. Raises Unavailable."""
        return await self._flight.went_back()

    async def look_back(self) -> None:
        """Put back in the line what the chain lost. Raises Unavailable; nothing is changed then."""
        await self._flight.look_back()

    async def step(self) -> Pass:
        """One pass: settle what is in flight, send what is due. Raises Unavailable, WrongChain and WrongContract."""
        done = Pass()
        await self._flight.settle(done)
        if await self._is_still_short():
            return done
        self.short = None
        await self._send_due(done)
        if done.short_of_funds and self.short is None:
            self.short = await shortage(self._submitter, self._fee_cap)
        if self.short is not None:
            self._short_at = self._clock()
        return done

    async def _is_still_short(self) -> bool:
        """Whether money that was missing a moment ago still is: estimates would only tell the same again."""
        if self.short is None or self._clock() - self._short_at >= REESTIMATE_SECONDS:
            return False
        still = self.short.after(await persist(self._submitter.balance))
        self.short = still or self.short
        return still is not None

    async def _send_due(self, done: Pass) -> None:
        held = self._flight.held()
        batch = self._store.sendable(WINDOW - len(held), self._gate.bound, self._gate.registered)
        if not batch:
            await self._flight.unstick(done)
            return
        answers = await ask_all([partial(self._gas_for, intent) for intent in batch])
        ready: list[tuple[Intent, int]] = []
        held_back: set[str] = set()
        for intent, answer in zip(batch, answers, strict=True):
            if isinstance(answer, RpcRefused):  # before its parent Unavailable: here the node did answer
                self._flight.last_error = str(answer)
                if answer.reason == "insufficient_funds":
                    done.short_of_funds = True
                self._store.postpone(intent.id, answer.reason, decide.LATER)
            elif isinstance(answer, Unavailable):
                done.lost.append(answer)
            elif isinstance(answer, ContractError):
                if intent.request.peer_id not in held_back:
                    await self._refused(intent, answer, held_back, done)
            else:
                ready.append((intent, answer))
        ready = [(intent, gas) for intent, gas in ready if intent.request.peer_id not in held_back]
        signed = await self._sign(ready, held) if ready else []
        if signed:
            await self._flight.send(signed, done)
            done.moved = True

    async def _gas_for(self, intent: Intent) -> int | ContractError | RpcRefused:
        try:
            request = intent.request
            gas = await self._submitter.estimate(request.address(self._store.target), request.call_data())
        except (ContractError, RpcRefused) as error:
            return error
        return gas * (GAS_PERCENT + GAS_PERCENT_PER_TRY * min(intent.tries, _GAS_TRIES)) // 100

    async def _sign(self, ready: list[tuple[Intent, int]], held: Mapping[int, Intent]) -> list[tuple[int, Attempt]]:
        """Sign what can be paid for on the lowest free nonces and commit; the result may be sent."""
        fees = within(await persist(self._submitter.fees), self._fee_cap)
        if fees.max_fee > 0:
            balance = await persist(self._submitter.balance)
            paid, self.short = affordable([gas for _, gas in ready], fees.max_fee, balance, held.values())
            ready = ready[:paid]
        target = self._store.target
        mined = await persist(self._submitter.used)  # last: another program may take the number any moment
        numbers = nonces.take(mined, held.keys(), len(ready))

        def sign_all() -> list[tuple[int, Attempt]]:
            signed = []
            for (intent, gas), nonce in zip(ready, numbers, strict=True):
                tx_hash, raw = self._submitter.sign(
                    to=intent.request.address(target), data=intent.request.call_data(), nonce=nonce, gas=gas, fees=fees,
                    chain_id=target.chain_id,
                )  # fmt: skip
                signed.append((intent.id, Attempt(tx_hash, nonce, raw, self._submitter.address, gas=gas, fees=fees)))
            return signed

        signed = await asyncio.to_thread(sign_all)  # some milliseconds each
        self._store.sign(signed)
        return signed

    async def _refused(self, intent: Intent, error: ContractError, held_back: set[str], done: Pass) -> None:
        request, reason = intent.request, error.name or str(error)
        try:
            facts = await persist(partial(facts_about, self._chain, request, self._submitter.address))
            tip = await persist(self._chain.block)  # not older than the facts
        except Unavailable as lost:
            done.lost.append(lost)
            return
        verdict = decide.on_contract_error(error.name, request, intent.tries, facts)
        done.moved = True
        if verdict.action is decide.Action.DELIVERED:
            self._flight.shown(intent, tip.number, tip.hash)
        elif verdict.action is decide.Action.REJECT:
            self._store.reject(intent.id, reason)
            self._last_rejection = f"{request.kind.value} of round {request.round} rejected: {reason}"
            log.warning("intent rejected", kind=request.kind.value, round=request.round, reason=reason)
        elif verdict.action is decide.Action.OWNED_BY_OTHER:
            self._store.park(ParkReason.OWNED_BY_OTHER, request.peer_id)
            self._gate.doubt(request.peer_id)
            held_back.add(request.peer_id)
        else:
            self._store.postpone(intent.id, reason, verdict.seconds)
            if error.name in decide.NOT_REGISTERED:
                self._gate.doubt(request.peer_id)

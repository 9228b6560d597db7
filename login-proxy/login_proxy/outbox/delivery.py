"""Delivery: brings intents onto the chain, each exactly once, many in flight.

Works with `store` (what is on disk), `flight` (what is signed), `decide` (verdicts) and `nonces`. The order that makes
a crash harmless: sign, commit the bytes, send. One task calls `step`; nothing else signs for this account.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from login_proxy.outbox import decide, nonces
from login_proxy.outbox.asking import ask_all
from login_proxy.outbox.flight import Flight, Gate, Pass
from login_proxy.outbox.intents import Attempt, Intent, ParkReason
from login_proxy.outbox.ports import Chain, Signer
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


class Delivery:
    """Delivers the intents of one account. `clock` gives monotonic seconds."""

    def __init__(
        self, store: OutboxStore, chain: Chain, signer: Signer, gate: Gate, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._chain = chain
        self._signer = signer
        self._gate = gate
        self._flight = Flight(store, chain, signer.address, gate, clock)
        self._last_rejection = ""

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
        await self._send_due(done)
        return done

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
                self._store.postpone(intent.id, answer.reason, decide.LATER)
            elif isinstance(answer, Unavailable):
                done.lost.append(answer)
            elif isinstance(answer, ContractError):
                if intent.request.peer_id not in held_back:
                    await self._refused(intent, answer, held_back, done)
            else:
                ready.append((intent, answer))
        ready = [(intent, gas) for intent, gas in ready if intent.request.peer_id not in held_back]
        if ready:
            await self._flight.send(await self._sign(ready, held.keys()), done)
            done.moved = True

    async def _gas_for(self, intent: Intent) -> int | ContractError | RpcRefused:
        try:
            gas = await self._chain.estimate_gas(self._signer.address, intent.request.call_data())
        except (ContractError, RpcRefused) as error:
            return error
        return gas * (GAS_PERCENT + GAS_PERCENT_PER_TRY * min(intent.tries, _GAS_TRIES)) // 100

    async def _sign(self, ready: list[tuple[Intent, int]], held: nonces.Held) -> list[tuple[int, Attempt]]:
        """Sign on the lowest free nonces and commit; the result may be sent."""
        mined = await self._chain.nonce(self._signer.address)
        fees = await self._chain.fees()
        target = self._store.target
        numbers = nonces.take(mined, held, len(ready))

        def sign_all() -> list[tuple[int, Attempt]]:
            signed = []
            for (intent, gas), nonce in zip(ready, numbers, strict=True):
                tx_hash, raw = self._signer.sign(
                    to=target.contract, data=intent.request.call_data(), nonce=nonce, gas=gas, fees=fees,
                    chain_id=target.chain_id,
                )  # fmt: skip
                signed.append((intent.id, Attempt(tx_hash, nonce, raw, self._signer.address)))
            return signed

        signed = await asyncio.to_thread(sign_all)  # some milliseconds each
        self._store.sign(signed)
        return signed

    async def _refused(self, intent: Intent, error: ContractError, held_back: set[str], done: Pass) -> None:
        request, reason = intent.request, error.name or str(error)
        try:
            facts = await facts_about(self._chain, request, self._signer.address)
            tip = await self._chain.block()  # not older than the facts
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
            if error.name == "InvalidVoterPeerId":
                self._gate.doubt(request.peer_id)

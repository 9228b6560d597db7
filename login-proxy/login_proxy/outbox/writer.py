"""The writer: the one task that speaks for the wallet. Preflight, registration, delivery, again and again.

Works with `registrar`, `delivery`, `eoa` (the account) and the chain client. Whatever the chain does, nothing is lost
and the task goes on: an outage is waited out, a wrong chain parks the outbox until the right one answers.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import Literal

from login_proxy.node_chain import NodeChain
from login_proxy.outbox.asking import persist
from login_proxy.outbox.delivery import Delivery
from login_proxy.outbox.eoa import EoaSubmitter
from login_proxy.outbox.fees import DEFAULT_CAP
from login_proxy.outbox.funds import Shortage
from login_proxy.outbox.intents import Intent, ParkReason, State, Target
from login_proxy.outbox.ports import Signer
from login_proxy.outbox.registrar import Binder, Registrar
from login_proxy.outbox.store import COMPACT_ROWS, OutboxStore
from login_proxy.target import read_target
from swarm_chain.errors import WrongChain, WrongContract
from swarm_chain.settings import ChainSettings
from swarm_core.errors import SwarmError, Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service

log = get_logger("outbox")

ChainState = Literal["unknown", "ok", "unreachable", "wrong"]

IDLE_SECONDS = 3.0
BUSY_SECONDS = 0.25
HELD_SECONDS = 1.0
WRONG_SECONDS = 5.0
SHORT_SECONDS = 5.0
_FIRST_BACKOFF = 0.25
_LONGEST_BACKOFF = 5.0
_PREFLIGHT_EVERY = 60.0
_PRUNE_EVERY = 3600.0
_PRUNE_MORE = 20.0  # while more rows are old than one go takes
_KEEP_BYTES_SECONDS = 86_400.0


@dataclass
class ChainView:
    """How the chain looks to the writer."""

    state: ChainState = "unknown"
    reason: str = ""


class Writer:
    """Delivers for the account given by `use`; before that it only watches the chain."""

    def __init__(
        self,
        settings: ChainSettings,
        store: OutboxStore,
        client: NodeChain,
        peers: Binder,
        fee_cap: int = DEFAULT_CAP,
    ) -> None:
        self._settings = settings
        self._store = store
        self._client = client
        self._peers = peers
        self._delivery: Delivery | None = None
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._checked = False
        self._checked_at = 0.0
        self._failures = 0
        self._fee_cap = fee_cap
        self._prune_at = time.monotonic() + _PRUNE_EVERY
        self._running = asyncio.Lock()
        self.registrar: Registrar | None = None
        self.chain = ChainView()

    @property
    def last_error(self) -> str:
        """The last rejection or refusal, in words."""
        return self._delivery.last_error if self._delivery is not None else ""

    @property
    def short(self) -> Shortage | None:
        """What the account lacks to pay for its next transaction."""
        return self._delivery.short if self._delivery is not None else None

    def use(self, signer: Signer) -> None:
        """Deliver for this account from now on."""
        submitter = EoaSubmitter(signer, self._client)
        self.registrar = Registrar(self._store, self._client, self._peers, signer.address)
        self._delivery = Delivery(self._store, self._client, submitter, self.registrar, fee_cap=self._fee_cap)
        self.wake()

    async def switch(self, signer: Signer) -> None:
        """As `use`, once nothing is being signed for another account."""
        if self._delivery is None:
            self.use(signer)
            return
        async with self._running:
            self.use(signer)

    async def retire(self) -> None:
        """Sign nothing any more; what waits stays on disk."""
        async with self._running:
            self._delivery = self.registrar = None

    def wake(self) -> None:
        """There is something new: do not wait for the next pass."""
        self._wake.set()

    async def run(self, service: Service) -> None:
        """Pass after pass until the service stops."""
        while not service.stop.is_set():
            async with self._running:
                pause = await self._guarded_pass()
            if pause <= 0:
                await asyncio.sleep(0)
                continue
            self._wake.clear()
            await self._wait(service, pause)

    async def flush(self, seconds: float) -> None:
        """At the end: deliver what can be delivered within `seconds`. What cannot stays on disk."""
        try:
            async with asyncio.timeout(seconds), self._running:
                while self._delivery is not None and self._store.has_work():
                    pause = await self._guarded_pass()
                    if self.chain.state != "ok" or pause >= HELD_SECONDS:
                        return
                    await asyncio.sleep(max(pause, 0.0))
        except TimeoutError:
            log.info("stopping with intents still waiting; they are on disk")

    async def wait_settled(self, key: str, seconds: float) -> Intent | None:
        """The intent once it is delivered, rejected or parked, or as it is after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            moved = self._moved
            intent = self._store.get(key)
            left = end - time.monotonic()
            if intent is None or intent.state not in (State.QUEUED, State.SENT) or left <= 0:
                return intent
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                return self._store.get(key)

    async def _wait(self, service: Service, seconds: float) -> None:
        waits = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(service.stop.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _guarded_pass(self) -> float:
        """One pass; returns the seconds to wait before the next."""
        try:
            pause = await self._pass()
        except (WrongChain, WrongContract) as error:
            self._checked = False
            self._store.park(ParkReason.WRONG_CHAIN)
            self._show("wrong", str(error))
            pause = WRONG_SECONDS
        except Unavailable as error:
            self._checked = False
            self._failures += 1
            self._show("unreachable", str(error))
            pause = self._backoff()
        except SwarmError as error:  # the node refuses questions: as bad as no answer, but say what it says
            self._checked = False
            self._failures += 1
            self._show("unreachable", f"the RPC refuses requests: {error}")
            pause = self._backoff()
        self._moved.set()
        self._moved = asyncio.Event()
        return pause

    async def _pass(self) -> float:
        if not self._checked or time.monotonic() - self._checked_at > _PREFLIGHT_EVERY:
            await self._preflight()
        if self._delivery is None or self.registrar is None:
            await self._peers.views(max_age=IDLE_SECONDS)
            self._checked = False  # nothing else would notice that the chain went away
            return IDLE_SECONDS
        if await self._delivery.went_back():
            # a chain that was wiped and deployed anew looks the same, but must not get what belongs to the old one
            await self._preflight()
            if await self._delivery.went_back():
                await self._delivery.look_back()
        await self.registrar.step()
        done = await self._delivery.step()
        if done.lost and not done.moved:
            raise done.lost[0]
        self._failures = 0
        self._show("ok", "")
        self._prune()
        if done.moved:
            return BUSY_SECONDS if done.lost else 0.0
        if self.short is not None:
            return SHORT_SECONDS
        if self._store.sent():
            return BUSY_SECONDS
        return HELD_SECONDS if self._store.has_work() else IDLE_SECONDS

    async def _preflight(self) -> None:
        await self._client.prefer_healthy()
        await persist(self._client.preflight)
        target = read_target(self._settings)
        if target.contract.lower() != self._client.coordinator:
            raise Unavailable("the deployment changed while it was read")
        if target.tag != self._store.target.tag:
            log.warning("the swarm's contract changed, intents for the old one are parked", contract=target.contract)
            self._retarget(target)
        elif target != self._store.target:  # a market was deployed
            self._store.retarget(target)
        genesis = await persist(partial(self._client.block_hash, 0))
        known = self._store.genesis()
        if known is None and genesis is not None:
            self._store.remember_genesis(genesis)
        elif known != genesis:
            raise WrongChain(
                f"The chain's genesis block is {genesis}, it was {known} before: the RPC serves another chain, or the "
                "chain was wiped. Correct SWARM_RPC_URL, or deploy the swarm's contract again."
            )
        if self._store.unpark(ParkReason.WRONG_CHAIN):
            log.info("the right chain is back, intents go on")
        self._checked, self._checked_at = True, time.monotonic()
        self._show("ok", "")

    def _retarget(self, target: Target) -> None:
        self._store.retarget(target)
        if self.registrar is not None:
            self.registrar.forget()

    def _backoff(self) -> float:
        ceiling = min(_FIRST_BACKOFF * 2 ** min(self._failures, 8), _LONGEST_BACKOFF)
        return random.uniform(_FIRST_BACKOFF / 2, ceiling)

    def _prune(self) -> None:
        if time.monotonic() > self._prune_at:
            gone = self._store.prune(_KEEP_BYTES_SECONDS)
            self._prune_at = time.monotonic() + (_PRUNE_MORE if gone >= COMPACT_ROWS else _PRUNE_EVERY)

    def _show(self, state: ChainState, reason: str) -> None:
        if state != self.chain.state:
            if state == "ok":
                log.info("chain reachable")
            else:
                log.warning("chain " + ("is not the right one" if state == "wrong" else "unreachable"), reason=reason)
        self.chain = ChainView(state, reason)

"""The registrar: sees to it that every own peer belongs to our account on chain, and says when it does not.

Works with `store`, `peers` (the daemon's signature) and the chain. Runs in the writer's task, before delivery. A peer
is registered only after its daemon signed for the account; a peer of another account is held back, loudly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from login_proxy.outbox.asking import persist
from login_proxy.outbox.decide import same_account
from login_proxy.outbox.intents import ParkReason, State, register
from login_proxy.outbox.ports import Chain
from login_proxy.outbox.store import OutboxStore
from swarm_core.log import get_logger

log = get_logger("registrar")

SETTLED_SECONDS = 60.0  # how often ownership is read again when all is well
OPEN_SECONDS = 2.0  # and while a peer is not registered
LOOK_SECONDS = 3.0  # how often the sockets are asked for new peers


class Binder(Protocol):
    """The part of `Peers` that the registrar uses."""

    async def views(self, max_age: float) -> object: ...

    async def bind(self, peer_id: str, account: str, chain_id: int, contract: str) -> bool: ...


class Registrar:
    """Registers own peers under `account`. `clock` gives monotonic seconds."""

    def __init__(
        self, store: OutboxStore, chain: Chain, peers: Binder, account: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._chain = chain
        self._peers = peers
        self._account = account
        self._clock = clock
        self._next_read = float("-inf")
        self.bound: set[str] = set()
        self.registered: set[str] = set()
        self.foreign: dict[str, str] = {}

    def doubt(self, peer_id: str) -> None:
        """The chain contradicts what is believed about the peer: read its owner before anything is sent for it."""
        self.registered.discard(peer_id)
        self._next_read = float("-inf")

    def forget(self) -> None:
        """Another contract: nothing is known about it."""
        self.bound.clear()
        self.registered.clear()
        self.foreign.clear()
        self._next_read = float("-inf")

    async def step(self) -> None:
        """Find new peers; read owners when due; wish for what is missing. Raises Unavailable, WrongContract."""
        await self._peers.views(max_age=LOOK_SECONDS)
        peers = list(self._store.own_peers())
        former = self._store.former_peers()
        seen = self.registered | self.bound | self.foreign.keys() | former
        unknown = [peer_id for peer_id in peers if peer_id not in seen]
        if not peers or (self._clock() < self._next_read and not unknown):
            return
        owners = await persist(partial(self._chain.owners, peers))
        for peer_id, owner in zip(peers, owners, strict=True):
            await self._see(peer_id, owner, former=peer_id in former)
        settled = all(peer_id in self.registered for peer_id in peers if peer_id not in former)
        self._next_read = self._clock() + (SETTLED_SECONDS if settled else OPEN_SECONDS)

    async def _see(self, peer_id: str, owner: str | None, *, former: bool) -> None:
        if owner is None:
            self.registered.discard(peer_id)
            self._no_longer_foreign(peer_id)
            if not former:  # nobody can sign for a key that was replaced
                await self._wish(peer_id)
        elif same_account(owner, self._account):
            self._no_longer_foreign(peer_id)
            if peer_id not in self.registered:
                log.info("peer is registered", peer=peer_id, account=self._account)
            self.registered.add(peer_id)
            self.bound.add(peer_id)  # ours already: a wish that still waits may find that out
            self._store.unpark(ParkReason.OWNED_BY_OTHER, peer_id)
        else:
            if peer_id not in self.foreign:
                log.error("peer belongs to another account, its submissions are held", peer=peer_id, owner=owner)
            self.registered.discard(peer_id)
            self.bound.discard(peer_id)
            self.foreign[peer_id] = owner
            self._store.park(ParkReason.OWNED_BY_OTHER, peer_id)

    def _no_longer_foreign(self, peer_id: str) -> None:
        if self.foreign.pop(peer_id, None) is not None:
            self._store.unpark(ParkReason.OWNED_BY_OTHER, peer_id)

    async def _wish(self, peer_id: str) -> None:
        target = self._store.target
        if peer_id not in self.bound:
            if not await self._peers.bind(peer_id, self._account, target.chain_id, target.contract):
                return
            self.bound.add(peer_id)
        intent, _ = self._store.put(register(peer_id))
        if intent.state in (State.DELIVERED, State.REJECTED):
            log.warning("the chain does not show a registration, asking again", peer=peer_id, was=intent.state.value)
            self._store.wish_again(intent.key)

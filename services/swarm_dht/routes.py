"""Peers behind NAT: asked for where their signed batches lie, and our own batches left with others when it is we.

`GuestRoutes` is the collector's transport: it adds the guests that answers name (and those we host) to the peers of
`SwarmTransport`, and fetches them from us, from themselves, or through their host. `Deposits` leaves our newest batch
with a few peers of the routing table whenever others cannot dial us.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from dataclasses import dataclass

from swarm_core.errors import RecordError
from swarm_core.identity import PeerKey
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_dht.collect import FetchFailed
from swarm_dht.generation import CALL_ERRORS
from swarm_dht.guests import MAX_GUEST_BYTES, Guests
from swarm_dht.reach import Reach
from swarm_dht.shelf import Shelf
from swarm_dht.signed import seal, unseal
from swarm_dht.supervisor import Supervisor
from swarm_dht.transport import SwarmTransport
from swarm_dht.wire import BATCH, BUSY, NONE, NOTHING, SAME, SIGNED, VERSION, FetchReply, FetchRequest, mark_of, pack

_MAX_ROUTES = 256
_MAX_CACHED = 32
_ROUTE_SECONDS = 600.0
_HOSTS = 3
_SWAP_SECONDS = 5.0
_AGAIN_SECONDS = 60.0
_LOOK_SECONDS = 5.0
log = get_logger("guests")


@dataclass(frozen=True)
class _Route:
    host: str
    told_at: float


class GuestRoutes:
    """`Transport` with guests."""

    def __init__(self, direct: SwarmTransport, hosted: Guests, own_id: str, swarm: str) -> None:
        self._direct = direct
        self._hosted = hosted
        self._own_id = own_id
        self._swarm = swarm
        self._routes: OrderedDict[str, _Route] = OrderedDict()
        self._cached: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()  # author -> (mark, batch)

    def __len__(self) -> int:
        return len(self._routes)

    def peers(self) -> list[str]:
        """Peers that can be asked, guests among them."""
        now = time.monotonic()
        for guest in [name for name, route in self._routes.items() if now - route.told_at > _ROUTE_SECONDS]:
            del self._routes[guest]
        known = dict.fromkeys([*self._direct.peers(), *self._hosted.authors(time.time()), *self._routes])
        return [peer for peer in known if peer != self._own_id]

    async def fetch(self, peer: str, seconds: float, wait: float = 0.0) -> bytes:
        """The raw answer of `peer`, or its batch as somebody serves it on. Raises FetchFailed or RecordError."""
        here = self._hosted.answer(FetchRequest(author=peer), time.time())
        if here.kind == SIGNED:
            return self._opened(peer, here)
        route = self._routes.get(peer)
        if route is None:
            return await self._ask(peer, seconds, wait)
        mark, _ = self._cached.get(peer, (NOTHING, b""))
        try:
            raw = await self._direct.fetch_for(route.host, FetchRequest(author=peer, have=mark), seconds)
            return self._opened(peer, FetchReply.decode(raw))
        except FetchFailed:
            self._routes.pop(peer, None)
            raise

    async def _ask(self, peer: str, seconds: float, wait: float) -> bytes:
        raw = await self._direct.fetch(peer, seconds, wait)
        try:
            guests = FetchReply.decode(raw).guests
        except RecordError:
            return raw  # the collector says what is wrong with it
        for guest in guests:
            self._routes.pop(guest, None)
            self._routes[guest] = _Route(peer, time.monotonic())
        while len(self._routes) > _MAX_ROUTES:
            self._routes.popitem(last=False)
        return raw

    def _opened(self, author: str, reply: FetchReply) -> bytes:
        """The answer as if `author` had given it. Raises RecordError when it did not sign what somebody serves on."""
        if reply.kind == SIGNED:
            data = unseal(reply.payload(), author, self._swarm)
            self._cached.pop(author, None)
            self._cached[author] = (mark_of(data), data)
            while len(self._cached) > _MAX_CACHED:
                self._cached.popitem(last=False)
            return FetchReply(BATCH, reply.age, data).encode(VERSION)
        if reply.kind == SAME and author in self._cached:
            return FetchReply(BATCH, reply.age, self._cached[author][1]).encode(VERSION)
        if reply.kind == NONE:
            self._routes.pop(author, None)
        if reply.kind in (NONE, BUSY):  # a host that has no time for us says nothing of its guest
            return reply.encode(VERSION)
        raise RecordError("bad_reply", f"kind {reply.kind} for a guest")


class Deposits:
    """Leaves our newest batch with `_HOSTS` peers, again when they changed or a minute has passed."""

    def __init__(
        self, key: PeerKey, swarm: str, shelf: Shelf, reach: Reach, supervisor: Supervisor, rng: random.Random
    ) -> None:
        self._key = key
        self._swarm = swarm
        self._shelf = shelf
        self._reach = reach
        self._supervisor = supervisor
        self._rng = rng
        self._hosts: list[str] = []
        self._left: tuple[bytes, int, float] = (NOTHING, 0, 0.0)  # mark, generation, when
        self.taken = 0
        self.failed = 0

    async def run(self, service: Service) -> None:
        """Until asked to stop."""
        while not service.stop.is_set():
            await self._shelf.wait_for_news(_LOOK_SECONDS)
            if self._reach.private:
                await self._leave()

    async def _leave(self) -> None:
        generation, batch = self._supervisor.generation, self._shelf.newest
        table = generation.table() if generation is not None else []
        if generation is None or batch is None or not table:
            return
        data = batch.encode()
        mark, number, at = self._left
        if (mark, number) == (mark_of(data), generation.number) and time.monotonic() - at < _AGAIN_SECONDS:
            return
        packed = pack(seal(self._key, self._swarm, data))
        if len(packed) > MAX_GUEST_BYTES:
            data = batch.plain().encode()
            packed = pack(seal(self._key, self._swarm, data))
        if len(packed) > MAX_GUEST_BYTES:
            log.warning("own groups are too large to be served on by others", bytes=len(packed))
            return
        self._hosts = [host for host in self._hosts if host in table]
        strangers = [peer for peer in table if peer not in self._hosts]
        self._hosts += self._rng.sample(strangers, min(_HOSTS - len(self._hosts), len(strangers)))
        swaps = (generation.swap(host, _SWAP_SECONDS, FetchRequest(), packed) for host in self._hosts)
        told = await asyncio.gather(*swaps, return_exceptions=True)
        for host, answer in zip(list(self._hosts), told, strict=True):
            if isinstance(answer, bytes):
                self.taken += 1
            elif isinstance(answer, CALL_ERRORS):
                self.failed += 1
                self._hosts.remove(host)  # another one the next time
            else:
                raise answer
        if self._hosts:
            self._left = (mark_of(batch.encode()), generation.number, time.monotonic())

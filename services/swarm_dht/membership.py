"""Keeps the node in the swarm: dials bootnodes and remembered peers, drops the dead, looks around now and then.

Works on whatever generation the supervisor has. The Kademlia routing table is the list of live peers; beside it we
remember peers met on walks, and addresses, so that a rebuilt p2pd finds everybody again without the bootnode.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import time
from collections import OrderedDict

from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_dht.addresses import parse_known
from swarm_dht.backoff import Backoff
from swarm_dht.bootnodes import Bootnodes, answers
from swarm_dht.generation import CALL_ERRORS, Generation
from swarm_dht.supervisor import Supervisor

_TICK_SECONDS = 5.0
_FIRST_LOOK_SECONDS = 1.0  # after joining: whoever joined in the same moment is only seen by looking again
_LOOK_AROUND_SECONDS = 180.0  # in a large swarm
_LOOK_AROUND_SMALL_SECONDS = 15.0
_SMALL_SWARM = 8  # peers in the table; below that every further one matters, and a walk costs a few kB
_LIVENESS_SECONDS = 20.0
_MAX_KNOWN = 512
_MAX_CLOCKS = 32
_REDIALS = 16
_REDIAL_SECONDS = 2.0  # over QUIC nobody refuses: a bootnode that returns shall not wait for long behind the gone
_MAX_ABSENT = 64
_PINGS = 3
_PING_SECONDS = 5.0
_ALONE_PING_SECONDS = 1.0
_REBUILD_SECONDS = 60.0  # reachable bootnodes and no success for this long: p2pd itself is suspect
_LONGEST_REBUILD_SECONDS = 900.0
_FAILED_JOINS = 3
log = get_logger("membership")


class Membership:
    """Who is there. `known` maps a peer to addresses it was connected by (possibly none), newest last."""

    def __init__(self, supervisor: Supervisor, bootnodes: Bootnodes, own_id: str, rng: random.Random) -> None:
        self._supervisor = supervisor
        self._bootnodes = bootnodes
        self._own_id = own_id
        self._rng = rng
        self._backoff = Backoff(0.5, _TICK_SECONDS, rng)
        self._suspects: set[str] = set()
        self._unproven: set[str] = set()  # known only because they are connected
        self._absent: OrderedDict[str, list[str]] = OrderedDict()  # gone peers, tried again when we are alone
        self._clocks: OrderedDict[str, float] = OrderedDict()
        self._walked_at = 0.0
        self._walk_pause = _FIRST_LOOK_SECONDS
        self._checked_at = 0.0
        self._jumped = asyncio.Event()
        self._jumps = 0
        self.known: OrderedDict[str, list[str]] = OrderedDict()
        self._failed_joins = 0  # in a row, with a bootnode that listens
        self._alone_since = 0.0
        self._doubt_after = _REBUILD_SECONDS
        self.attempted = 0  # the newest generation that has tried to join
        self.last_remote_success: float | None = None

    @property
    def clock_offset(self) -> float:
        """Median of the other peers' clocks minus ours, seconds; 0 when nobody told."""
        return statistics.median(self._clocks.values()) if self._clocks else 0.0

    def peers(self) -> list[str]:
        """Every peer worth asking: the routing table and those met on walks."""
        generation = self._supervisor.generation
        table = generation.table() if generation is not None else []
        return [peer for peer in dict.fromkeys([*table, *self.known]) if peer != self._own_id]

    def count(self) -> int:
        """Peers in the routing table."""
        generation = self._supervisor.generation
        return len(generation.table()) if generation is not None else 0

    def succeeded(self, peer: str) -> None:
        """`peer` answered something."""
        self.last_remote_success = time.time()
        self._suspects.discard(peer)
        self._unproven.discard(peer)
        self._remember(peer, [])

    def suspect(self, peer: str) -> None:
        """`peer` did not answer: check it on the next occasion."""
        if len(self._suspects) < _MAX_KNOWN:
            self._suspects.add(peer)

    async def run(self, service: Service) -> None:
        """Until asked to stop."""
        while not service.stop.is_set():
            generation = await self._supervisor.current()
            try:
                await self._tick(generation)
            except CALL_ERRORS as error:
                log.debug("round of membership failed", error=repr(error))
            self.attempted = max(self.attempted, generation.number)
            if generation.table():
                self._backoff.reset()
                self._failed_joins, self._alone_since, self._doubt_after = 0, 0.0, _REBUILD_SECONDS
                pause = min(_TICK_SECONDS, self._walk_pause)
            else:
                pause = self._backoff.next()
                self._doubt(generation)
            await self._pause(pause, generation)

    def recall(self, peers: dict[str, list[str]]) -> None:
        """Peers of an earlier life, the latest met first: dialled while we are alone."""
        for peer, addresses in reversed(peers.items()):
            if peer != self._own_id and peer not in self.known:
                self._absent[peer] = addresses

    def clock_jumped(self) -> None:
        """Our clock moved: what others' clocks said is void, so ask them again."""
        for peer in self._clocks:
            self.suspect(peer)
        self._clocks.clear()
        self._jumps += 1
        self._jumped.set()

    def _doubt(self, generation: Generation) -> None:
        """Replace a p2pd that reaches nobody although bootnodes listen: three joins in vain, and a minute alone."""
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        alone = now - max(self._alone_since, generation.started)
        if self._failed_joins >= _FAILED_JOINS and alone >= self._doubt_after:
            self._failed_joins, self._alone_since = 0, 0.0
            self._doubt_after = min(_LONGEST_REBUILD_SECONDS, 2 * self._doubt_after)  # it may not be p2pd's fault
            self._supervisor.replace(generation, "p2pd reaches nobody although bootnodes listen")

    async def _pause(self, seconds: float, generation: Generation) -> None:
        """Wait, but not past the loss of the generation, news about bootnodes or a jump of the clock."""
        awaited = (generation.lost, self._bootnodes.news, self._jumped)
        events = [asyncio.create_task(event.wait()) for event in awaited]
        try:
            await asyncio.wait(events, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
        self._jumped.clear()
        if self._bootnodes.news.is_set():
            self._bootnodes.news.clear()
            self._backoff.reset()

    async def _tick(self, generation: Generation) -> None:
        connected = await generation.connected()
        table = set(generation.table())
        self._unproven |= connected.keys() - self.known.keys()
        for peer, addresses in connected.items():
            self._remember(peer, addresses)
        for peer in self._unproven - connected.keys():  # came and went, like whoever looks for a double of its own
            self._unproven.discard(peer)
            if peer not in table:
                self.known.pop(peer, None)
        was_alone = not table
        work = [self._join_bootnode(generation, entry) for entry in self._bootnodes.missing(connected, table)]
        if was_alone or self.attempted < generation.number:
            work += [self._rejoin(generation, peer) for peer in self._strangers(set(connected))]
        # p2pd takes a dead peer's QUIC connection for a live one: nobody who returns shall wait behind pings to those
        seconds = _ALONE_PING_SECONDS if was_alone else _PING_SECONDS
        pings = [self._ping(generation, peer, seconds) for peer in self._to_ping(set(connected), table)]
        await asyncio.gather(*work, *pings)
        if generation.table():
            await self._look_around(generation, was_alone)

    def _to_ping(self, connected: set[str], table: set[str]) -> set[str]:
        """Who to ping now: suspects, table entries without connection, connections that are not in the table."""
        doubtful = sorted((self._suspects | (table ^ connected)) - {self._own_id})
        chosen = set(self._rng.sample(doubtful, min(_PINGS, len(doubtful))))
        if table and time.monotonic() - self._checked_at >= _LIVENESS_SECONDS:
            self._checked_at = time.monotonic()
            chosen.add(self._rng.choice(sorted(table)))
        return chosen

    async def _join_bootnode(self, generation: Generation, entry: Bootnodes.Entry) -> None:
        try:
            if not await answers(entry.bootnode.address):
                raise ConnectionRefusedError("nobody listens there")
            self._failed_joins += 1  # until the table says otherwise
            await generation.dial_bootnode(entry.bootnode)
        except CALL_ERRORS as error:
            entry.error = (str(error) or type(error).__name__)[:200]
            return
        entry.error = ""
        if await self._ping(generation, entry.bootnode.peer_id):
            return
        with contextlib.suppress(*CALL_ERRORS):  # what was open led to an earlier life of it, and is closed now
            await generation.dial_bootnode(entry.bootnode)
            await self._ping(generation, entry.bootnode.peer_id)

    def _strangers(self, connected: set[str]) -> list[str]:
        """Peers with remembered addresses that we are not connected to, the latest first; no bootnodes."""
        peers = [*reversed(self.known), *reversed(self._absent)]
        left_out = connected | self._bootnodes.ids()
        return [peer for peer in dict.fromkeys(peers) if peer not in left_out and self._addresses(peer)][:_REDIALS]

    def _addresses(self, peer: str) -> list[str]:
        return self.known.get(peer) or self._absent.get(peer, [])

    async def reconnect(self, generation: Generation, peer: str) -> bool:
        """Dial `peer` where it was last seen, if something listens there; whether that worked."""
        parsed = [address for text in self._addresses(peer) if (address := parse_known(text)) is not None]
        listening = [address.text for address in parsed if await answers(address)]
        if not listening:
            return False
        try:
            await generation.dial(peer, listening, _REDIAL_SECONDS)
        except CALL_ERRORS:
            return False
        return True

    async def _rejoin(self, generation: Generation, peer: str) -> None:
        if await self.reconnect(generation, peer):
            await self._ping(generation, peer)

    async def _ping(self, generation: Generation, peer: str, seconds: float = _PING_SECONDS) -> bool:
        """Whether `peer` answers; it is forgotten if it does not."""
        jumps = self._jumps
        try:
            offset = await generation.ping(peer, seconds)
        except CALL_ERRORS as error:
            self._suspects.discard(peer)
            if not generation.lost.is_set():
                self._forget(peer)
            log.debug("peer gone", peer=peer, error=repr(error))
            return False
        self.succeeded(peer)
        if jumps != self._jumps:  # its clock was told before, or not at all
            self.suspect(peer)
        elif offset is not None:
            self._clocks[peer] = offset
            while len(self._clocks) > _MAX_CLOCKS:
                self._clocks.popitem(last=False)
        return True

    async def _look_around(self, generation: Generation, joining: bool) -> None:
        """Walk: at once when joining, soon again after that, then ever more rarely."""
        now = time.monotonic()
        if joining:
            self._walk_pause = _FIRST_LOOK_SECONDS
        elif now - self._walked_at < self._walk_pause:
            return
        else:
            small = len(generation.table()) < _SMALL_SWARM
            self._walk_pause = min(self._walk_pause * 2, _LOOK_AROUND_SMALL_SECONDS if small else _LOOK_AROUND_SECONDS)
        self._walked_at = now
        # a walk towards ourselves finds our neighbours, which is everybody in a small swarm
        for peer in await generation.walk(own=joining or self._walk_pause <= _LOOK_AROUND_SMALL_SECONDS):
            self._unproven.discard(peer)  # others know it: it stays when its connection to us ends
            self._remember(peer, [])

    def _forget(self, peer: str) -> None:
        self._clocks.pop(peer, None)
        addresses = self.known.pop(peer, [])
        if addresses:
            self._absent[peer] = addresses
            while len(self._absent) > _MAX_ABSENT:
                self._absent.popitem(last=False)

    def _remember(self, peer: str, addresses: list[str]) -> None:
        self.known[peer] = addresses or self._addresses(peer)
        self._absent.pop(peer, None)
        self.known.move_to_end(peer)
        while len(self.known) > _MAX_KNOWN:
            self.known.popitem(last=False)

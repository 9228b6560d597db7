"""The daemon's parts, wired: key → supervisor → membership → transport → collector, shelf and gate for the others.

`build` makes them without starting anything; `Daemon.start` spawns the supervised tasks.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from dataclasses import dataclass
from typing import Any

from swarm_core import __version__
from swarm_core.identity import PeerKey
from swarm_core.key_files import KEY_NAME
from swarm_core.log import get_logger
from swarm_core.names import peer_name
from swarm_core.resident import resident_bytes
from swarm_core.runner import Service
from swarm_core.status import AdmissionStatus, DhtStatus, KnownPeer, StoreStatus
from swarm_dht import heartbeat
from swarm_dht.addresses import parse_announced
from swarm_dht.admission import Gate, TokenBuckets
from swarm_dht.bootnodes import Bootnodes
from swarm_dht.collect import Collector
from swarm_dht.compat.bridge import GenrlBridge
from swarm_dht.counters import Counters
from swarm_dht.double import refuse_double
from swarm_dht.generation import Carried, Generation, P2pdOptions
from swarm_dht.guests import Guests
from swarm_dht.heartbeat import Heartbeat
from swarm_dht.membership import Membership
from swarm_dht.peer_policy import PeerPolicy
from swarm_dht.port import port_problem
from swarm_dht.reach import Reach, dial_back
from swarm_dht.remembered import Remembered
from swarm_dht.reputation import Reputation
from swarm_dht.routes import Deposits, GuestRoutes
from swarm_dht.servicer import RolloutExchange
from swarm_dht.settings import DhtSettings, split
from swarm_dht.shelf import PublishedGroup, Shelf
from swarm_dht.state import StateKeeper
from swarm_dht.supervisor import Supervisor
from swarm_dht.transport import SwarmTransport
from swarm_dht.watchdog import LoopWatchdog

_REMEMBER_SECONDS = 15.0
log = get_logger("daemon")


@dataclass(frozen=True)
class Daemon:
    """All parts of a running daemon; `instance` tells the worker that the process is a new one."""

    key: PeerKey
    max_age: float
    instance: str
    counters: Counters
    shelf: Shelf
    gate: Gate
    bootnodes: Bootnodes
    supervisor: Supervisor
    membership: Membership
    collector: Collector
    state: StateKeeper
    carried: Carried
    compat: GenrlBridge | None
    heartbeat: Heartbeat
    guests: Guests
    routes: GuestRoutes
    reach: Reach
    deposits: Deposits
    policy: PeerPolicy
    remembered: Remembered

    def start(self, service: Service) -> None:
        """Spawn the tasks that keep it going."""
        watchdog = LoopWatchdog()
        watchdog.start()
        asyncio.get_running_loop().set_exception_handler(self._stray)

        async def stop_watchdog() -> None:
            watchdog.stop()

        service.on_close("watchdog", stop_watchdog)
        service.on_close("p2pd", self._close)
        service.spawn("supervisor", self.supervisor.run(service))
        service.spawn("membership", self.membership.run(service))
        service.spawn("reachability", self.reach.run(service))
        service.spawn("remembered peers", self._remember(service))
        service.spawn("deposits", self.deposits.run(service))
        service.spawn("heartbeat", self._heartbeat(service, watchdog))

    def status(self) -> DhtStatus:
        """What `GET /v1/status` answers."""
        now = time.time()
        generation = self.supervisor.generation
        table = generation.table() if generation is not None else []
        return DhtStatus(
            version=__version__,
            instance=self.instance,
            state=self.state.refresh(),
            state_since=self.state.since,
            reason=self.state.reason,
            peer_id=self.key.peer_id,
            peer_name=peer_name(self.key.peer_id),
            generation=self.supervisor.number,
            rebuilds=self.supervisor.rebuilds,
            peers=len(table),
            listen=self.supervisor.listen,
            bootnodes=self.bootnodes.status(table),
            reachability=self.reach.state,
            guests_hosted=len(self.guests),
            guests_known=len(self.routes),
            deposits={"taken": self.deposits.taken, "failed": self.deposits.failed},
            clock_offset=self.membership.clock_offset,
            clock_jumps=self.heartbeat.jumps,
            loop_lag=self.heartbeat.worst_lag,
            last_remote_success=self.membership.last_remote_success,
            published_round=self.shelf.newest_round,
            published=list(self.shelf.serving(now)),
            fetched_by=dict(self.shelf.fetched_by),
            fetches=dict(self.counters.fetches),
            rejected=dict(self.counters.rejected),
            failed=dict(self.counters.failed),
            refused=dict(self.gate.refused + self.guests.refused),
            fetch_seconds=self.carried.traffic.fetch_seconds(),
            traffic_received=dict(self.carried.traffic.received),
            traffic_sent=dict(self.carried.traffic.sent),
            remembered=self.remembered.count,
            bytes_received=self.counters.bytes_received,
            bytes_sent=self.shelf.bytes_sent,
            compat=self.compat.status() if self.compat is not None else None,
            admission=self._admission(),
            store=StoreStatus(
                bytes=self.carried.guard.total,
                accepted=self.carried.guard.accepted,
                refused=dict(self.carried.guard.refused),
            ),
            memory_rss=_rss("self") + (_rss(str(generation.pid)) if generation is not None else 0),
        )

    def peers(self) -> list[KnownPeer]:
        """What `GET /v1/peers` answers."""
        policy = self.policy
        return [
            KnownPeer(
                peer=peer,
                account=policy.owners.get(peer),
                account_known=peer in policy.owners,
                unwelcome=policy.unwelcome(peer),
                proven=policy.reputation.is_proven(peer, policy.clock()),
            )
            for peer in self.membership.peers()
        ]

    def _admission(self) -> AdmissionStatus:
        policy = self.policy
        return AdmissionStatus(
            registered_only=policy.rules.registered_only,
            banned=policy.reputation.banned(policy.clock()),
            bans=policy.reputation.bans,
            blamed=dict(policy.reputation.reasons),
            passed_over=dict(policy.passed_over),
            refused=dict(self.gate.refused),
        )

    def published(self) -> list[PublishedGroup]:
        """What `GET /v1/published` answers."""
        return self.shelf.published(time.time())

    async def _remember(self, service: Service) -> None:
        while not await service.sleep(_REMEMBER_SECONDS):
            await asyncio.to_thread(self.remembered.write, dict(self.membership.known))

    async def _heartbeat(self, service: Service, watchdog: LoopWatchdog) -> None:
        while not await service.sleep(heartbeat.SECONDS):
            watchdog.beat()
            self.heartbeat.beat()
            self.state.refresh()

    async def _close(self) -> None:
        generation = self.supervisor.generation
        if generation is not None:
            generation.lost.set()
            await generation.kill()

    def _stray(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Errors in hivemind's own background tasks: a broken pipe after p2pd's death, a peer that hung up."""
        self.counters.stray_errors += 1
        error = context.get("exception")
        log.debug("error in a background task of the library", what=context.get("message"), error=repr(error))


def build(settings: DhtSettings, key: PeerKey) -> Daemon:
    """The parts of a daemon with `key`, not started."""
    rng = random.Random(secrets.randbits(64))
    counters = Counters()
    shelf = Shelf(settings.max_age_seconds)
    policy = PeerPolicy(
        settings.rules(),
        key.peer_id,
        Reputation(),
        lambda peer: membership.known.get(peer, ()),
        time.monotonic,
    )
    gate = Gate(TokenBuckets(), policy=policy)
    carried = Carried()
    guests = Guests(str(settings.chain_id), settings.max_age_seconds, rng)

    async def dial_caller(caller: str, request: bytes) -> bytes:
        return await dial_back(await supervisor.current(), caller, request)

    servicer = RolloutExchange(shelf, gate, guests, dial_caller, carried.traffic)
    options = P2pdOptions(
        key_path=settings.key_dir / KEY_NAME,
        listen=tuple(
            f"/ip{host.version}/{host}/{layer}" for host in settings.hosts() for layer in _layers(settings.p2p_port)
        ),
        announce=tuple(split(settings.announce)),
    )

    async def start(number: int) -> Generation:
        if number == 1:
            await refuse_double(key.peer_id, bootnodes.all())
        if (problem := port_problem(settings.hosts(), settings.p2p_port)) is not None:
            raise OSError(problem)
        return await Generation.start(number, options, carried, servicer)

    bootnodes = Bootnodes(split(settings.bootnodes), key.peer_id)
    supervisor = Supervisor(start, rng)
    membership = Membership(supervisor, bootnodes, key.peer_id, rng)
    remembered = Remembered(settings.key_dir)
    membership.recall(remembered.read())
    announced = [address.port for text in options.announce if (address := parse_announced(text)).transport == "tcp"]
    port = announced[0] if announced else settings.p2p_port
    reach = Reach(settings.reachability, port, supervisor, carried, rng, announced=bool(options.announce))
    direct = SwarmTransport(supervisor, membership, counters, carried.traffic)
    routes = GuestRoutes(direct, guests, key.peer_id, str(settings.chain_id))
    collector = Collector(routes, counters, rng, policy)
    compat = None
    if settings.dht_compat == "genrl":
        compat = GenrlBridge(
            key, str(settings.chain_id), supervisor, carried.guard, lambda: len(membership.peers()), rng
        )
    return Daemon(
        key=key,
        max_age=settings.max_age_seconds,
        instance=secrets.token_hex(8),
        counters=counters,
        shelf=shelf,
        gate=gate,
        bootnodes=bootnodes,
        supervisor=supervisor,
        membership=membership,
        collector=collector,
        state=StateKeeper(supervisor, membership, bootnodes),
        carried=carried,
        compat=compat,
        heartbeat=Heartbeat(membership.clock_jumped),
        guests=guests,
        routes=routes,
        reach=reach,
        remembered=remembered,
        deposits=Deposits(key, str(settings.chain_id), shelf, reach, supervisor, rng),
        policy=policy,
    )


def _layers(port: int) -> tuple[str, str]:
    return f"tcp/{port}", f"udp/{port}/quic-v1"


def _rss(process: str) -> int:
    """Resident bytes of `process`; 0 when it is gone."""
    try:
        return resident_bytes(process)
    except (OSError, IndexError, ValueError):
        return 0

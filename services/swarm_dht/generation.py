"""One life of p2pd with the DHT node on it: start, calls, signs of death, end.

The supervisor makes a new generation when this one is lost; identity, node id, storage and the shelf are carried
over by it. Why no initial peers: findings of the DHT study: p2pd would refuse to start when none of them answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm_core.log import get_logger
from swarm_dht.addresses import Bootnode
from swarm_dht.guard import StoreGuard
from swarm_dht.guarded_store import guard_store
from swarm_dht.libp2p import (
    DHTID,
    BytesValue,
    DecodeError,
    DHTNode,
    Multiaddr,
    OpenCalls,
    P2PDaemonError,
    P2PHandlerError,
    PeerID,
    dht_pb2,
)
from swarm_dht.p2pd import end_p2pd, start_p2pd
from swarm_dht.servicer import STREAM_NAME, RolloutExchange, read_stream
from swarm_dht.traffic import Traffic
from swarm_dht.wire import NAMESPACE, FetchRequest

_START_SECONDS = 15.0
_RPC_SECONDS = 5.0
_WALK_SECONDS = 10.0
_EXIT_SECONDS = 0.1
_MOVED_SECONDS = 1.0  # our wall clock jumped during a call
KNOCK_SECONDS = 0.25
FIRST_VERSION = FetchRequest(version=1)
# the last two: what a peer answered is no protobuf, or a node id that is none
CALL_ERRORS = (
    P2PDaemonError, P2PHandlerError, OSError, EOFError, TimeoutError, ValueError, TypeError,
    AssertionError, DecodeError,
)  # fmt: skip
log = get_logger("p2pd")


@dataclass(frozen=True)
class P2pdOptions:
    """What p2pd is started with, the same for every generation."""

    key_path: Path
    listen: tuple[str, ...]
    announce: tuple[str, ...]


@dataclass
class Carried:
    """What a new generation takes over from the lost one."""

    node_id: Any = None
    storage: Any = None
    guard: StoreGuard = field(default_factory=StoreGuard)
    client_mode: bool = False  # nobody is sent to us: others could not dial us
    traffic: Traffic = field(default_factory=Traffic)


class Generation:
    """A running p2pd and DHT node. `lost` is set once, by the supervisor, before it is killed."""

    def __init__(self, number: int, p2p: Any, node: Any) -> None:
        self.number = number
        self.lost = asyncio.Event()
        self.started = time.monotonic()
        self._p2p = p2p
        self._node = node

    @classmethod
    async def start(cls, number: int, options: P2pdOptions, carried: Carried, servicer: RolloutExchange) -> Generation:
        """Start p2pd alone, the DHT node on it and our handler. Raises one of CALL_ERRORS when it does not come up."""
        p2p = await start_p2pd(
            _START_SECONDS,
            host_maddrs=list(options.listen),
            announce_maddrs=list(options.announce) or None,
            identity_path=str(options.key_path),
            nat_port_map=False,
            idle_timeout=10,  # p2pd ends by itself when we die before the control connection is up
            check_if_identity_free=False,
        )
        try:
            p2p._client.control._pending_calls = OpenCalls()
            async with asyncio.timeout(_START_SECONDS):
                node = await DHTNode.create(p2p=p2p, node_id=carried.node_id, client_mode=carried.client_mode)
                if carried.storage is not None:
                    node.protocol.storage = carried.storage
                guard_store(node.protocol, carried.guard)
                await servicer.add_p2p_handlers(p2p, namespace=NAMESPACE)
                await _serve_streams(p2p, servicer)
                carried.traffic.watch(p2p._client.control)
        except BaseException:
            await end_p2pd(p2p)
            raise
        carried.node_id, carried.storage = node.node_id, node.protocol.storage
        return cls(number, p2p, node)

    @property
    def peer_id(self) -> str:
        """Our own base58 peer id, as p2pd derived it from the key."""
        return str(self._p2p.peer_id)

    @property
    def pid(self) -> int:
        """Process id of p2pd."""
        return int(self._p2p._child.pid)

    @property
    def dht(self) -> Any:
        """hivemind's DHT node, for the modules that speak Kademlia: `guarded_store` and `compat.round_key`."""
        return self._node

    def table(self) -> list[str]:
        """Peers in the routing table."""
        return [str(peer) for peer in self._node.protocol.routing_table.uid_to_peer_id.values()]

    async def died(self) -> str:
        """Return why, when p2pd exited or one of the two control tasks ended."""
        control = self._p2p._client.control
        exit_code = asyncio.ensure_future(self._p2p._child.wait())
        try:
            await asyncio.wait(
                {exit_code, control._read_task, control._write_task}, return_when=asyncio.FIRST_COMPLETED
            )
            await asyncio.wait({exit_code}, timeout=_EXIT_SECONDS)  # the pipe breaks a moment before the exit is seen
            if exit_code.done():
                return f"p2pd exited with {exit_code.result()}"
            return f"control connection lost ({_ending(control._read_task)}, {_ending(control._write_task)})"
        finally:
            exit_code.cancel()

    async def identify(self) -> list[str]:
        """Ask p2pd for its addresses: the probe that a hung p2pd does not answer. Raises one of CALL_ERRORS."""
        _, addresses = await self._p2p._client.identify()
        return [str(address) for address in addresses]

    async def connected(self) -> dict[str, list[str]]:
        """Connected peers and the addresses they are connected by. Raises one of CALL_ERRORS."""
        return {str(info.peer_id): [str(address) for address in info.addrs] for info in await self._p2p.list_peers()}

    async def dial(self, peer: str, addresses: list[str], seconds: float = _RPC_SECONDS) -> None:
        """Connect to `peer`. Raises one of CALL_ERRORS."""
        async with asyncio.timeout(seconds):
            await self._p2p._client.connect(PeerID.from_base58(peer), [Multiaddr(address) for address in addresses])

    async def dial_bootnode(self, bootnode: Bootnode) -> None:
        """Connect to a bootnode. Raises one of CALL_ERRORS."""
        await self.dial(bootnode.peer_id, [bootnode.address.text])

    async def ping(self, peer: str, seconds: float = _RPC_SECONDS) -> float | None:
        """Ping over the DHT, which makes each know the other. Returns the other's clock minus ours (seconds), None
        when it does not tell, or ours moved. Raises one of CALL_ERRORS; the peer has left the routing table then."""
        protocol, peer_id = self._node.protocol, PeerID.from_base58(peer)
        before, began = time.time(), time.monotonic()
        try:
            answer = await self._ping(peer_id, seconds)
            node_id = DHTID.from_bytes(answer.peer.node_id) if answer.peer.node_id else None
        except CALL_ERRORS:
            await protocol.update_routing_table(None, peer_id, responded=False)
            raise
        if node_id is not None:
            await protocol.update_routing_table(node_id, peer_id, responded=True)
        after = time.time()
        if not answer.dht_time or abs(after - before - (time.monotonic() - began)) > _MOVED_SECONDS:
            return None
        return float(answer.dht_time - (before + after) / 2)

    async def knock(self, peer: str) -> None:
        """Send `peer` something, whatever comes back. Over QUIC a connection whose other end was replaced looks open
        until something is sent: then the new p2pd resets it, and calls that wait on it fail instead of hanging."""
        with contextlib.suppress(*CALL_ERRORS):
            await self._ping(PeerID.from_base58(peer), KNOCK_SECONDS)

    async def _ping(self, peer_id: Any, seconds: float) -> Any:
        protocol = self._node.protocol
        request = dht_pb2.PingRequest(peer=protocol.node_info, validate=False)
        return await protocol.get_stub(peer_id).rpc_ping(request, timeout=seconds)

    async def walk(self, own: bool) -> set[str]:
        """Peers near our own id (joining) or near a random one (looking around). Raises one of CALL_ERRORS."""
        target = self._node.node_id if own else DHTID.generate()
        async with asyncio.timeout(_WALK_SECONDS):
            found = await self._node.find_nearest_nodes([target], exclude_self=True)
        return {str(peer) for peer in found[target].values()} - {self.peer_id}

    async def fetch(self, peer: str, seconds: float, request: FetchRequest = FIRST_VERSION) -> bytes:
        """The raw answer of `peer` to `rpc_fetch`. Raises one of CALL_ERRORS."""
        stub = RolloutExchange.get_stub(self._p2p, PeerID.from_base58(peer), namespace=NAMESPACE)
        answer = await stub.rpc_fetch(RolloutExchange.request(request), timeout=seconds)
        return bytes(answer.value)

    async def swap(self, peer: str, seconds: float, request: FetchRequest, mine: bytes) -> bytes:
        """Leave `mine` (a compressed signed batch) with `peer`; its answer is that to `fetch`. Raises CALL_ERRORS."""
        stub = RolloutExchange.get_stub(self._p2p, PeerID.from_base58(peer), namespace=NAMESPACE)
        answer = await stub.rpc_swap(RolloutExchange.swap_request(request, mine), timeout=seconds)
        return bytes(answer.value)

    async def reach(self, peer: str, request: bytes) -> bytes:
        """What `peer` says to a request of `reach`. Raises one of CALL_ERRORS."""
        stub = RolloutExchange.get_stub(self._p2p, PeerID.from_base58(peer), namespace=NAMESPACE)
        answer = await stub.rpc_reach(BytesValue(value=request), timeout=_RPC_SECONDS)
        return bytes(answer.value[:1])

    async def fetch_stream(self, peer: str, seconds: float, request: FetchRequest) -> bytes:
        """The same over a stream, for answers above 1 MiB. Raises one of CALL_ERRORS, or RecordError."""

        async def open_stream() -> tuple[object, asyncio.StreamReader, asyncio.StreamWriter]:
            opened: tuple[object, asyncio.StreamReader, asyncio.StreamWriter]
            opened = await self._p2p.call_binary_stream_handler(PeerID.from_base58(peer), STREAM_NAME)
            return opened

        async with asyncio.timeout(seconds):
            return await read_stream(open_stream, request)

    async def kill(self) -> None:
        """SIGKILL p2pd and wait for its end, so that the port is free. Never hangs on a dead or stopped p2pd."""
        self._node.is_alive = False
        await end_p2pd(self._p2p)


async def _serve_streams(p2p: Any, servicer: RolloutExchange) -> None:
    async def handle(info: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await servicer.stream(str(info.peer_id), reader, writer)

    await p2p.add_binary_stream_handler(STREAM_NAME, handle)


def _ending(task: asyncio.Task[None]) -> str:
    if not task.done():
        return "open"
    return "cancelled" if task.cancelled() else type(task.exception()).__name__ if task.exception() else "closed"

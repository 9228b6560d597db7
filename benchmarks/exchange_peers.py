"""Some peers of `benchmarks/exchange.py` in one process: the product's daemons on their p2pds, and genrl's gather.

Commands come as JSON lines on stdin, answers go to stdout: a list with one entry a peer. Run with build/genrl in
PYTHONPATH. The DHT's storage is stock hivemind's here, because genrl is measured on it: our guard would bound it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import hivemind
from hivemind.dht.protocol import DHTProtocol
from hivemind.utils.timed_storage import get_dht_time

hivemind.get_dht_time = get_dht_time  # genrl 0.1.11 takes it from the top level, where hivemind 1.1.12 has it no more
_STOCK = DHTProtocol.rpc_store, DHTProtocol.rpc_find
_PATIENT = 1e6  # seconds a loop may hang: genrl's gathers share it here, which no product process does

from genrl.communication.communication import Payload  # type: ignore[import-not-found]  # noqa: E402
from genrl.communication.hivemind.hivemind_backend import (  # type: ignore[import-not-found]  # noqa: E402
    HivemindBackend,
)
from genrl.serialization.game_tree import to_bytes  # type: ignore[import-not-found]  # noqa: E402
from genrl.state import WorldState  # type: ignore[import-not-found]  # noqa: E402
from tests.support.ports import free_port  # noqa: E402

from swarm_core.identity import generate_key, parse_key  # noqa: E402
from swarm_core.records import GroupBatch, RolloutGroup  # noqa: E402
from swarm_core.runner import Service  # noqa: E402
from swarm_dht import daemon as daemon_module  # noqa: E402
from swarm_dht import libp2p  # noqa: E402
from swarm_dht import supervisor as supervisor_module  # noqa: E402
from swarm_dht.collect import CollectRequest  # noqa: E402
from swarm_dht.daemon import Daemon, build  # noqa: E402
from swarm_dht.settings import DhtSettings  # noqa: E402

_COMPLETION_CHARS = 800
_GATHER_SECONDS = 300.0
_COLLECT_SECONDS = 30.0
_START_SECONDS = 60.0
_WORDS = ("so", "the", "sum", "of", "seven", "and", "four", "is", "eleven", "<answer>", "</answer>", "carry", "minus")


def text(rng: random.Random) -> str:
    """A completion of 800 characters, as compressible as words are."""
    words: list[str] = []
    while sum(map(len, words)) + len(words) < _COMPLETION_CHARS:
        words.append(rng.choice(_WORDS) if rng.random() < 0.7 else str(rng.randrange(10_000)))
    return " ".join(words)[:_COMPLETION_CHARS]


class Peer:
    """One p2pd with our daemon and genrl's backend on it, and the bytes that go through its control connection."""

    def __init__(self, directory: Path, service: Service, port: int) -> None:
        directory.mkdir(parents=True)
        key = generate_key()
        (directory / "swarm.pem").write_bytes(key)
        settings = DhtSettings(key_dir=directory, run_dir=directory, p2p_host="127.0.0.1", p2p_port=port)
        self.daemon: Daemon = build(settings, parse_key(key))
        self.address = f"/ip4/127.0.0.1/tcp/{port}/p2p/{self.daemon.key.peer_id}"
        self.rx = self.tx = 0
        self.genrl_object: Any = None
        self.backend = HivemindBackend.__new__(HivemindBackend)
        self.backend.world_size, self.backend.timeout, self.backend.beam_size, self.backend.step_ = 1, 600, 1000, 0
        self._service = service

    async def start(self) -> str:
        """Start p2pd; the address."""
        self.daemon.start(self._service)
        try:
            async with asyncio.timeout(_START_SECONDS):
                generation = await self.daemon.supervisor.current()
        except TimeoutError:
            raise RuntimeError(f"{self.address} does not start: {self.daemon.supervisor.reason or 'no word'}") from None
        self._count(generation._p2p._client.control)
        self.backend.dht = Facade(generation._node, asyncio.get_running_loop())
        return self.address

    def _count(self, control: Any) -> None:
        call, handlers = control.call_unary_handler, control.unary_handlers

        async def counted_call(peer: Any, protocol: str, data: bytes) -> bytes:
            self.tx += len(data)
            answer: bytes = await call(peer, protocol, data)
            self.rx += len(answer)
            return answer

        def counted(handler: Any) -> Any:
            async def handle(data: bytes, remote: Any) -> bytes:
                self.rx += len(data)
                answer: bytes = await handler(data, remote)
                self.tx += len(answer)
                return answer

            return handle

        control.call_unary_handler = counted_call
        for name in list(handlers):
            handlers[name] = counted(handlers[name])

    def prepare(self, kind: str, number: int, questions: int, completions: int) -> int:
        """Have something to give; its size in bytes."""
        rng = random.Random(f"{self.daemon.key.peer_id}/{number}")
        texts = [[text(rng) for _ in range(completions)] for _ in range(questions)]
        names = [f"Question {rng.randrange(10**9)}: what is the sum of the numbers above?" for _ in range(questions)]
        if kind == "ours":
            rewards = tuple(float(place % 2) for place in range(completions))
            groups = tuple(
                RolloutGroup("chain_sum", seed, name, "11", tuple(rows), rewards)
                for seed, (name, rows) in enumerate(zip(names, texts, strict=True))
            )
            batch = GroupBatch(number, time.time(), groups)
            self.daemon.shelf.put(batch)
            return len(batch.encode())
        self.backend.step_ = number
        self.genrl_object = {
            int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16): [
                Payload(
                    world_state=WorldState(
                        environment_states={"question": name, "answer": "11", "metadata": {"source_index": 1}},
                        opponent_states=None,
                        personal_states=None,
                    ),
                    actions=rows,
                    metadata=None,
                )
            ]
            for name, rows in zip(names, texts, strict=True)
        }
        return len(to_bytes(self.genrl_object))

    async def ours(self, want: int) -> dict[str, float]:
        """Collect as the API does."""
        began = time.perf_counter()
        result = await self.daemon.collector.collect(CollectRequest(want, 32, _COLLECT_SECONDS, 600.0))
        return {"seconds": time.perf_counter() - began, "got": len(result.batches)}

    async def genrl(self, pool: ThreadPoolExecutor) -> dict[str, float]:
        """genrl's own gather, in a thread as in a trainer."""
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        try:
            heard = await loop.run_in_executor(pool, self.backend.all_gather_object, self.genrl_object)
        except TypeError:  # upstream unpacks the None of an unreadable key
            heard = {}
        return {"seconds": time.perf_counter() - began, "got": len(heard)}


class Facade:
    """`hivemind.DHT` as far as genrl uses it, on a node in this process: its forked process would be one more each."""

    def __init__(self, node: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self.peer_id = node.peer_id

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_GATHER_SECONDS)

    def get_visible_maddrs(self, latest: bool) -> Any:
        """Upstream asks for it before each gather."""
        return self._wait(self._node.get_visible_maddrs(latest=latest))

    def store(self, key: str, **fields: Any) -> Any:
        """Store a subkey."""
        return self._wait(self._node.store(key, **fields))

    def get(self, key: str, **fields: Any) -> Any:
        """Read a key."""
        return self._wait(self._node.get(key, **fields))


class Host:
    """The peers of this process."""

    def __init__(self, directory: Path, first: int, count: int, everybody: int) -> None:
        self._service = Service("exchange-benchmark")
        self._peers = [
            Peer(directory / str(number), self._service, free_port(number, everybody))
            for number in range(first, first + count)
        ]
        self._pool = ThreadPoolExecutor(max(1, count))

    async def do(self, command: SimpleNamespace) -> list[Any]:
        """One command for all peers."""
        peers = self._peers
        if command.do == "start":
            return [await peer.start() for peer in peers]
        if command.do == "join":
            for peer in peers:
                peer.daemon.bootnodes.learn([command.address])
        if command.do == "known":
            return [len(peer.daemon.membership.peers()) for peer in peers]
        if command.do == "prepare":
            shape = command.questions, command.completions
            return [peer.prepare(command.kind, command.number, *shape) for peer in peers]
        if command.do == "reset":
            for peer in peers:
                peer.rx = peer.tx = 0
        if command.do == "counted":
            return [{"rx": peer.rx, "tx": peer.tx} for peer in peers]
        if command.do == "ours":
            return list(await asyncio.gather(*(peer.ours(command.want) for peer in peers)))
        if command.do == "genrl":
            return list(await asyncio.gather(*(peer.genrl(self._pool) for peer in peers)))
        return [None for _ in peers]


async def main() -> None:
    """Answer commands until stdin ends."""
    directory, first, count, everybody = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    libp2p.quiet_logs()
    daemon_module.LoopWatchdog = partial(daemon_module.LoopWatchdog, lag=_PATIENT)  # type: ignore[misc, assignment]
    supervisor_module._PROBE_SECONDS = _PATIENT  # type: ignore[attr-defined]
    DHTProtocol.rpc_store, DHTProtocol.rpc_find = _STOCK
    sockets = directory / f"sockets-{first}"
    sockets.mkdir()
    libp2p.use_socket_directory(sockets)
    host = Host(directory, first, count, everybody)
    while line := await asyncio.to_thread(sys.stdin.readline):
        answer = await host.do(SimpleNamespace(**json.loads(line)))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

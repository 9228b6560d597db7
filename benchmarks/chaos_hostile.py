"""A hostile peer for `benchmarks/chaos.py`: joins as any other, answers every fetch with some attack, floods others.

Arguments: directory, own address, bootnode. Its groups say "hostile" in their completions, so that one that got through
would be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from pathlib import Path
from typing import Any

import zstandard

from swarm_core.identity import generate_key
from swarm_core.records import GroupBatch, RolloutGroup
from swarm_dht.addresses import parse_bootnode
from swarm_dht.generation import CALL_ERRORS, Carried, Generation, P2pdOptions
from swarm_dht.libp2p import BytesValue, quiet_logs, use_socket_directory
from swarm_dht.wire import BATCH, SIGNED, ZSTD, FetchReply, FetchRequest
from swarm_node.tasks import TaskSet

_PORT = 38751
_FLOOD_SECONDS = 0.05


class Hostile:
    """Answers of many kinds, each to be refused or dropped by an honest peer."""

    def __init__(self) -> None:
        self._rng = random.Random(time.time_ns())
        self._tasks = TaskSet.load("embedded")
        self._bomb = zstandard.ZstdCompressor().compress(bytes(256 * 1024 * 1024))

    def _batch(self, age: float = 0.0, answer: str | None = None, question: str | None = None) -> bytes:
        (task,) = self._tasks.sample("chaos", "hostile", self._rng.randrange(10**6), 1)
        wrong = answer or "hostile"
        texts = (f"<answer>{wrong}</answer> hostile", f"hostile {self._rng.random()}")
        claim = RolloutGroup(task.name, task.seed, question or task.question, wrong, texts, (1.0, 0.0))
        return GroupBatch(self._rng.randrange(1000), time.time() - age, (claim,)).encode()

    async def answer(self) -> bytes:
        """One of them."""
        kind = self._rng.randrange(9)
        if kind == 0:
            return self._rng.randbytes(200)
        if kind == 1:
            return FetchReply(BATCH, 0.0, self._bomb, ZSTD).encode(2)
        if kind == 2:  # a wrong answer key with a completion that "is right"
            return FetchReply(BATCH, 0.0, self._batch()).encode()
        if kind == 3:
            return FetchReply(BATCH, 0.0, self._batch(question="What is hostile?")).encode()
        if kind == 4:
            return FetchReply(BATCH, 0.0, self._batch(age=5000.0)).encode()
        if kind == 5:
            return FetchReply(BATCH, 0.0, b"x" * (3 * 1024 * 1024)).encode()
        if kind == 6:
            await asyncio.sleep(30)
        if kind == 7:
            return FetchReply(SIGNED, 0.0, self._batch()).encode(2)
        raise RuntimeError("hostile")

    async def add_p2p_handlers(self, p2p: Any, *, namespace: str) -> None:
        """In the place of our servicer."""

        async def handle(request: Any, context: Any) -> Any:
            return BytesValue(value=await self.answer())

        await p2p.add_protobuf_handler(f"{namespace}::RolloutExchange.rpc_fetch", handle, BytesValue)


async def main() -> None:
    """Join, answer, flood, until killed."""
    directory, host, bootnode = Path(sys.argv[1]), sys.argv[2], parse_bootnode(sys.argv[3])
    quiet_logs()
    use_socket_directory(directory)
    key = directory / "key.pem"
    key.write_bytes(generate_key())
    servicer: Any = Hostile()
    options = P2pdOptions(key, (f"/ip4/{host}/tcp/{_PORT}",), ())
    generation = await Generation.start(1, options, Carried(), servicer)
    while True:
        with contextlib.suppress(*CALL_ERRORS):
            if not generation.table():
                await generation.dial_bootnode(bootnode)
                await generation.ping(bootnode.peer_id)
                await generation.walk(own=True)
        for peer in generation.table():
            with contextlib.suppress(*CALL_ERRORS):
                await generation.fetch(peer, 2.0, FetchRequest())
            with contextlib.suppress(*CALL_ERRORS):
                await generation.swap(peer, 2.0, FetchRequest(), random.randbytes(1000))
        await asyncio.sleep(_FLOOD_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())

"""Peers that answer `rpc_fetch` with junk: each answer is refused and counted by its reason, the honest one is kept."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemons import Daemon, Daemons, group
from tests.support.ports import free_port

from swarm_core.identity import generate_key
from swarm_core.records import GroupBatch
from swarm_dht.addresses import parse_bootnode
from swarm_dht.generation import Carried, Generation, P2pdOptions
from swarm_dht.libp2p import BytesValue, use_socket_directory
from swarm_dht.wire import BATCH, FetchReply

Answer = Callable[[], Awaitable[bytes]]


class _Servicer:
    """Registers `answer` under the name of our exchange."""

    def __init__(self, answer: Answer | None) -> None:
        self._answer = answer

    async def add_p2p_handlers(self, p2p: Any, *, namespace: str) -> None:
        if self._answer is None:
            return
        answer = self._answer

        async def handle(request: Any, context: Any) -> Any:
            return BytesValue(value=await answer())

        await p2p.add_protobuf_handler(f"{namespace}::RolloutExchange.rpc_fetch", handle, BytesValue)


def _always(data: bytes) -> Answer:
    async def answer() -> bytes:
        return data

    return answer


async def _hang() -> bytes:
    await asyncio.sleep(60)
    return b""


async def _fail() -> bytes:
    raise RuntimeError("no")


def _batch(age: float = 0.0, claimed: float = 0.0) -> bytes:
    return FetchReply(BATCH, claimed, GroupBatch(1, time.time() - age, (group(1),)).encode()).encode()


def _answers() -> dict[str, Answer | None]:
    honest = _batch()
    return {
        "bad_reply": _always(b"junk"),
        "wrong_version": _always(struct.pack(">BBd", 9, 1, 0.0) + b"x"),
        "not_msgpack": _always(FetchReply(BATCH, 0.0, b"\xc1\xff").encode()),
        "wrong_fields": _always(FetchReply(BATCH, 0.0, b"\x80").encode()),
        "too_large": _always(honest + b"\0" * (2 * 1024 * 1024)),
        "stale": _always(_batch(age=3000, claimed=1.0)),
        "from_future": _always(_batch(age=-3000)),
        "timeout": _hang,
        "handler": _fail,
        "unsupported": None,
    }


@contextlib.asynccontextmanager
async def _peer(directory: Path, answer: Answer | None, bootnode: str) -> AsyncIterator[Generation]:
    key = directory / f"{free_port()}.pem"
    key.write_bytes(generate_key())
    options = P2pdOptions(key, (f"/ip4/127.0.0.1/tcp/{free_port()}",), ())
    servicer: Any = _Servicer(answer)
    generation = await Generation.start(1, options, Carried(), servicer)
    try:
        entry = parse_bootnode(bootnode)
        await generation.dial_bootnode(entry)
        await generation.ping(entry.peer_id)
        await generation.walk(own=True)
        yield generation
    finally:
        await generation.kill()


@pytest.fixture
def honest(daemons: Daemons) -> Daemon:
    """A daemon with a batch."""
    daemon = daemons.start("honest").up()
    daemon.publish(1, group(77))
    return daemon


async def test_hostile_answers_are_refused_and_counted(daemons: Daemons, honest: Daemon, tmp_path: Path) -> None:
    use_socket_directory(tmp_path)
    bootnode = honest.address
    victim = daemons.start("victim", bootnode)
    async with contextlib.AsyncExitStack() as stack:
        answers = _answers()
        for answer in answers.values():
            await stack.enter_async_context(_peer(tmp_path, answer, bootnode))
        async with asyncio.timeout(60):
            await asyncio.to_thread(victim.wait, lambda status: status["peers"] == len(answers) + 1)
        batches, counts = await asyncio.to_thread(victim.collect, 1000, 8000)
    assert list(batches) == [honest.status()["peer_id"]]
    refused = {"bad_reply", "wrong_version", "not_msgpack", "wrong_fields", "too_large", "stale", "from_future"}
    assert counts["rejected"] == dict.fromkeys(refused, 1)
    assert counts["failed"] == 3
    assert counts["asked"] == len(answers) + 1
    status = victim.status()
    assert status["rejected"] == counts["rejected"]
    assert status["fetches"] == {"batch": 1, "rejected": len(refused), "failed": 3}
    assert status["rebuilds"] == 0
    text = victim.http.get("/metrics").text
    for reason in ("timeout", "handler", "unsupported"):
        assert f'rlswarm_dht_failed_total{{reason="{reason}"}} 1.0' in text


async def test_a_caller_that_asks_too_often_hears_busy(honest: Daemon, tmp_path: Path) -> None:
    use_socket_directory(tmp_path)
    target = honest.status()["peer_id"]
    async with _peer(tmp_path, None, honest.address) as generation:
        replies = [FetchReply.decode(await generation.fetch(target, 5.0)) for _ in range(60)]
    kinds = [reply.kind for reply in replies]
    assert kinds[:16] == [1] * 16
    assert kinds.count(2) >= 20
    assert len(replies[-1].encode()) < 200
    assert 'rlswarm_dht_refused_total{reason="rate"}' in honest.http.get("/metrics").text

"""The holes of upstream's DHT, tried by a hostile peer over libp2p against our daemons: overwriting, poisoning ahead of
time, plain values, junk that nobody can decode, a dictionary grown over the limit, floods, junk answers of a holder."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from tests.support.daemons import Daemon, Daemons
from tests.support.interop import record
from tests.support.ports import free_port

from swarm_core.identity import generate_key
from swarm_dht.addresses import parse_bootnode
from swarm_dht.compat.round_key import key_of
from swarm_dht.generation import Carried, Generation, P2pdOptions
from swarm_dht.guard import MAX_CALLER_BYTES, MAX_KEY_BYTES
from swarm_dht.libp2p import PeerID, dht_pb2, use_socket_directory
from swarm_node.tasks import TaskSet

TASKS = TaskSet.load("embedded")
ROUND = 501


class _Nothing:
    """No handlers of our exchange."""

    async def add_p2p_handlers(self, p2p: Any, *, namespace: str) -> None:
        return


class Attacker:
    """A node that stores whatever it likes wherever it likes, as any stock hivemind node may."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.protocol = generation.dht.protocol

    async def store(
        self, target: Daemon, tag: bytes, value: bytes, seconds: float = 650.0, number: int = ROUND
    ) -> bool:
        """Ask `target` to store; whether it says that it did."""
        request = dht_pb2.StoreRequest(
            keys=[key_of(number).to_bytes()], subkeys=[tag], values=[value], expiration_time=[time.time() + seconds],
            in_cache=[False], peer=self.protocol.node_info,
        )  # fmt: skip
        peer = PeerID.from_base58(await asyncio.to_thread(lambda: target.status()["peer_id"]))
        answer = await self.protocol.get_stub(peer).rpc_store(request, timeout=10)
        return all(answer.store_ok)

    def subkey(self, peer: str) -> bytes:
        """A subkey as hivemind packs it."""
        packed: bytes = self.protocol.serializer.dumps(peer)
        return packed


@contextlib.asynccontextmanager
async def attacker(directory: Path, bootnode: str) -> AsyncIterator[Attacker]:
    use_socket_directory(directory)
    key = directory / f"{free_port()}.pem"
    key.write_bytes(generate_key())
    options = P2pdOptions(key, (f"/ip4/127.0.0.1/tcp/{free_port()}",), ())
    servicer: Any = _Nothing()
    generation = await Generation.start(1, options, Carried(), servicer)
    try:
        entry = parse_bootnode(bootnode)
        await generation.dial_bootnode(entry)
        await generation.ping(entry.peer_id)
        await generation.walk(own=True)
        yield Attacker(generation)
    finally:
        await generation.kill()


@pytest.fixture
def pair(daemons: Daemons) -> tuple[Daemon, Daemon]:
    """Two daemons that share with genrl peers."""
    one = daemons.start("one", SWARM_DHT_COMPAT="genrl").up()
    two = daemons.start("two", one.address, SWARM_DHT_COMPAT="genrl").up()
    for daemon in (one, two):
        daemon.wait(lambda status: status["state"] == "ready" and status["peers"] >= 1)
    return one, two


def put(daemon: Daemon, number: int = ROUND) -> None:
    answer = daemon.http.put(f"/v1/genrl/{number}", content=record(TASKS, daemon.status()["peer_id"], number))
    assert answer.json()["replicas"] >= 1


def reads(reader: Daemon, author: Daemon, number: int = ROUND) -> bool:
    """Whether `reader` gets the record of `author`, as it was written and signed."""
    batch = reader.collect(want=100, genrl_round=number)[0].get(author.status()["peer_id"])
    return batch is not None and batch.round == number and len(batch.groups) == 2


async def test_every_hole_at_once(pair: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    one, two = pair
    victim = one.status()["peer_id"]
    bad = msgpack.packb(b"forged")
    big = msgpack.packb(b"x" * 200_000)
    async with attacker(tmp_path, one.address) as evil:
        own = evil.generation.peer_id
        # hole 1, in advance: the attacker poisons the round before the victim writes
        for target in pair:
            await evil.store(target, evil.subkey(victim), bad, 690.0)
        await asyncio.to_thread(put, one)
        assert await asyncio.to_thread(reads, two, one), "the owner's record must displace the forgery"
        for target in pair:
            assert not await evil.store(target, evil.subkey(victim), bad, 699.0)  # hole 1, afterwards
            assert not await evil.store(target, evil.subkey(own), bad, 10 * 365 * 86400.0)  # kept for ten years
            assert not await evil.store(target, evil.protocol.IS_REGULAR_VALUE, bad)  # hole 2
            assert not await evil.store(target, evil.subkey(own), b"\xc1\xff")  # hole 4
            assert not await evil.store(target, evil.protocol.IS_DICTIONARY, b"\xc1\xff")
            for number in range(60):  # holes 3 and 6
                await evil.store(target, evil.subkey(own), big, number=number)
                await evil.store(target, evil.subkey(f"Qm{number:044d}".replace("0", "z")), big)
        assert await asyncio.to_thread(reads, two, one)
        await asyncio.to_thread(put, two)
        assert await asyncio.to_thread(reads, one, two), "the round is still open to those who come later"
    for daemon in pair:
        status = daemon.status()
        assert status["store"]["bytes"] <= MAX_CALLER_BYTES + MAX_KEY_BYTES
        assert status["rebuilds"] == 0
        refused = status["store"]["refused"]
        assert {"not_owner", "ttl", "plain_value", "not_bytes", "not_dictionary", "quota"} <= set(refused)


async def test_a_holder_that_answers_junk_costs_a_read_only_itself(pair: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    one, two = pair
    await asyncio.to_thread(put, one)
    async with attacker(tmp_path, one.address) as evil:

        async def junk(request: Any, context: Any) -> Any:
            results = [
                dht_pb2.FindResult(type=dht_pb2.FOUND_DICTIONARY, value=b"\xc1\xff", expiration_time=time.time() + 99)
            ]
            return dht_pb2.FindResponse(results=results * len(request.keys), peer=evil.protocol.node_info)

        await evil.generation._p2p.remove_protobuf_handler("DHTProtocol.rpc_find")
        await evil.generation._p2p.add_protobuf_handler("DHTProtocol.rpc_find", junk, dht_pb2.FindRequest)
        async with asyncio.timeout(60):
            while not (await asyncio.to_thread(two.status))["compat"]["refused"].get("not_dictionary"):
                assert await asyncio.to_thread(reads, two, one)

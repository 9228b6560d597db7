"""Peers of both versions understand each other over real libp2p, and what is larger than 1 MiB comes over a stream."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.daemons import Daemon, Daemons, Swarm, group
from tests.support.ports import free_port

from swarm_core.identity import generate_key
from swarm_core.records import GroupBatch, RolloutGroup
from swarm_dht.addresses import parse_bootnode
from swarm_dht.generation import Carried, Generation, P2pdOptions
from swarm_dht.libp2p import BytesValue, use_socket_directory
from swarm_dht.wire import BATCH, NONE, SAME, FetchReply, FetchRequest

TOKENIZER = "0f" * 32


def sampled(seed: int, tokens: int = 3, text: str = "x") -> RolloutGroup:
    rng = random.Random(seed)  # values that a float32 holds, and that do not compress
    rows = tuple(tuple(-rng.randrange(2**22) / 2**10 for _ in range(tokens)) for _ in range(2))
    completions = (text, text + "y")
    return replace(group(seed), completions=completions, logprobs=rows, tokenizer=TOKENIZER)


class OldServicer:
    """A peer of version 1: it ignores what the request says and knows no other form of answer."""

    def __init__(self, batch: GroupBatch) -> None:
        self._batch = batch

    async def add_p2p_handlers(self, p2p: Any, *, namespace: str) -> None:
        async def handle(request: Any, context: Any) -> Any:
            return BytesValue(value=FetchReply(BATCH, 0.0, self._batch.encode()).encode())

        await p2p.add_protobuf_handler(f"{namespace}::RolloutExchange.rpc_fetch", handle, BytesValue)


@contextlib.asynccontextmanager
async def old_peer(directory: Path, bootnode: Daemon, batch: GroupBatch) -> AsyncIterator[Generation]:
    use_socket_directory(directory)
    key = directory / "old.pem"
    key.write_bytes(generate_key())
    servicer: Any = OldServicer(batch)
    options = P2pdOptions(key, (f"/ip4/127.0.0.1/tcp/{free_port()}",), ())
    generation = await Generation.start(1, options, Carried(), servicer)
    try:
        entry = parse_bootnode(bootnode.address)
        await generation.dial_bootnode(entry)
        await generation.ping(entry.peer_id)
        yield generation
    finally:
        await generation.kill()


async def test_old_and_new_peers_use_each_others_groups(daemons: Daemons, tmp_path: Path) -> None:
    new = daemons.start("new").up()
    own = sampled(1)
    new.publish(1, own)
    theirs = GroupBatch(1, time.time(), (group(2),))
    async with old_peer(tmp_path, new, theirs) as old:
        raw = await old.fetch(new.status()["peer_id"], 5.0)
        reply = FetchReply.decode(raw)
        assert raw[0] == 1
        assert GroupBatch.decode(reply.data).groups == (own.plain(),)
        await asyncio.to_thread(new.wait, lambda status: status["peers"] == 1)
        batches, counts = await asyncio.to_thread(new.collect)
        assert batches == {old.peer_id: theirs}
        assert counts["rejected"] == {}


async def test_new_peers_send_extras_and_say_same(daemons: Daemons, tmp_path: Path) -> None:
    new = daemons.start("new").up()
    target = new.status()["peer_id"]
    async with old_peer(tmp_path, new, GroupBatch(1, 0.0, ())) as caller:
        nothing = await caller.fetch(target, 5.0, FetchRequest())
        assert FetchReply.decode(nothing).kind == NONE
        assert len(nothing) <= 200
        new.publish(2, sampled(2))
        first = FetchReply.decode(await caller.fetch(target, 5.0, FetchRequest()))
        data = first.payload()
        assert GroupBatch.decode(data).groups == (sampled(2),)
        again = await caller.fetch(target, 5.0, FetchRequest(have=hashlib.sha256(data).digest()[:8]))
        assert FetchReply.decode(again).kind == SAME
        assert len(again) <= 200


def test_a_large_batch_is_streamed_and_an_unchanged_one_not_sent_again(swarm: Swarm) -> None:
    groups = [sampled(seed, tokens=4000, text=hashlib.shake_256(bytes([seed])).hexdigest(7900)) for seed in range(50)]
    swarm.one.publish(1, *groups)
    peer = swarm.one.status()["peer_id"]
    batches, counts = swarm.two.collect(want=1000, deadline_ms=15000)
    assert counts["rejected"] == {}
    assert counts["failed"] == 0, swarm.two.http.get("/metrics").text + swarm.two.log_text[-3000:]
    assert batches[peer].groups == tuple(groups)
    received = swarm.two.status()["bytes_received"]
    assert received > 1024 * 1024
    batches, _ = swarm.two.collect(want=1000, deadline_ms=15000)
    assert batches[peer].groups == tuple(groups)
    assert swarm.two.status()["bytes_received"] - received < 200


def test_publishing_more_than_a_mebibyte(swarm: Swarm) -> None:
    groups = [sampled(seed, tokens=4000, text=hashlib.shake_256(bytes([seed])).hexdigest(7900)) for seed in range(60)]
    assert 1024 * 1024 < len(GroupBatch(1, 0.0, tuple(groups)).encode()) < 4 * 1024 * 1024
    assert swarm.one.publish(3, *groups)["serving"] == 60

"""The client of the daemon over a real unix socket: what it sends, what it makes of answers, and of none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgpack
import pytest
from tests.support.stub_daemon import PEER, StubDaemon

from swarm_core.records import GroupBatch, RolloutGroup
from swarm_node.exchange import Exchange

GROUP = RolloutGroup("t", 1, "q", "a", ("1", "0"), (1.0, 0.0))
OTHER = RolloutGroup("t", 2, "q", "a", ("1", "0"), (1.0, 0.0))
BATCH = GroupBatch(4, 100.0, (GROUP, OTHER))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[StubDaemon]:
    with StubDaemon(tmp_path / "dht.sock") as daemon:
        yield daemon


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Exchange]:
    exchange = Exchange(tmp_path / "dht.sock")
    yield exchange
    await exchange.close()


async def test_with_a_daemon(daemon: StubDaemon, exchange: Exchange) -> None:
    status = await exchange.status()
    assert status is not None
    assert (status.peer_id, status.state) == (PEER, "ready")

    assert await exchange.publish(BATCH)
    assert daemon.published == [BATCH.encode()]

    daemon.batches = [("QmA", 3.5, BATCH.encode()), ("QmB", 0.0, GroupBatch(1, 0.0, (OTHER,)).encode())]
    daemon.rejected = {"stale": 2}
    collected = await exchange.collect(8, 2.5, 600.0)
    assert daemon.asked == [{"want": 8, "max_peers": 32, "deadline_ms": 2500, "max_age_s": 600.0, "wait_s": 0.0}]
    assert (collected.state, collected.rejected) == ("ready", {"stale": 2})
    found = [(entry.peer_id, entry.age, entry.group) for entry in collected.groups]
    assert found == [("QmA", 3.5, GROUP), ("QmA", 3.5, OTHER), ("QmB", 0.0, OTHER)]

    assert await exchange.offer_bootnodes(["/ip4/1.2.3.4/tcp/1/p2p/QmA"])
    assert daemon.bootnodes == ["/ip4/1.2.3.4/tcp/1/p2p/QmA"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xc1",
        msgpack.packb(None),
        msgpack.packb([1]),
        msgpack.packb([["QmA", 1.0]]),
        msgpack.packb([["QmA", 1.0, b"no batch"]]),
        msgpack.packb([["QmA", 1.0, None]]),
    ],
)
async def test_an_answer_that_cannot_be_read_ends_nothing(
    daemon: StubDaemon, exchange: Exchange, answer: bytes
) -> None:
    daemon.raw_answer = answer
    collected = await exchange.collect(1, 0.5, 1.0)
    assert (collected.state, collected.groups) == ("unreadable", [])


@pytest.mark.parametrize("status", [500, 404])
async def test_a_daemon_that_refuses(
    daemon: StubDaemon, exchange: Exchange, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm_node.exchange._SPARE_SECONDS", 0.1)
    daemon.fails_with = status
    assert (await exchange.collect(1, 0.1, 1.0)).state == "unreachable"
    daemon.fails_with = 422  # final, hence quick for the other calls
    assert await exchange.status() is None
    assert not await exchange.publish(BATCH)
    assert not await exchange.offer_bootnodes(["x"])
    assert daemon.bootnodes == []


async def test_without_a_daemon_every_call_ends_soon_and_without_an_error(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_STATUS_SECONDS", "_PUBLISH_SECONDS", "_SPARE_SECONDS"):
        monkeypatch.setattr(f"swarm_node.exchange.{name}", 0.1)
    assert await exchange.status() is None
    assert not await exchange.publish(BATCH)
    collected = await exchange.collect(1, 0.1, 1.0)
    assert (collected.state, collected.groups, collected.rejected) == ("unreachable", [], {})
    assert not await exchange.offer_bootnodes(["x"])


async def test_own_groups_beyond_the_bounds_are_not_sent(daemon: StubDaemon, exchange: Exchange) -> None:
    assert not await exchange.publish(GroupBatch(-1, 0.0, (GROUP,)))
    assert daemon.published == []

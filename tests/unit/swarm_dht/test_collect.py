"""Collecting: random order, enough is enough, the slow are hedged, the deadline holds, faults are counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest
from tests.support.daemons import group

from swarm_core.records import GroupBatch
from swarm_dht.collect import MAX_PEERS, Collected, Collector, CollectRequest, FetchFailed
from swarm_dht.counters import Counters
from swarm_dht.wire import BATCH, BUSY, NONE, FetchReply

Behaviour = Callable[[], Awaitable[bytes]]


class FakeSwarm:
    """A `Transport` whose peers behave as told; `asked` is the order in which they were asked."""

    def __init__(self, behaviours: dict[str, Behaviour]) -> None:
        self.behaviours = behaviours
        self.asked: list[str] = []
        self.waits: list[float] = []
        self.most = 0
        self.running = 0

    def peers(self) -> list[str]:
        return list(self.behaviours)

    async def fetch(self, peer: str, seconds: float, wait: float = 0.0) -> bytes:
        self.asked.append(peer)
        self.waits.append(wait)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            async with asyncio.timeout(seconds):
                return await self.behaviours[peer]()
        except TimeoutError:
            raise FetchFailed("timeout") from None
        finally:
            self.running -= 1


def _batch_bytes(groups: int = 1, age: float = 0.0) -> bytes:
    return GroupBatch(1, time.time() - age, tuple(group(seed) for seed in range(groups))).encode()


def _gives(groups: int = 1, age: float = 0.0, told: float = 0.0, after: float = 0.0) -> Behaviour:
    async def answer() -> bytes:
        await asyncio.sleep(after)
        return FetchReply(BATCH, told, _batch_bytes(groups, age)).encode()

    return answer


def _says(raw: bytes, after: float = 0.0) -> Behaviour:
    async def answer() -> bytes:
        await asyncio.sleep(after)
        return raw

    return answer


def _fails(reason: str) -> Behaviour:
    async def answer() -> bytes:
        raise FetchFailed(reason)

    return answer


async def _run(
    swarm: FakeSwarm, want: int = 1, max_peers: int = 32, deadline: float = 2.0, seed: int = 1
) -> tuple[Collected, Counters]:
    counters = Counters()
    collector = Collector(swarm, counters, random.Random(seed))
    return await collector.collect(CollectRequest(want, max_peers, deadline, 600.0)), counters


async def test_stops_when_there_is_enough() -> None:
    swarm = FakeSwarm({f"p{number}": _gives(2) for number in range(20)})
    result, counters = await _run(swarm, want=6)
    assert 6 <= result.groups <= 2 * 7
    assert len(swarm.asked) <= 7
    assert result.asked == len(swarm.asked)
    assert counters.fetches["batch"] == len(result.batches)
    assert counters.collects == 1


async def test_asks_everybody_once_when_there_is_not_enough() -> None:
    swarm = FakeSwarm({f"p{number}": _says(FetchReply(NONE).encode(), after=0.01) for number in range(10)})
    result, _ = await _run(swarm, want=6)
    assert sorted(swarm.asked) == sorted(swarm.peers())
    assert (result.asked, result.answered, result.none, result.batches) == (10, 10, 10, [])
    assert swarm.most == 4


async def test_order_is_random() -> None:
    orders = set()
    for seed in range(5):
        swarm = FakeSwarm({f"p{number}": _says(FetchReply(NONE).encode()) for number in range(10)})
        await _run(swarm, seed=seed)
        orders.add(tuple(swarm.asked))
    assert len(orders) == 5


@pytest.mark.parametrize(("limit", "asked"), [(3, 3), (100, MAX_PEERS)])
async def test_asks_no_more_than_allowed(limit: int, asked: int) -> None:
    swarm = FakeSwarm({f"p{number}": _says(FetchReply(NONE).encode()) for number in range(50)})
    result, _ = await _run(swarm, max_peers=limit)
    assert result.asked == asked


async def test_no_peers_no_wait() -> None:
    started = time.monotonic()
    result, _ = await _run(FakeSwarm({}), deadline=5.0)
    assert time.monotonic() - started < 0.5
    assert result.counts() == {"asked": 0, "answered": 0, "none": 0, "failed": 0, "rejected": {}, "groups": 0}


async def test_slow_peers_are_hedged_and_the_deadline_holds() -> None:
    swarm = FakeSwarm({f"p{number}": _gives(after=30.0) for number in range(10)})
    started = time.monotonic()
    result, _ = await _run(swarm, deadline=1.3)
    assert 1.2 < time.monotonic() - started < 2.0
    assert result.asked == 6  # four at once, one more after each half second
    assert result.batches == []
    assert swarm.running == 0


async def test_an_answer_behind_hanging_peers_is_found() -> None:
    behaviours: dict[str, Behaviour] = {f"p{number}": _gives(after=30.0) for number in range(4)}
    behaviours["fast"] = _gives()
    for seed in range(5):
        result, _ = await _run(FakeSwarm(dict(behaviours)), deadline=2.0, seed=seed)
        assert [peer for peer, _, _ in result.batches] == ["fast"]


async def test_faults_are_counted_by_kind() -> None:
    swarm = FakeSwarm(
        {
            "dead": _fails("unreachable"),
            "busy": _says(FetchReply(BUSY).encode()),
            "junk": _says(b"junk"),
            "not a batch": _says(FetchReply(BATCH, 0.0, b"\xc1").encode()),
            "old": _gives(age=900.0),
            "told old": _gives(told=900.0),
            "ahead": _gives(age=-900.0),
            "empty": _says(FetchReply(BATCH, 0.0, GroupBatch(1, time.time(), ()).encode()).encode()),
            "good": _gives(3),
        }
    )
    result, counters = await _run(swarm, want=100)
    assert [peer for peer, _, _ in result.batches] == ["good"]
    assert result.counts() == {
        "asked": 9,
        "answered": 8,
        "none": 1,
        "failed": 1,
        "rejected": {"bad_reply": 1, "not_msgpack": 1, "stale": 2, "from_future": 1},
        "groups": 3,
    }
    assert counters.fetches == {"batch": 1, "none": 1, "busy": 1, "failed": 1, "rejected": 5}
    assert counters.failed == {"unreachable": 1}
    assert counters.rejected == result.rejected


async def test_age_is_the_older_of_what_is_told_and_what_is_written() -> None:
    swarm = FakeSwarm({"a": _gives(age=100.0, told=3.0)})
    result, _ = await _run(swarm)
    assert result.batches[0][1] == pytest.approx(100.0, abs=2.0)
    swarm = FakeSwarm({"a": _gives(age=1.0, told=50.0)})
    result, _ = await _run(swarm)
    assert result.batches[0][1] == 50.0


async def test_no_more_payloads_than_needed() -> None:
    swarm = FakeSwarm({f"p{number}": _gives(2, after=0.01) for number in range(40)})
    collector = Collector(swarm, Counters(), random.Random(1))
    for _ in range(20):
        result = await collector.collect(CollectRequest(8, 32, 2.0, 600.0))
        assert result.groups == 8
    assert len(swarm.asked) == 20 * 4


async def test_batches_of_different_sizes_are_still_enough() -> None:
    swarm = FakeSwarm({f"p{number}": _gives(1 + 5 * (number % 2), after=0.001) for number in range(40)})
    collector = Collector(swarm, Counters(), random.Random(1))
    for _ in range(20):
        assert (await collector.collect(CollectRequest(8, 32, 2.0, 600.0))).groups >= 8
    assert swarm.most <= 8


async def test_the_wait_for_news_is_passed_on_and_leaves_time_for_the_answer() -> None:
    swarm = FakeSwarm({"a": _gives()})
    await Collector(swarm, Counters(), random.Random(1)).collect(CollectRequest(1, 32, 1.0, 600.0, wait=5.0))
    assert 0.4 < swarm.waits[0] <= 0.5

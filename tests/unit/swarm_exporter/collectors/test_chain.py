"""Chain readings: cached, one at a time, never holding up a scrape, kept over a short outage, not over a long one."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from swarm_chain.records import RoundInfo
from swarm_core.errors import Unavailable
from swarm_exporter import chain_reader
from swarm_exporter.chain_reader import ChainReader
from swarm_exporter.collectors.chain import ChainCollector
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples


class FakeChain:
    """A contract on which peer `A` has 7 and everybody else is unknown."""

    def __init__(self) -> None:
        self.rounds = 0
        self.preflights = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def preflight(self) -> None:
        self.preflights += 1

    async def round_and_stage(self) -> RoundInfo:
        self.rounds += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return RoundInfo(round=12, stage=0, block=300)

    async def owners(self, peer_ids: Sequence[str]) -> list[str | None]:
        return ["0xabc" if peer == "A" else None for peer in peer_ids]

    async def total_rewards(self, peer_ids: Sequence[str]) -> list[int]:
        return [7 if peer == "A" else 0 for peer in peer_ids]

    async def wins(self, peer_id: str) -> int:
        return 3 if peer_id == "A" else 0

    async def vote_count(self, peer_id: str) -> int:
        return 5 if peer_id == "A" else 0


def _parts(chain: FakeChain, **options: Any) -> tuple[ChainReader, ChainCollector]:
    peers = OwnPeers(60)
    peers.seen("A", "main")
    peers.seen("B", "peer-1")
    reader = ChainReader(chain, **{"min_age": 5.0, **options})
    return reader, ChainCollector(reader, "main", peers)


async def test_readings_and_aliases(rendered: Any) -> None:
    _, collector = _parts(FakeChain())
    samples = Samples()
    assert await collector.collect(samples)
    values = rendered(samples)
    assert values("rlswarm_component_up", node="main", component="chain") == 1
    assert values("rlswarm_chain_round", node="main") == 12
    assert values("rlswarm_chain_block", node="main") == 300
    for name, value in (("rewards", 7), ("wins", 3), ("votes", 5)):
        assert values(f"rlswarm_peer_{name}", node="main", peer_id="A") == value
        assert values(f"gensyn_{name}", node="main", peer_id="A") == value
        assert values(f"gensyn_{name}", node="peer-1", peer_id="B") == 0
    assert values("rlswarm_peer_registered", node="main", peer_id="A") == 1
    assert values("rlswarm_peer_registered", node="peer-1", peer_id="B") == 0


async def test_a_scrape_soon_after_costs_no_request() -> None:
    chain = FakeChain()
    reader, _ = _parts(chain)
    for _ in range(3):
        await reader.newest(["A"])
    assert chain.rounds == 1
    assert chain.preflights == 1


async def test_a_new_peer_is_read_after_a_second_and_does_not_hammer(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = FakeChain()
    reader, _ = _parts(chain)
    now = 1000.0
    monkeypatch.setattr(chain_reader.time, "monotonic", lambda: now)
    await reader.newest(["A"])
    await reader.newest(["A", "B"])
    assert chain.rounds == 1
    now += 1.5
    reading, _ = await reader.newest(["A", "B"])
    assert reading is not None
    assert set(reading.peers) == {"A", "B"}


async def test_a_slow_chain_does_not_hold_up_and_its_reading_arrives_later() -> None:
    chain = FakeChain()
    chain.gate.clear()
    reader, _ = _parts(chain, wait=0.05)
    start = time.monotonic()
    assert await reader.newest(["A"]) == (None, False)
    assert await reader.newest(["A"]) == (None, False)
    assert time.monotonic() - start < 1
    assert chain.rounds == 1  # one reading at a time
    chain.gate.set()
    reading, answered = await reader.newest(["A"])
    assert answered
    assert reading is not None
    assert reading.peers["A"].rewards == 7


async def test_an_outage_shows_as_down_keeps_the_numbers_for_a_while_and_then_drops_them(
    rendered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = FakeChain()
    reader, collector = _parts(chain, min_age=0.0)
    assert await collector.collect(Samples())
    chain.error = Unavailable("no RPC")
    samples = Samples()
    assert not await collector.collect(samples)
    values = rendered(samples)
    assert values("rlswarm_component_up", node="main", component="chain") == 0
    assert values("rlswarm_peer_rewards", node="main", peer_id="A") == 7
    later = time.time() + chain_reader.KEEP_SECONDS + 1
    monkeypatch.setattr(chain_reader.time, "time", lambda: later)
    stale = Samples()
    assert not await collector.collect(stale)
    assert rendered(stale).series(peer_id="A") == set()
    chain.error = None
    assert await collector.collect(Samples())
    assert chain.preflights == 3  # after each failure: it may be another chain than before
    await reader.close()


async def test_a_programming_error_is_not_taken_for_an_outage() -> None:
    chain = FakeChain()
    chain.error = ZeroDivisionError()
    reader, _ = _parts(chain)
    with pytest.raises(ZeroDivisionError):
        await reader.newest(["A"])


async def test_close_ends_a_reading_under_way() -> None:
    chain = FakeChain()
    chain.gate.clear()
    reader, _ = _parts(chain, wait=0.01)
    await reader.newest(["A"])
    await asyncio.wait_for(reader.close(), 1)

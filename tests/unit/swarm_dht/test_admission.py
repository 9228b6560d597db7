"""Callers are held to their rate and the node to its width; who is refused is counted by reason."""

from __future__ import annotations

import asyncio

from swarm_dht.admission import Gate, TokenBuckets


def test_burst_then_rate() -> None:
    buckets = TokenBuckets(rate=2.0, burst=3.0)
    assert [buckets.admit("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert not buckets.admit("a", 0.4)
    assert buckets.admit("a", 0.5)
    assert not buckets.admit("a", 0.5)
    assert [buckets.admit("a", 100.0) for _ in range(4)] == [True, True, True, False]


def test_callers_do_not_share_a_bucket() -> None:
    buckets = TokenBuckets(rate=1.0, burst=1.0)
    assert buckets.admit("a", 0.0)
    assert not buckets.admit("a", 0.0)
    assert buckets.admit("b", 0.0)


def test_a_crowd_of_callers_costs_bounded_memory() -> None:
    buckets = TokenBuckets(max_callers=10)
    for number in range(1000):
        buckets.admit(str(number), 0.0)
    assert len(buckets) == 10


async def test_gate_holds_its_width_and_its_queue() -> None:
    gate = Gate(TokenBuckets(rate=1000.0, burst=1000.0), width=2, queue=3)
    inside, most, release = 0, 0, asyncio.Event()

    async def visit() -> bool:
        nonlocal inside, most
        async with gate.enter("a", 5.0) as admitted:
            if admitted:
                inside += 1
                most = max(most, inside)
                await release.wait()
                inside -= 1
            return admitted

    visits = [asyncio.create_task(visit()) for _ in range(8)]
    await asyncio.sleep(0.02)
    assert inside == 2
    release.set()
    assert sum(await asyncio.gather(*visits)) == 5
    assert most == 2
    assert gate.refused == {"queue": 3}


async def test_gate_gives_up_at_the_deadline_and_frees_its_slots() -> None:
    gate = Gate(TokenBuckets(), width=1)
    async with gate.enter("a", 1.0) as first:
        assert first
        async with gate.enter("b", 0.01) as second:
            assert not second
    async with gate.enter("b", 0.01) as third:
        assert third
    assert gate.refused == {"deadline": 1}


async def test_gate_asks_the_bucket_first() -> None:
    gate = Gate(TokenBuckets(rate=0.001, burst=1.0))
    async with gate.enter("a", 1.0) as first:
        assert first
    async with gate.enter("a", 1.0) as second:
        assert not second
    assert gate.refused == {"rate": 1}

"""Callers are held to their rate and the node to its width; who is refused is counted by reason."""

from __future__ import annotations

import asyncio
from collections import Counter

from swarm_dht.admission import STRANGERS_BURST, STRANGERS_RATE, Gate, TokenBuckets
from swarm_dht.peer_policy import PeerPolicy, Rules
from swarm_dht.reputation import Reputation


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


async def _served(gate: Gate, callers: list[str]) -> Counter[str]:
    """Who of `callers`, one after another, is let in."""
    served: Counter[str] = Counter()
    for caller in callers:
        async with gate.enter(caller, 1.0) as admitted:
            served[caller] += admitted
    return served


async def test_a_flood_of_200_identities_gets_nothing_where_registration_is_asked_for() -> None:
    policy = PeerPolicy(Rules(registered_only=True), "Own", Reputation(), lambda peer: [], lambda: 0.0)
    policy.learn_owners(
        {"Honest": "0xaa", **{f"S{number}": None for number in range(100)}}
    )  # the rest: not asked for yet
    gate = Gate(TokenBuckets(), policy=policy)
    flood = [f"S{number}" for number in range(200) for _ in range(16)]
    served = await _served(gate, [*flood, *["Honest"] * 16])
    assert served.total() == served["Honest"] == 16
    assert gate.refused == {"denied": 200 * 16}


async def test_a_flood_of_200_identities_leaves_room_for_peers_that_gave_something() -> None:
    policy = PeerPolicy(Rules(), "Own", Reputation(), lambda peer: [], lambda: 0.0)
    policy.praised("Honest", 8)
    gate = Gate(TokenBuckets(), policy=policy)
    flood = [f"S{number}" for number in range(200) for _ in range(16)]
    served = await _served(gate, [*flood, *["Honest"] * 16])
    assert served["Honest"] == 16
    # 200 identities with 16 calls each would be 3,200
    assert served.total() - 16 < STRANGERS_BURST + 10 * STRANGERS_RATE
    assert set(gate.refused) == {"strangers"}

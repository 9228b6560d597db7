"""Membership: who is dialled and pinged when, what is remembered of peers that went, and the clock."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from swarm_dht import membership as module
from swarm_dht.bootnodes import Bootnodes
from swarm_dht.membership import Membership

BOOT = "/ip4/10.0.0.1/tcp/38751/p2p/Qm1"


class FakeGeneration:
    """A node in a swarm of `alive` peers; a ping puts a peer into the table or takes it out."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.lost = asyncio.Event()
        self.alive: dict[str, float | None] = {}
        self.linked: dict[str, list[str]] = {}
        self.in_table: set[str] = set()
        self.dialled: list[str] = []
        self.pinged: list[str] = []
        self.patience: list[float] = []
        self.stale: set[str] = set()  # connections to an earlier life of a peer: the first ping closes them
        self.walks: list[bool] = []
        self.around: set[str] = set()

    def table(self) -> list[str]:
        return sorted(self.in_table)

    async def connected(self) -> dict[str, list[str]]:
        return dict(self.linked)

    async def dial(self, peer: str, addresses: list[str], seconds: float = 5.0) -> None:
        self.dialled.append(peer)
        if peer not in self.alive:
            raise ConnectionRefusedError
        self.linked[peer] = addresses

    async def dial_bootnode(self, bootnode: Any) -> None:
        await self.dial(bootnode.peer_id, [bootnode.address.text])

    async def ping(self, peer: str, seconds: float = 5.0) -> float | None:
        self.pinged.append(peer)
        self.patience.append(seconds)
        if peer in self.stale:
            self.stale.discard(peer)
            raise ConnectionResetError
        if peer not in self.alive:
            self.in_table.discard(peer)
            raise TimeoutError
        self.in_table.add(peer)
        return self.alive[peer]

    async def walk(self, own: bool) -> set[str]:
        self.walks.append(own)
        return set(self.around)


class FakeSupervisor:
    """Holds a generation."""

    def __init__(self, generation: FakeGeneration) -> None:
        self.generation: FakeGeneration | None = generation


@pytest.fixture(autouse=True)
def _everything_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(address: Any) -> bool:
        return not address.host.startswith("10.9.")

    monkeypatch.setattr(module, "answers", answers)


def _membership(generation: FakeGeneration, *bootnodes: str) -> Membership:
    supervisor: Any = FakeSupervisor(generation)
    return Membership(supervisor, Bootnodes(bootnodes, "Qm9"), "Qm9", random.Random(1))


async def _tick(membership: Membership, generation: Any) -> None:
    await membership._tick(generation)
    membership.attempted = generation.number


async def test_joins_through_a_bootnode_and_walks_once() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm1": 0.0}
    generation.around = {"Qm2"}
    membership = _membership(generation, BOOT)
    await _tick(membership, generation)
    assert generation.dialled == ["Qm1"]
    assert membership.peers() == ["Qm1", "Qm2"]
    assert membership.count() == 1
    assert generation.walks == [True]
    assert membership.last_remote_success == pytest.approx(time.time(), abs=5)
    await _tick(membership, generation)
    assert generation.dialled == ["Qm1"]
    assert generation.walks == [True]


async def test_a_bootnode_that_does_not_listen_is_not_dialled() -> None:
    generation = FakeGeneration()
    bootnodes = Bootnodes(["/ip4/10.9.0.1/tcp/1/p2p/Qm1"], "Qm9")
    supervisor: Any = FakeSupervisor(generation)
    membership = Membership(supervisor, bootnodes, "Qm9", random.Random(1))
    await _tick(membership, generation)
    assert generation.dialled == []
    assert bootnodes.status(())[0].error == "nobody listens there"


async def test_a_bootnode_that_lost_its_connection_is_dialled_again() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm1": 0.0}
    membership = _membership(generation, BOOT)
    await _tick(membership, generation)
    generation.linked.clear()
    await _tick(membership, generation)
    assert generation.dialled == ["Qm1", "Qm1"]


async def test_a_bootnode_behind_a_stale_connection_is_joined_in_the_same_round() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm1": 0.0}
    generation.stale = {"Qm1"}
    membership = _membership(generation, BOOT)
    await _tick(membership, generation)
    assert generation.dialled == ["Qm1", "Qm1"]
    assert generation.table() == ["Qm1"]


async def test_a_node_alone_waits_only_shortly_for_those_that_seem_connected() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm2": 0.0}
    generation.linked = {"Qm2": [], "Qm3": []}
    membership = _membership(generation)
    await _tick(membership, generation)
    assert generation.patience == [1.0, 1.0]
    await _tick(membership, generation)
    assert set(generation.patience[2:]) == {5.0}


async def test_a_ping_that_was_under_way_when_the_clock_jumped_is_made_again() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm2": 0.0}
    generation.linked = {"Qm2": []}
    membership = _membership(generation)
    await _tick(membership, generation)
    ping = generation.ping

    async def across(peer: str, seconds: float = 5.0) -> float | None:
        await ping(peer, seconds)
        membership.clock_jumped()
        return 1800.0

    generation.ping = across  # type: ignore[method-assign]
    membership.suspect("Qm2")
    await _tick(membership, generation)
    assert membership.clock_offset == 0.0
    generation.ping = ping  # type: ignore[method-assign]
    generation.alive = {"Qm2": 3600.0}
    await _tick(membership, generation)
    assert membership.clock_offset == 3600.0


async def test_a_jump_of_the_clock_ends_the_pause_between_rounds() -> None:
    generation: Any = FakeGeneration()
    membership = _membership(generation)
    pause = asyncio.create_task(membership._pause(600.0, generation))
    await asyncio.sleep(0)
    membership.clock_jumped()
    await asyncio.wait_for(pause, 5)
    with pytest.raises(TimeoutError):  # once
        await asyncio.wait_for(membership._pause(600.0, generation), 0.05)


async def test_a_new_generation_finds_the_old_peers_without_the_bootnode() -> None:
    first = FakeGeneration()
    first.alive = {"Qm5": 0.0}
    first.linked = {"Qm5": ["/ip4/10.0.0.5/tcp/38751"]}
    membership = _membership(first)
    await _tick(membership, first)
    second = FakeGeneration(2)
    second.alive = first.alive
    membership._supervisor.generation = second  # type: ignore[assignment]
    await _tick(membership, second)
    assert second.dialled == ["Qm5"]
    assert second.table() == ["Qm5"]


async def test_a_peer_that_went_is_forgotten_but_tried_again_when_we_are_alone() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm5": 0.0}
    generation.linked = {"Qm5": ["/ip4/10.0.0.5/tcp/38751"]}
    membership = _membership(generation)
    await _tick(membership, generation)
    assert membership.peers() == ["Qm5"]
    generation.alive.clear()
    generation.linked.clear()
    await _tick(membership, generation)
    assert membership.peers() == []
    generation.alive = {"Qm5": 0.0}
    await _tick(membership, generation)
    assert membership.peers() == ["Qm5"]


async def test_who_came_and_went_without_a_word_is_not_asked() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm2": 0.0}
    generation.linked = {"Qm2": []}
    membership = _membership(generation)
    await _tick(membership, generation)
    generation.linked |= {f"Qm{number}x": [] for number in range(5)}  # more than are pinged in a round
    await _tick(membership, generation)
    assert set(membership.peers()) - {"Qm2"}  # a peer behind NAT may be heard over its own connection only
    generation.linked = {"Qm2": []}
    await _tick(membership, generation)
    assert membership.peers() == ["Qm2"]


async def test_who_came_and_went_and_is_known_to_others_stays() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm2": 0.0, "Qm5": 0.0}
    generation.linked = {"Qm2": [], "Qm7": []}
    generation.around = {"Qm7"}
    membership = _membership(generation)
    await _tick(membership, generation)
    generation.linked = {"Qm2": []}
    await _tick(membership, generation)
    assert "Qm7" in membership.peers()


async def test_suspects_are_pinged() -> None:
    generation = FakeGeneration()
    generation.alive = dict.fromkeys(("Qm2", "Qm3"), 0.0)
    generation.linked = {"Qm2": [], "Qm3": []}
    membership = _membership(generation)
    await _tick(membership, generation)
    assert sorted(generation.table()) == ["Qm2", "Qm3"]
    del generation.alive["Qm3"]
    membership.suspect("Qm3")
    await _tick(membership, generation)
    assert generation.table() == ["Qm2"]


async def test_clock_offset_is_the_median() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm2": 0.1, "Qm3": -0.2, "Qm4": 9000.0}
    generation.linked = {peer: [] for peer in generation.alive}
    membership = _membership(generation)
    assert membership.clock_offset == 0.0
    await _tick(membership, generation)
    assert membership.clock_offset == 0.1


async def test_what_is_remembered_is_bounded() -> None:
    generation = FakeGeneration()
    membership = _membership(generation)
    for number in range(2000):
        membership.succeeded(f"Qm{number}x")
        membership.suspect(f"Qm{number}x")
    assert len(membership.known) == 512
    assert len(membership._suspects) == 512


async def test_p2pd_is_doubted_after_a_minute_with_bootnodes_that_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    generation: Any = FakeGeneration()
    generation.started = now
    membership = _membership(generation, BOOT)
    replaced: list[str] = []
    supervisor: Any = membership._supervisor
    supervisor.replace = lambda generation, reason: replaced.append(reason)
    for _ in range(3):
        await _tick(membership, generation)
        membership._doubt(generation)
    assert replaced == []  # three joins failed, but the minute is not over
    now += 61
    membership._doubt(generation)
    assert replaced == ["p2pd reaches nobody although bootnodes listen"]
    for _ in range(3):
        await _tick(membership, generation)
    membership._doubt(generation)
    now += 100
    membership._doubt(generation)
    assert len(replaced) == 1  # the next time it takes twice as long: it may not be p2pd's fault
    now += 30
    membership._doubt(generation)
    assert len(replaced) == 2


async def test_a_jump_of_our_clock_makes_others_asked_again() -> None:
    generation = FakeGeneration()
    generation.alive = {"Qm2": 3600.0}
    generation.linked = {"Qm2": []}
    membership = _membership(generation)
    await _tick(membership, generation)
    assert membership.clock_offset == 3600.0
    generation.alive = {"Qm2": 0.0}
    membership.clock_jumped()
    assert membership.clock_offset == 0.0
    await _tick(membership, generation)
    assert generation.pinged[-1] == "Qm2"

"""When a round begins: with the contract while the chain answers, by our own clock otherwise, anew after a reset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_chain.errors import ContractError, RpcRefused, WrongChain, WrongContract
from swarm_chain.records import RoundInfo
from swarm_core.errors import FatalError, SwarmError, Unavailable
from swarm_node import rounds as rounds_module
from swarm_node.ledger import Ledger
from swarm_node.rounds import ChainRound, RoundClock


class World:
    """Time that passes only while the clock sleeps, and a chain in it."""

    chain_id = 53855
    coordinator = "0xc0"

    def __init__(self) -> None:
        self.now = 100.0
        self.stop = asyncio.Event()
        self.round_at: Callable[[float], int] = lambda now: int(now // 10)
        self.genesis = "0xaa"
        self.error: SwarmError | None = None
        self.reads = 0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> bool:
        self.now += seconds
        return self.stop.is_set()

    async def preflight(self) -> None:
        self._fail()

    async def block_hash(self, number: int) -> str | None:
        self._fail()
        assert number == 0
        return self.genesis

    async def round_and_stage(self) -> RoundInfo:
        self._fail()
        self.reads += 1
        return RoundInfo(self.round_at(self.now), 1, 0)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(rounds_module, "time", world)
    return world


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.json")


@pytest.fixture
def clock(world: World, ledger: Ledger) -> RoundClock:
    return RoundClock(world, ledger, world)  # type: ignore[arg-type]


async def test_it_follows_the_contract(world: World, clock: RoundClock) -> None:
    await clock.check()
    assert [await clock.next() for _ in range(3)] == [ChainRound(number, 1) for number in (10, 11, 12)]
    assert 120 <= world.now < 126  # each was noticed within the longest pause
    assert (clock.current, clock.reachable, clock.behind) == (12, True, 0)


async def test_a_round_that_took_longer_than_the_contracts_goes_to_the_newest(world: World, clock: RoundClock) -> None:
    assert await clock.next() == ChainRound(10, 1)
    world.now = 137.0  # the training
    await clock.refresh()
    assert (clock.current, clock.behind) == (13, 3)
    assert await clock.next() == ChainRound(13, 1)
    assert (world.now, clock.behind) == (137.0, 0)


async def test_waiting_reads_rarely(world: World, clock: RoundClock) -> None:
    world.round_at = lambda now: int(now // 600)
    await clock.next()
    before = world.reads
    await clock.next()
    assert world.now >= 600
    assert world.reads - before < 120


@pytest.mark.parametrize(
    "error", [Unavailable("x"), ContractError("X"), RpcRefused(1, "x"), WrongChain("x"), WrongContract("x")]
)
async def test_without_a_chain_rounds_follow_by_our_own_clock(
    world: World, clock: RoundClock, error: SwarmError
) -> None:
    world.error = error
    assert await clock.next() is None
    assert world.now == 100.0  # the first at once
    assert await clock.next() is None
    assert world.now == pytest.approx(110.0)
    assert (clock.current, clock.reachable, clock.behind) == (None, False, 0)


@pytest.mark.parametrize(("period", "pace"), [(20, 20), (600, 60)])
async def test_the_last_pace_seen_is_kept_through_an_outage(
    world: World, clock: RoundClock, period: int, pace: float
) -> None:
    world.now, world.round_at = float(10 * period), lambda now: int(now // period)
    await clock.next()
    await clock.next()  # waited for: this tells the pace
    world.error = Unavailable("x")
    start = world.now
    await clock.next()
    await clock.next()
    assert world.now - start == pytest.approx(2 * pace, abs=2 * 5.0)  # as exact as the longest pause


async def test_the_chain_returns(world: World, clock: RoundClock) -> None:
    await clock.next()
    world.error = Unavailable("x")
    assert await clock.next() is None
    world.error = None
    now = await clock.next()
    assert now is not None
    assert now.round >= 11
    assert clock.reachable


async def test_the_round_in_which_the_chain_left_is_not_begun_twice(world: World, clock: RoundClock) -> None:
    world.round_at = lambda now: 10
    assert await clock.next() == ChainRound(10, 1)
    world.error = Unavailable("x")
    await clock.next()
    world.error, world.round_at = None, lambda now: 10 if now < 200 else 11
    assert await clock.next() == ChainRound(11, 1)


async def test_a_reset_chain_starts_rounds_over(world: World, clock: RoundClock, ledger: Ledger) -> None:
    await clock.check()
    assert await clock.next() == ChainRound(10, 1)
    ledger.credit("c0ffee", 0, 2.0)
    assert ledger.report(10, 1, [], "QmOwn") is not None
    world.genesis, world.round_at = "0xbb", lambda now: 0
    assert await clock.next() == ChainRound(0, 1)
    assert ledger.outgoing() == []  # it was for the old chain; its reward is pending again
    assert ledger.pending == 2.0
    assert ledger.report(0, 1, [], "QmOwn") is not None


async def test_a_chain_that_lost_its_last_blocks_is_the_same_chain(
    world: World, clock: RoundClock, ledger: Ledger
) -> None:
    await clock.next()
    ledger.credit("c0ffee", 0, 2.0)
    ledger.report(10, 1, [], "QmOwn")
    world.round_at = lambda now: 9
    assert await clock.next() == ChainRound(9, 1)
    assert len(ledger.outgoing()) == 1


async def test_stopping_ends_the_wait(world: World, clock: RoundClock) -> None:
    world.round_at = lambda now: 10
    await clock.next()
    world.stop.set()
    assert await clock.next() is None


async def test_a_stop_ends_the_wait_of_our_own_clock(world: World, clock: RoundClock) -> None:
    world.error = Unavailable("x")
    world.stop.set()
    assert await clock.next() is None


async def test_check_tolerates_an_absent_chain_only(world: World, clock: RoundClock) -> None:
    world.error = Unavailable("refused")
    await clock.check()
    for error in (WrongChain("The RPC serves chain 1."), WrongContract("No coordinator there.")):
        world.error = error
        with pytest.raises(FatalError, match=str(error)):
            await clock.check()

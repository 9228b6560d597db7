"""The supervisor replaces a lost generation, redoes what was in flight, kills before it starts, and backs off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from swarm_core.runner import Service
from swarm_dht import supervisor as module
from swarm_dht.generation import Generation
from swarm_dht.libp2p import P2PDaemonError
from swarm_dht.supervisor import Supervisor
from swarm_dht.vitality import Vitality


class FakeGeneration:
    """A generation that dies when told."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lost = asyncio.Event()
        self.started = asyncio.get_running_loop().time()
        self.peer_id = "self"
        self.pid = 0  # of no process: one that does no work
        self.death = asyncio.Event()
        self.answering = True
        self.killed = False

    async def died(self) -> str:
        await self.death.wait()
        return "p2pd exited with -9"

    async def identify(self) -> list[str]:
        if not self.answering:
            await asyncio.sleep(60)
        return ["/ip4/127.0.0.1/tcp/1"]

    async def kill(self) -> None:
        self.killed = True


class Factory:
    """Starts fake generations; fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.made: list[FakeGeneration] = []
        self.attempts = 0

    async def __call__(self, number: int) -> Any:
        assert all(generation.killed for generation in self.made), "the old p2pd must be gone first"
        self.attempts += 1
        if self.attempts <= self.failures:
            raise P2PDaemonError("no")
        self.made.append(FakeGeneration(number))
        return self.made[-1]


@asynccontextmanager
async def _running(factory: Factory) -> AsyncIterator[tuple[Supervisor, Service]]:
    service = Service("test")
    supervisor = Supervisor(factory, random.Random(1))
    task = asyncio.create_task(supervisor.run(service))
    try:
        yield supervisor, service
    finally:
        service.stop.set()
        await asyncio.wait_for(task, 2)


async def _until(check: Callable[[], bool], seconds: float = 2.0) -> None:
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 - the supervisor has no event for each thing looked at
            await asyncio.sleep(0.005)


async def _number(generation: Generation) -> int:
    return generation.number


async def test_a_lost_generation_is_replaced() -> None:
    factory = Factory()
    async with _running(factory) as (supervisor, _):
        assert await supervisor.call(_number, 1.0) == 1
        factory.made[0].death.set()
        await _until(lambda: supervisor.number == 2)
        assert factory.made[0].lost.is_set()
        assert factory.made[0].killed
        assert (supervisor.rebuilds, supervisor.degraded) == (1, False)
        assert await supervisor.call(_number, 1.0) == 2
    assert factory.made[1].killed


async def test_what_was_in_flight_is_redone_on_the_next_generation() -> None:
    factory = Factory()

    async def hangs_on_the_first(generation: Generation) -> int:
        if generation.number == 1:
            await asyncio.sleep(60)
        return generation.number

    async with _running(factory) as (supervisor, _):
        call = asyncio.create_task(supervisor.call(hangs_on_the_first, 3.0))
        await _until(lambda: supervisor.number == 1)
        await asyncio.sleep(0.02)
        factory.made[0].death.set()
        assert await call == 2


async def test_a_broken_pipe_waits_for_the_verdict_and_is_redone() -> None:
    factory = Factory()

    async def breaks_on_the_first(generation: Generation) -> int:
        if generation.number == 1:
            factory.made[0].death.set()
            raise ConnectionRefusedError
        return generation.number

    async with _running(factory) as (supervisor, _):
        assert await supervisor.call(breaks_on_the_first, 3.0) == 2


async def test_an_error_of_the_operation_itself_is_raised() -> None:
    async def fails(generation: Generation) -> int:
        raise P2PDaemonError("no such peer")

    async with _running(Factory()) as (supervisor, _):
        with pytest.raises(P2PDaemonError, match="no such peer"):
            await supervisor.call(fails, 3.0)


async def test_a_call_ends_at_its_deadline_without_a_generation() -> None:
    async with _running(Factory(failures=1000)) as (supervisor, _):
        with pytest.raises(TimeoutError):
            await supervisor.call(_number, 0.1)
        assert "p2pd does not start: no" in supervisor.reason
        assert supervisor.generation is None


async def test_starting_is_tried_again() -> None:
    factory = Factory(failures=2)
    async with _running(factory) as (supervisor, _):
        assert await supervisor.call(_number, 3.0) == 1
        assert factory.attempts == 3
        assert supervisor.reason == ""


async def test_a_hung_p2pd_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROBE_SECONDS", 0.02)
    monkeypatch.setattr(module, "_PROBE_EVERY_SECONDS", 0.01)
    factory = Factory()
    async with _running(factory) as (supervisor, _):
        await _until(lambda: supervisor.listen == ["/ip4/127.0.0.1/tcp/1"])
        factory.made[0].answering = False
        await _until(lambda: supervisor.number == 2)
        assert factory.made[0].killed


async def test_a_p2pd_at_work_on_a_busy_machine_gets_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROBE_SECONDS", 0.02)
    monkeypatch.setattr(module, "_PROBE_EVERY_SECONDS", 0.01)
    looks: list[int] = []

    def look(pid: int) -> Vitality:
        looks.append(pid)
        return Vitality("S", len(looks))  # more ticks at every look

    monkeypatch.setattr(module, "look", look)
    factory = Factory()
    async with _running(factory) as (supervisor, _):
        await _until(lambda: supervisor.listen == ["/ip4/127.0.0.1/tcp/1"])
        factory.made[0].answering = False
        await _until(lambda: len(looks) >= 2 * module._PROBES_LOST + 4)
        assert supervisor.number == 1, "not replaced after as many probes as a hung one"
        await _until(lambda: supervisor.number == 2)  # but not for ever


async def test_many_rebuilds_are_slowed_down_and_said() -> None:
    factory = Factory()
    async with _running(factory) as (supervisor, service):
        for number in range(1, 7):
            await _until(lambda number=number: supervisor.number == number)  # type: ignore[misc]
            assert not supervisor.degraded
            factory.made[-1].death.set()
        await _until(lambda: supervisor.degraded)
        assert supervisor.rebuilds == 6
        assert not service.stop.is_set()
        assert supervisor.number == 6


async def test_twenty_deaths_after_work_are_not_slowed_down() -> None:
    factory = Factory()

    async def identify(generation: Generation) -> list[str]:
        return await generation.identify()

    async with _running(factory) as (supervisor, _):
        for number in range(1, 21):
            await _until(lambda number=number: supervisor.number == number)  # type: ignore[misc]
            await supervisor.call(identify, 5.0)
            factory.made[-1].death.set()
        await _until(lambda: supervisor.number == 21)
        assert not supervisor.degraded


async def test_a_generation_that_was_given_up_is_replaced_once() -> None:
    factory = Factory()
    async with _running(factory) as (supervisor, _):
        await _until(lambda: supervisor.number == 1)
        first: Any = factory.made[0]
        supervisor.replace(first, "reaches nobody")
        await _until(lambda: supervisor.number == 2)
        assert first.killed
        supervisor.replace(first, "too late")
        await asyncio.sleep(0.05)
        assert (supervisor.number, supervisor.rebuilds) == (2, 1)

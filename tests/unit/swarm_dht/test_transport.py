"""Fetches over a generation: a call that hangs is knocked loose, and its peer gets time to come back from then on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from swarm_dht import transport as module
from swarm_dht.collect import FetchFailed
from swarm_dht.counters import Counters
from swarm_dht.libp2p import P2PDaemonError
from swarm_dht.traffic import Traffic
from swarm_dht.transport import SwarmTransport
from swarm_dht.wire import NONE, FetchReply, FetchRequest

ANSWER = FetchReply(NONE, 0.0, b"").encode(2)


class FakeGeneration:
    """A connection on which calls do what `calls` says, in turn; a knock ends those that hang."""

    def __init__(self, *calls: str) -> None:
        self.started = time.monotonic() - 100
        self._calls = list(calls)
        self._reset = asyncio.Event()
        self.knocks = 0

    async def fetch(self, peer: str, seconds: float, request: FetchRequest) -> bytes:
        call = self._calls.pop(0)
        if call == "hangs":
            async with asyncio.timeout(seconds):
                await self._reset.wait()
            raise P2PDaemonError("received a stateless reset")
        if call == "slow":
            await asyncio.sleep(0.1)
        if call == "unsupported":
            raise P2PDaemonError("failed to negotiate protocol: protocols not supported: [rpc_fetch]")
        if call == "refused":
            raise P2PDaemonError("failed to dial")
        return ANSWER

    async def knock(self, peer: str) -> None:
        self.knocks += 1
        if self.knocks == 3:  # the new p2pd is up
            self._reset.set()


class Swarm:
    """Supervisor and membership as far as the transport uses them."""

    def __init__(self, generation: FakeGeneration) -> None:
        self.generation = generation
        self.suspects: list[str] = []
        self.dials = 0

    async def call(self, operation: Callable[[Any], Awaitable[bytes]], seconds: float) -> bytes:
        async with asyncio.timeout(seconds):
            return await operation(self.generation)

    def peers(self) -> list[str]:
        return ["Qm1"]

    def succeeded(self, peer: str) -> None:
        """Nothing to remember."""

    def suspect(self, peer: str) -> None:
        self.suspects.append(peer)

    async def reconnect(self, generation: Any, peer: str) -> bool:
        self.dials += 1
        return True


def _transport(swarm: Any) -> SwarmTransport:
    return SwarmTransport(swarm, swarm, Counters(), Traffic())


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.02)
    monkeypatch.setattr(module, "KNOCK_SECONDS", 0.01)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.3)


async def test_a_call_that_hangs_on_a_replaced_p2pd_is_knocked_loose_and_made_again() -> None:
    swarm = Swarm(FakeGeneration("answers", "hangs", "refused", "answers"))
    transport = _transport(swarm)
    await transport.fetch("Qm1", 3.0)  # it answered lately
    began = time.monotonic()
    assert await transport.fetch("Qm1", 3.0) == ANSWER
    assert time.monotonic() - began < 2.0
    assert swarm.generation.knocks == 3
    assert swarm.dials == 2
    assert swarm.suspects == []


async def test_a_stranger_that_cannot_be_dialled_gets_no_second_chance() -> None:
    swarm = Swarm(FakeGeneration("refused", "answers"))
    with pytest.raises(FetchFailed, match="unreachable"):
        await _transport(swarm).fetch("Qm1", 3.0)
    assert swarm.suspects == ["Qm1"]
    assert swarm.dials == 0


async def test_only_who_says_again_and_again_that_it_speaks_another_protocol_is_left_alone_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    transport = _transport(Swarm(FakeGeneration(*["unsupported"] * 4)))
    for pause in (0.0, 1.0, 3.0, 600.0):
        assert transport.peers() == ["Qm1"]
        with pytest.raises(FetchFailed, match="unsupported"):
            await transport.fetch("Qm1", 3.0)
        now += pause * 0.9
        assert transport.peers() == ([] if pause else ["Qm1"])
        now += pause * 0.1 + 0.01


async def test_patience_with_a_peer_that_stays_away_ends() -> None:
    swarm = Swarm(FakeGeneration("answers", *["refused"] * 1000))
    transport = _transport(swarm)
    await transport.fetch("Qm1", 3.0)
    began = time.monotonic()
    with pytest.raises(FetchFailed, match="unreachable"):
        await transport.fetch("Qm1", 10.0)
    assert time.monotonic() - began < 5.0
    assert swarm.dials >= 1


async def test_who_is_asked_to_wait_for_news_is_left_in_peace() -> None:
    swarm = Swarm(FakeGeneration("slow", "slow"))
    transport = _transport(swarm)
    await transport.fetch_for("Qm1", FetchRequest(wait=5.0), 6.0)
    assert swarm.generation.knocks == 0
    await transport.fetch_for("Qm1", FetchRequest(), 6.0)
    assert swarm.generation.knocks > 0
    before = swarm.generation.knocks
    await asyncio.sleep(0.05)
    assert swarm.generation.knocks == before  # nobody knocks once the answer is there

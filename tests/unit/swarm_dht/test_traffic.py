"""Bytes are counted by kind and direction whoever calls, also of failed calls; quantiles are of the last fetches."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_dht.traffic import Traffic, kind_of


class Control:
    """As much of hivemind's ControlClient as is counted."""

    def __init__(self) -> None:
        self.unary_handlers: dict[str, Any] = {"DHTProtocol.rpc_find": self.handle}

    async def handle(self, data: bytes, remote: Any) -> bytes:
        return data * 3

    async def call_unary_handler(self, peer: Any, protocol: str, data: bytes) -> bytes:
        if peer == "gone":
            raise ConnectionResetError
        return b"answer"


async def test_both_directions_of_both_sides() -> None:
    traffic, control = Traffic(), Control()
    traffic.watch(control)
    assert await control.call_unary_handler("QmA", "rlx/1::RolloutExchange.rpc_fetch", b"ask") == b"answer"
    assert await control.unary_handlers["DHTProtocol.rpc_find"](b"find", "QmA") == b"findfindfind"
    with pytest.raises(ConnectionResetError):
        await control.call_unary_handler("gone", "rlx/1::RolloutExchange.rpc_fetch", b"ask")
    assert traffic.sent == {"fetch": 6, "dht_find": 12}
    assert traffic.received == {"fetch": 6, "dht_find": 4}


async def test_a_second_generation_adds_to_the_first() -> None:
    traffic = Traffic()
    for _ in range(2):
        control = Control()
        traffic.watch(control)
        await control.call_unary_handler("QmA", "DHTProtocol.rpc_ping", b"x")
    assert traffic.sent == {"dht_ping": 2}


def test_kinds() -> None:
    assert kind_of("rlx/1::RolloutExchange.rpc_swap") == "swap"
    assert kind_of("somebody::else") == "other"


def test_quantiles() -> None:
    traffic = Traffic()
    assert traffic.fetch_seconds() == {}
    for number in range(1000):
        traffic.fetched(number / 1000)
    seconds = traffic.fetch_seconds()
    assert seconds["0.5"] == pytest.approx(0.872, abs=0.01)  # of the last 256 only
    assert seconds["0.5"] < seconds["0.9"] < seconds["0.99"] < 1.0

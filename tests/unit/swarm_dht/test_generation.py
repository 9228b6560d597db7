"""A peer's malformed answer is one of `CALL_ERRORS`, so it is counted against that peer and never ends the daemon."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from swarm_dht import generation as module
from swarm_dht import libp2p
from swarm_dht.generation import CALL_ERRORS, Generation

PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


class Protocol:
    """hivemind's DHTProtocol as far as a ping uses it; `answer` makes what the peer sends back."""

    node_info = libp2p.dht_pb2.NodeInfo()

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.table: list[tuple[Any, bool]] = []

    def get_stub(self, peer: Any) -> Any:
        async def rpc_ping(request: Any, timeout: float) -> Any:
            return self._answer()

        return SimpleNamespace(rpc_ping=rpc_ping)

    async def update_routing_table(self, node_id: Any, peer: Any, responded: bool) -> None:
        self.table.append((node_id, responded))


def too_long_node_id() -> Any:
    """A node id of 32 bytes; real ones have 20."""
    return libp2p.dht_pb2.PingResponse(peer=libp2p.dht_pb2.NodeInfo(node_id=b"\xff" * 32))


def no_protobuf() -> Any:
    """Bytes that are no message, as hivemind reads them."""
    return libp2p.dht_pb2.PingResponse.FromString(b"\xff\xff\x01")


@pytest.mark.parametrize("answer", [too_long_node_id, no_protobuf])
async def test_a_malformed_pong_drops_the_peer(answer: Any) -> None:
    protocol = Protocol(answer)
    generation = Generation(1, None, SimpleNamespace(protocol=protocol))
    with pytest.raises(CALL_ERRORS):
        await generation.ping(PEER)
    assert protocol.table == [(None, False)]


def pong() -> Any:
    """A peer whose clock is ours."""
    return libp2p.dht_pb2.PingResponse(peer=libp2p.dht_pb2.NodeInfo(node_id=b"\x01" * 20), dht_time=time.time())


async def test_a_pong_tells_how_clocks_differ_unless_ours_jumped_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    generation = Generation(1, None, SimpleNamespace(protocol=Protocol(pong)))
    assert await generation.ping(PEER) == pytest.approx(0.0, abs=0.5)

    jump = iter((0.0,))
    real = time.time
    monkeypatch.setattr(module.time, "time", lambda: real() + next(jump, 3600.0))
    assert await generation.ping(PEER) is None
    assert await generation.ping(PEER) == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("answer", [pong, too_long_node_id, no_protobuf])
async def test_a_knock_changes_nothing_whatever_comes_back(answer: Any) -> None:
    protocol = Protocol(answer)
    await Generation(1, None, SimpleNamespace(protocol=protocol)).knock(PEER)
    assert protocol.table == []


def test_a_malformed_batch_answer_is_a_call_error() -> None:
    with pytest.raises(CALL_ERRORS):
        libp2p.BytesValue.FromString(b"\xff\xff")

"""A peer's malformed answer is one of `CALL_ERRORS`, so it is counted against that peer and never ends the daemon."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

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


def test_a_malformed_batch_answer_is_a_call_error() -> None:
    with pytest.raises(CALL_ERRORS):
        libp2p.BytesValue.FromString(b"\xff\xff")

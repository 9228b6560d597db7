"""The libp2p side of the exchange: other peers call `rpc_fetch` and get our newest batch, or "none", or "busy".

Works with the shelf (what is served) and the gate (who may call how often). The handshake of libp2p has proved who
the caller is, so nothing is signed here.
"""

from __future__ import annotations

import time

from swarm_dht.admission import Gate
from swarm_dht.libp2p import BytesValue, P2PContext, ServicerBase
from swarm_dht.shelf import Shelf
from swarm_dht.wire import BATCH, BUSY, FetchReply

_ANSWER_SECONDS = 2.0


class RolloutExchange(ServicerBase):  # type: ignore[misc]
    """Handler of protocol `rlx/1`. hivemind reads the types of `rpc_fetch` from its annotations."""

    def __init__(self, shelf: Shelf, gate: Gate) -> None:
        self._shelf = shelf
        self._gate = gate

    async def rpc_fetch(self, request: BytesValue, context: P2PContext) -> BytesValue:
        """Our newest fresh batch. The request carries nothing yet; a later version may ask for less."""
        caller = str(context.remote_id)
        async with self._gate.enter(caller, _ANSWER_SECONDS) as admitted:
            if not admitted:
                return BytesValue(value=FetchReply(BUSY).encode())
            reply = self._shelf.reply(time.time())
            if reply.kind == BATCH:
                self._shelf.record_fetch(caller, len(reply.data))
            return BytesValue(value=reply.encode())

    @staticmethod
    def request() -> BytesValue:
        """What a caller sends."""
        return BytesValue()

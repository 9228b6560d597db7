"""Bytes through p2pd's control connection by protocol and direction, DHT and exchange alike, and how long fetches take.

Counts survive a generation: `watch` puts them into the control client of each new one. Streams are told by those who
read and write them.
"""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

_KEPT_FETCHES = 256
_KINDS = {
    "RolloutExchange.rpc_fetch": "fetch",
    "RolloutExchange.rpc_swap": "swap",
    "RolloutExchange.rpc_reach": "reach",
    "DHTProtocol.rpc_ping": "dht_ping",
    "DHTProtocol.rpc_find": "dht_find",
    "DHTProtocol.rpc_store": "dht_store",
}
STREAM = "stream"


class Traffic:
    """`received` and `sent` by kind of call; payloads, without libp2p's own frames."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._fetches: deque[float] = deque(maxlen=_KEPT_FETCHES)

    def fetched(self, seconds: float) -> None:
        """A fetch that was answered took `seconds`."""
        self._fetches.append(seconds)

    def fetch_seconds(self) -> dict[str, float]:
        """Quantiles of the last fetches, by name; empty before the second."""
        if len(self._fetches) < 2:
            return {}
        cuts = statistics.quantiles(self._fetches, n=100, method="inclusive")
        return {"0.5": cuts[49], "0.9": cuts[89], "0.99": cuts[98]}

    def watch(self, control: Any) -> None:
        """Count what goes through a hivemind `ControlClient`; call after the handlers are registered."""
        call: Callable[..., Awaitable[bytes]] = control.call_unary_handler

        async def counted(peer: Any, protocol: str, data: bytes) -> bytes:
            kind = kind_of(protocol)
            self.sent[kind] += len(data)
            answer = await call(peer, protocol, data)
            self.received[kind] += len(answer)
            return answer

        control.call_unary_handler = counted
        for protocol, handler in list(control.unary_handlers.items()):
            control.unary_handlers[protocol] = self._serving(kind_of(protocol), handler)

    def _serving(self, kind: str, handler: Callable[..., Awaitable[bytes]]) -> Callable[..., Awaitable[bytes]]:
        async def serve(data: bytes, remote: Any) -> bytes:
            self.received[kind] += len(data)
            answer = await handler(data, remote)
            self.sent[kind] += len(answer)
            return answer

        return serve


def kind_of(protocol: str) -> str:
    """The short name of a protocol, `other` for one that is not ours."""
    return _KINDS.get(protocol.rpartition("::")[2], "other")

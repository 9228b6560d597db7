"""Puts a `StoreGuard` in front of hivemind's storage: what other peers ask us to hold is decided by it.

hivemind names its RPCs by the class that has the methods, so the methods of `DHTProtocol` itself are replaced, once.
A node without a guard stores nothing for others. Works with `guard`; touched by `Generation.start` only.
"""

from __future__ import annotations

import asyncio
from typing import Any

from swarm_dht.guard import Requests, StoreGuard
from swarm_dht.libp2p import DHTID, DHTProtocol, P2PContext, dht_pb2

_MAX_FIND_KEYS = 64
_GUARD = "_rlx_guard"


def guard_store(protocol: Any, guard: StoreGuard) -> None:
    """Let `guard` decide what `protocol` stores."""
    setattr(protocol, _GUARD, guard)


async def _rpc_store(self: Any, request: dht_pb2.StoreRequest, context: P2PContext) -> dht_pb2.StoreResponse:
    """As hivemind's `rpc_store`, but for the decision."""
    if request.peer:
        _background(self.rpc_ping(dht_pb2.PingRequest(peer=request.peer), context))
    guard = getattr(self, _GUARD, None)
    response = dht_pb2.StoreResponse(store_ok=[], peer=self.node_info)
    if guard is None:
        response.store_ok.extend([False] * len(request.keys))
        return response
    response.store_ok.extend(Requests(guard).store(str(context.remote_id), request, self, DHTID.from_bytes))
    return response


_stock_find = DHTProtocol.rpc_find


async def _rpc_find(self: Any, request: dht_pb2.FindRequest, context: P2PContext) -> dht_pb2.FindResponse:
    """As hivemind's `rpc_find`, for a bounded number of keys. Raises ValueError, which the caller is told."""
    if len(request.keys) > _MAX_FIND_KEYS:
        raise ValueError(f"at most {_MAX_FIND_KEYS} keys at a time")
    response: dht_pb2.FindResponse = await _stock_find(self, request, context)
    return response


_tasks: set[asyncio.Task[Any]] = set()


def _background(work: Any) -> None:
    """Run `work` beside the answer; the set keeps it from being collected before it ends."""
    task = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


DHTProtocol.rpc_store = _rpc_store
DHTProtocol.rpc_find = _rpc_find

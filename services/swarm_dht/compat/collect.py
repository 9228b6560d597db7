"""One collect over both ways at once: the native exchange, and the genrl keys of this round and the one before.

What a peer gave natively is preferred to its record under the round's key.
"""

from __future__ import annotations

import asyncio

from swarm_core.records import GroupBatch
from swarm_dht.collect import Collected, Collector, CollectRequest
from swarm_dht.compat.bridge import Batch, GenrlBridge

_ROUNDS_BACK = 1


async def collect_both(collector: Collector, bridge: GenrlBridge, request: CollectRequest, number: int) -> Collected:
    """The native result, with the batches of those that only genrl's keys have."""
    native, foreign = await asyncio.gather(collector.collect(request), _foreign(bridge, request, number))
    heard = {peer for peer, _, _ in native.batches}
    for entry in foreign:
        if entry[0] not in heard:
            native.batches.append(entry)
            native.genrl.add(entry[0])
            native.groups += len(GroupBatch.decode(entry[2]).groups)
    return native


async def _foreign(bridge: GenrlBridge, request: CollectRequest, number: int) -> list[Batch]:
    loop = asyncio.get_running_loop()
    end = loop.time() + request.deadline
    found: list[Batch] = []
    for back in range(_ROUNDS_BACK + 1):
        left = end - loop.time()
        if number < back or left <= 0 or len(found) >= request.want:
            break
        found += await bridge.collect(
            number - back, request.want, left, request.max_age, {peer for peer, _, _ in found}
        )
    return found

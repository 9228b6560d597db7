"""Is our peer key in use elsewhere? Asked once, before p2pd starts with it: two peers with one id split its traffic.

A second p2pd without identity and without listening joins through the bootnodes and tries to reach our own peer id.
Whoever answers is another daemon with a copy of the key. A double behind NAT cannot be reached, so it is not found.
After a crash the swarm still sends the scout to our old address, where a dial over QUIC would wait for seconds; how
long an answer may take is judged by how long the bootnodes took.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from swarm_core.errors import FatalError
from swarm_core.log import get_logger
from swarm_dht.addresses import Bootnode
from swarm_dht.bootnodes import answers
from swarm_dht.libp2p import P2P, Multiaddr, P2PDaemonError, PeerID
from swarm_dht.p2pd import end_p2pd, start_p2pd

_SECONDS = 4.0
_LEAST_SECONDS = 1.5
_TIMES_BOOTNODE = 10.0  # a double may be farther away, or busier, than the bootnodes
_PART_SECONDS = 0.5
_START_SECONDS = 8.0
_RETRY_SECONDS = 0.1
_NOT_YET = "failed to find any peer in table"
_ERRORS = (P2PDaemonError, OSError, EOFError, TimeoutError, ValueError)
log = get_logger("key")


async def refuse_double(peer_id: str, bootnodes: Iterable[Bootnode]) -> None:
    """Raises FatalError when another peer with `peer_id` answers in the swarm. Costs some 0.3 s on an idle host."""
    nodes = list(bootnodes)
    up = await asyncio.gather(*(answers(node.address) for node in nodes))
    listening = [node for node, answered in zip(nodes, up, strict=True) if answered]
    if not listening:
        return
    try:
        taken = await _answers_elsewhere(peer_id, listening)
    except _ERRORS as error:
        log.debug("not known whether the key is used elsewhere", error=repr(error))
        return
    if taken:
        raise FatalError(
            f"Another peer with this key ({peer_id}) is in the swarm.",
            "stop the other daemon, or give this node a key of its own (another SWARM_KEY_DIR)",
        )


async def _answers_elsewhere(peer_id: str, bootnodes: list[Bootnode]) -> bool:
    scout = await start_p2pd(
        _START_SECONDS,
        dht_mode="client",
        no_listen=True,
        host_maddrs=None,
        nat_port_map=False,
        idle_timeout=10,
        auto_nat=False,
    )
    try:
        return await _reaches(scout, peer_id, bootnodes)
    finally:
        with contextlib.suppress(*_ERRORS):
            await _part(scout)
        await end_p2pd(scout)


async def _reaches(scout: P2P, peer_id: str, bootnodes: list[Bootnode]) -> bool:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(_SECONDS) as limit:
        for node in bootnodes:
            with contextlib.suppress(*_ERRORS):
                await scout._client.connect(PeerID.from_base58(node.peer_id), [Multiaddr(node.address.text)])
        patience = max(_LEAST_SECONDS, _TIMES_BOOTNODE * (loop.time() - began))
        limit.reschedule(min(began + _SECONDS, loop.time() + patience))
        while True:
            try:
                await scout._client.connect(PeerID.from_base58(peer_id), [])
            except _ERRORS as error:
                if _NOT_YET not in str(error):
                    return False
                await asyncio.sleep(_RETRY_SECONDS)  # a bootnode enters the scout's table a moment after the dial
                continue
            return True


async def _part(scout: P2P) -> None:
    """Close the scout's connections: the others would keep, and ask, a peer that was killed until QUIC gives it up."""
    async with asyncio.timeout(_PART_SECONDS):
        for info in await scout.list_peers():
            await scout._client.disconnect(info.peer_id)

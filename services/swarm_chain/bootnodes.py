"""Keeps the bootnode's multiaddress on chain: added when missing, stale ones of the same bootnode removed.

Reads the peer id from the bootnode's status socket; works with `wallet` (the bootnode manager's key).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swarm_chain import calls
from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, WrongChain, WrongContract
from swarm_chain.wallet import Wallet
from swarm_core.client import UnixClient
from swarm_core.errors import Refused, Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service

_STATUS_SECONDS = 3.0
_SETTLED_SECONDS = 60.0
_PENDING_SECONDS = 2.0
_LONGEST_PENDING_SECONDS = 30.0


@dataclass
class BootnodeState:
    """What is on chain for our bootnode, and why not if it is not."""

    published: list[str] = field(default_factory=list)
    reason: str = "not looked yet"


@dataclass(frozen=True)
class Changes:
    """Indices to remove (largest first, so that they stay valid) and addresses to add."""

    remove: tuple[int, ...]
    add: tuple[str, ...]


def plan(on_chain: Sequence[str], addresses: Sequence[str], peer_id: str) -> Changes:
    """What to change so that exactly `addresses` stand for our bootnode.

    Ours are entries of this peer id, and entries of these addresses with whatever peer id. Others are left alone.
    """
    wanted = [f"{address}/p2p/{peer_id}" for address in addresses]
    seen: set[str] = set()
    stale: list[int] = []
    for index, entry in enumerate(on_chain):
        address, _, peer = entry.rpartition("/p2p/")
        ours = peer == peer_id or address in addresses
        if ours and (entry not in wanted or entry in seen):
            stale.append(index)
        seen.add(entry)
    # removing moves the last entry into the gap: from the back no index still to be removed moves
    return Changes(remove=tuple(reversed(stale)), add=tuple(entry for entry in wanted if entry not in seen))


class BootnodePublisher:
    """Compares the bootnode's address with the chain, at once and then every minute."""

    def __init__(self, client: ChainClient, wallet: Wallet, socket: Path, addresses: Sequence[str]) -> None:
        self._client = client
        self._wallet = wallet
        self._bootnode = UnixClient(socket)
        self._addresses = tuple(addresses)
        self._log = get_logger("bootnodes")
        self.state = BootnodeState()

    async def run(self, service: Service) -> None:
        """Until the service stops; failures are told once and tried again."""
        pause = 0.0
        pending = _PENDING_SECONDS
        while not await service.sleep(pause):
            try:
                await self.publish()
                pause, pending = _SETTLED_SECONDS, _PENDING_SECONDS
            except (Unavailable, Refused, WrongChain, WrongContract, ContractError) as error:
                if self.state.reason != str(error):
                    self._log.warning("bootnode not published", reason=str(error))
                self.state.reason = str(error)
                pause = pending
                pending = min(pending * 2, _LONGEST_PENDING_SECONDS)

    async def publish(self) -> Changes:
        """One comparison; sends what is needed. Raises what client, wallet and the bootnode's socket raise."""
        status = await self._bootnode.get_json("/v1/status", deadline=_STATUS_SECONDS)
        peer_id = str(status.get("peer_id", "")) if isinstance(status, dict) else ""
        if not peer_id:
            raise Unavailable("the bootnode has no peer id yet")
        await self._client.preflight()
        changes = plan(await self._client.bootnodes(), self._addresses, peer_id)
        for index in changes.remove:
            await self._wallet.send(calls.remove_bootnode(index))
        if changes.add:
            await self._wallet.send(calls.add_bootnodes(changes.add))
        wanted = [f"{address}/p2p/{peer_id}" for address in self._addresses]
        if changes.add or changes.remove or self.state.reason:
            self._log.info("bootnode on chain", address=",".join(wanted), removed=len(changes.remove))
        self.state.published, self.state.reason = wanted, ""
        return changes

    async def close(self) -> None:
        """Close the connection to the bootnode."""
        await self._bootnode.close()

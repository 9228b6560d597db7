"""The peers of this host: who they are, how they fare, and their consent to an account.

Asks every `dht.sock` and `node.sock` below the run directory: the node's own, and those of extra peers in
`peers/<slot>/`. A peer once seen stays known (`outbox.store`), so that a daemon's restart makes no strangers.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from login_proxy.outbox.store import OutboxStore
from swarm_core.client import UnixClient
from swarm_core.errors import Refused, Unavailable
from swarm_core.identity import is_peer_id, verify_binding
from swarm_core.key_files import MAX_SLOTS
from swarm_core.log import get_logger
from swarm_core.status import DhtStatus, NodeStatus

log = get_logger("peers")
_M = TypeVar("_M", bound=BaseModel)

_ASK_SECONDS = 1.0
_BIND_SECONDS = 3.0
_FRESH_SECONDS = 2.0
UPSTREAM = "(upstream)"  # no name of a node; label of a peer that an unmodified upstream trainer brought


@dataclass(frozen=True)
class PeerView:
    """What the sockets of one peer say. `node` is its label: the host's node name, or `peer-<slot>`."""

    node: str
    dht: DhtStatus | None
    worker: NodeStatus | None


class Peers:
    """Own peers, read from the sockets below `run_dir`."""

    def __init__(self, run_dir: Path, name: str, store: OutboxStore) -> None:
        self._run_dir = run_dir
        self._name = name
        self._store = store
        self._clients: dict[Path, UnixClient] = {}
        self._views: list[PeerView] = []
        self._read_at = float("-inf")
        self._homes: dict[str, Path] = {}
        self._lock = asyncio.Lock()

    async def views(self, max_age: float = _FRESH_SECONDS) -> list[PeerView]:
        """Every peer's daemon and worker, read at most `max_age` seconds ago; None for who does not answer."""
        async with self._lock:
            if time.monotonic() - self._read_at > max_age:
                homes = await asyncio.to_thread(self._find_homes)
                self._views = list(await asyncio.gather(*(self._view(node, home) for node, home in homes)))
                self._read_at = time.monotonic()
        return self._views

    async def is_own(self, peer_id: str) -> bool:
        """Whether a daemon of this host has this id; asks the sockets when it is not known."""
        if peer_id in self._store.own_peers():
            return True
        await self.views(max_age=0.5)
        return peer_id in self._store.own_peers()

    def vouch(self, peer_id: str) -> None:
        """A caller who holds the worker API's token says that this peer belongs here; only the drop-in asks for it."""
        if peer_id not in self._store.own_peers():
            self._store.add_peer(peer_id, UPSTREAM, alone=False)
            log.info("peer of an upstream trainer", peer=peer_id)

    def known(self) -> dict[str, str]:
        """peer id -> node name, for the peers of this host; without those that a restore has replaced."""
        former = self._store.former_peers()
        return {peer: node for peer, node in self._store.own_peers().items() if peer not in former}

    async def bind(self, peer_id: str, account: str, chain_id: int, contract: str) -> bool:
        """Whether the peer's daemon signs that `account` may register it, and the signature is good."""
        if self._store.own_peers().get(peer_id) == UPSTREAM:
            return True
        home = self._homes.get(peer_id)
        if home is None:
            await self.views()
            home = self._homes.get(peer_id)
        if home is None:
            return False
        wish = {"chain_id": chain_id, "contract": contract, "account": account}
        try:
            daemon = self._client(home / "dht.sock")
            body = (await daemon.request("POST", "/v1/bind", deadline=_BIND_SECONDS, json=wish)).json()
            public, signature = base64.b64decode(body["public_key"]), base64.b64decode(body["signature"])
        except (Unavailable, Refused, ValueError, KeyError, TypeError) as error:
            log.warning("daemon does not bind", peer=peer_id, error=str(error))
            return False
        if verify_binding(peer_id, public, signature, account, chain_id, contract):
            return True
        log.warning("the daemon's signature does not bind its peer to the account", peer=peer_id)
        return False

    async def close(self) -> None:
        """Close connections."""
        for client in self._clients.values():
            await client.close()

    def _find_homes(self) -> list[tuple[str, Path]]:
        homes = [(self._name, self._run_dir)] if (self._run_dir / "dht.sock").exists() else []
        slots = [path.parent for path in (self._run_dir / "peers").glob("*/dht.sock") if path.parent.name.isdecimal()]
        slots.sort(key=lambda home: int(home.name))
        return homes + [(f"peer-{home.name}", home) for home in slots[:MAX_SLOTS]]

    async def _view(self, node: str, home: Path) -> PeerView:
        dht, worker = await asyncio.gather(
            self._ask(home / "dht.sock", DhtStatus), self._ask(home / "node.sock", NodeStatus)
        )
        if dht is not None and is_peer_id(dht.peer_id):
            self._homes[dht.peer_id] = home
            if self._store.own_peers().get(dht.peer_id) != node or dht.peer_id in self._store.former_peers():
                self._store.add_peer(dht.peer_id, node)
                log.info("own peer seen", peer=dht.peer_id, node=node)
        return PeerView(node, dht, worker)

    async def _ask(self, socket: Path, model: type[_M]) -> _M | None:
        if not socket.exists():
            return None
        try:
            return model.model_validate(await self._client(socket).get_json("/v1/status", deadline=_ASK_SECONDS))
        except (Unavailable, Refused, ValidationError):
            return None

    def _client(self, socket: Path) -> UnixClient:
        if socket not in self._clients:
            self._clients[socket] = UnixClient(socket)
        return self._clients[socket]
